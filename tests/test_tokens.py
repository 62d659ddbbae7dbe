"""Which token is used, and until when."""

from __future__ import annotations

import pytest
from dialogue import (
    CREDENTIALS,
    EXPIRED,
    PAGE,
    SECRET,
    UNREADABLE,
    answer,
    drive,
    next_page,
    pages,
    stream,
    token,
)

from airflow_provider_angus.answers import Request
from airflow_provider_angus.protocol import Alone, Credentials, Stream
from airflow_provider_angus.tokens import TokenCache, secret_part


def test_a_token_is_kept_until_a_minute_before_it_ends() -> None:
    now = [1_000_000.0]
    tokens = TokenCache(now=lambda: now[0])
    first, second = token(1_018_000), token(1_040_000)
    drive(next_page(pages(tokens=tokens)), answer(200, {"token": first}), answer(200, PAGE))
    now[0] = 1_017_939.9
    drive(next_page(pages(tokens=tokens)), answer(200, PAGE))
    now[0] = 1_017_940.0
    asked: list[Request] = []
    drive(next_page(pages(tokens=tokens)), answer(200, {"token": second}), answer(200, PAGE), asked=asked)
    assert asked[-1].token == second


UNREADABLE_TOKENS = {
    "the sample": UNREADABLE,
    "no JWT": "T",
    "no exp": token(None),
    "text": token("soon"),
    "a huge exp": token(10**400),
    "bool": token(True),  # noqa: FBT003
    "over by our clock": token(5),
    "over in a minute": token(1_000_060),
}


@pytest.mark.parametrize("kept", UNREADABLE_TOKENS.values(), ids=UNREADABLE_TOKENS.keys())
def test_a_token_that_does_not_say_when_it_ends_is_used_until_it_is_refused(kept: str) -> None:
    now, asked = [1_000_000.0], list[Request]()
    tokens = TokenCache(now=lambda: now[0])
    drive(next_page(pages(tokens=tokens)), answer(200, {"token": kept}), answer(200, PAGE), asked=asked)
    now[0] *= 1000
    drive(next_page(pages(tokens=tokens)), answer(200, PAGE), asked=asked)
    assert [request.token for request in asked] == [None, kept, kept]
    sent = [answer(401, EXPIRED), answer(200, {"token": token(10**10)}), answer(200, PAGE)]
    drive(next_page(pages(tokens=tokens)), *sent, asked=asked)
    assert [request.token for request in asked[3:]] == [kept, None, token(10**10)]


@pytest.mark.parametrize("other", [("other@example.com", "3bd15f50", SECRET), ("shop@example.com", "b", SECRET)])
def test_a_token_is_used_for_its_own_credentials_only(other: tuple[str, str, str], signed_in: TokenCache) -> None:
    stranger = Stream(Credentials(*other), "https://console.example", "https://data.example", signed_in)
    elsewhere = Stream(CREDENTIALS, "https://console2.example", "https://data.example", signed_in)
    for theirs in (stranger, elsewhere):
        asked: list[Request] = []
        drive(theirs.entities({}), answer(200, {"token": "THEIRS"}), answer(200, {}), asked=asked)
        assert [request.token for request in asked] == [None, "THEIRS"]
    drive(stream(signed_in).entities({}), answer(200, {}))


def test_whoever_waited_for_a_token_uses_the_one_that_came_meanwhile() -> None:
    tokens = TokenCache()
    flow = stream(tokens).entities({})
    waiting = flow.send(None)
    assert isinstance(waiting, Alone)
    drive(stream(tokens).entities({}), answer(200, {"token": "T"}), answer(200, {}))
    assert drive(waiting.flow) == "T"


def test_a_refused_token_does_not_take_with_it_the_newer_one_that_came_meanwhile(signed_in: TokenCache) -> None:
    flow = stream(signed_in).entities({})
    asked = flow.send(None)
    assert isinstance(asked, Request)
    drive(stream(signed_in).entities({}), answer(401), answer(200, {"token": "NEWER"}), answer(200, {}))
    waiting = flow.send(answer(401, EXPIRED))
    assert isinstance(waiting, Alone)
    assert drive(waiting.flow) == "NEWER"


@pytest.mark.parametrize(
    ("token", "part"),
    [("head.pay-load.sig_nature-of-20-letters", "sig_nature-of-20-letters"), ("opaque", "opaque"), ("a.b.", "a.b.")],
)
def test_what_of_a_token_must_not_be_seen_is_its_signature_or_all_of_it(token: str, part: str) -> None:
    assert secret_part(token) == part
