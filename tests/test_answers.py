"""What is made of answers that mean trouble, and what messages show of them."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from dialogue import (
    CREDENTIALS,
    PAGE,
    SECRET,
    answer,
    drive,
    next_page,
    pages,
    token,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_angus.answers import Request, raise_if_unavailable
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusUnavailableError,
)
from airflow_provider_angus.protocol import Stream
from airflow_provider_angus.tokens import TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable


# Away or overloaded


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
def test_an_answer_that_says_that_the_api_is_away_is_an_unavailable_error(status: int) -> None:
    request = Request("GET", "https://data.example/api/1/entities")
    with pytest.raises(AngusUnavailableError, match=rf"^GET https://data.*entities was answered {status}: Later\.$"):
        raise_if_unavailable(request, answer(status, b"Later"))


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 404, 428])
def test_any_other_answer_is_not_unavailable(status: int) -> None:
    raise_if_unavailable(Request("GET", "https://data.example"), answer(status))


@settings(deadline=None)
@given(st.text(st.characters(codec="latin-1")))
@example(f"Wed, 21 Oct 2015 07:28:00 +{'9' * 20}")
@example("Wed, 21 Oct 2015 07:28:00")
def test_any_retry_after_is_a_number_of_seconds_or_none(value: str) -> None:
    with pytest.raises(AngusUnavailableError) as away:
        raise_if_unavailable(Request("GET", "https://data.example"), answer(503, Retry_After=value))
    assert isinstance(away.value.retry_after, float | None)


# What messages say


def chain(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


ECHOES: dict[str, Callable[[str], bytes]] = {
    "text": lambda secret: f"<html>You sent {secret}</html>".encode(),
    "message": lambda secret: json.dumps({"code": secret, "message": f"Not {secret}."}).encode(),
    "object": lambda secret: json.dumps({"detail": {"you": {secret: secret}}}).encode(),
    "list": lambda secret: json.dumps([secret]).encode(),
    "string": lambda secret: json.dumps(secret).encode(),
    "token as list": lambda secret: json.dumps({"token": [secret]}).encode(),
    "repeated key": lambda secret: f'{{"token": "{secret}", "token": "{secret}"}}'.encode(),
    "invalid utf-8": lambda secret: f'{{"token": "{secret}'.encode() + b'\xff"}',
    "straddling": lambda secret: b" " * 1180 + secret.encode() + b" x",
    "entities": lambda secret: json.dumps(PAGE | {"entities": secret}).encode(),
    "time": lambda secret: json.dumps(PAGE | {"time": secret}).encode(),
    "bucket": lambda secret: json.dumps(PAGE | {"entities": {secret: {}}}).encode(),
}
echoes = pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())


def assert_silent(secret: str, attempt: Callable[[], Any]) -> None:
    with pytest.raises(AngusError) as raised:
        attempt()
    errors = chain(raised.value)
    shown = "".join([*traceback.format_exception(raised.value), *map(str, errors), *map(repr, errors)])
    assert secret[:12] not in shown
    assert secret[-12:] not in shown


@echoes
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404])
def test_a_console_that_echoes_the_access_token_does_not_bring_it_into_an_error(
    echo: Callable[[str], bytes], status: int
) -> None:
    location = {"Location": f"https://elsewhere.example/{SECRET}"} if status == 302 else {}
    sent = answer(status, echo(SECRET), **location)
    assert_silent(SECRET, lambda: drive(next_page(pages()), sent))


@echoes
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404])
def test_a_data_api_that_echoes_the_token_does_not_bring_it_into_an_error(
    echo: Callable[[str], bytes], status: int, signed_in: TokenCache
) -> None:
    location = {"Location": f"https://elsewhere.example/{token()}"} if status == 302 else {}
    sent = answer(status, echo(token()), **location)
    again = [answer(200, {"token": token()}), sent] if status == 401 else []
    assert_silent(token(), lambda: drive(next_page(pages(tokens=signed_in)), sent, *again))


def test_a_secret_that_json_writes_in_its_own_way_does_not_come_into_an_error_either() -> None:
    secret = 'pass"wörd "of mine'
    sent = answer(400, {"access_token": [f"{secret} is wrong."]})
    odd = Stream(
        replace(CREDENTIALS, access_token=secret), "https://console.example", "https://data.example", TokenCache()
    )
    with pytest.raises(AngusAuthError, match=r"access_token: \*\*\* is wrong"):
        drive(odd.entities({}), sent)


@echoes
def test_a_console_that_hands_out_a_token_in_an_odd_way_does_not_bring_it_into_an_error(
    echo: Callable[[str], bytes],
) -> None:
    assert_silent(token(), lambda: drive(next_page(pages()), answer(200, echo(token()))))


@echoes
def test_an_api_that_is_away_and_echoes_a_secret_does_not_bring_it_into_an_error(echo: Callable[[str], bytes]) -> None:
    console = Request("POST", "https://console.example", body={"access_token": SECRET})
    data = Request("GET", "https://data.example", token=token())
    assert_silent(SECRET, lambda: raise_if_unavailable(console, answer(503, echo(SECRET))))
    assert_silent(token(), lambda: raise_if_unavailable(data, answer(503, echo(token()))))


LONG = "x" * 10**6
LONG_ANSWERS: dict[str, object] = {
    "text": LONG.encode(),
    "message": {"message": LONG},
    "entities": PAGE | {"entities": LONG},
    "bucket": PAGE | {"entities": {LONG: {}}},
    "metric": PAGE | {"entities": {"2017-09-03T00:00:00Z": {LONG: 1}}},
    "key": PAGE | {"entities": {"2017-09-03T00:00:00Z": {"a": {f"b_{LONG}": 1}, "a_b": {LONG: 1}}}},
    "value": PAGE | {"entities": {"2017-09-03T00:00:00Z": {"gender": {"?": LONG}}}},
    "time": PAGE | {"time": LONG},
    "page": PAGE | {"page": [1] * 10**5},
}


@pytest.mark.parametrize("body", LONG_ANSWERS.values(), ids=LONG_ANSWERS.keys())
@pytest.mark.parametrize("status", [200, 400])
def test_a_message_stays_short_however_long_the_answer_is(body: object, status: int, signed_in: TokenCache) -> None:
    with pytest.raises(AngusError) as raised:
        drive(next_page(pages(tokens=signed_in)), answer(status, body))
    assert len(str(raised.value)) < 800


def test_no_repr_shows_a_secret() -> None:
    request = Request("POST", "https://console.example", body={"access_token": SECRET}, token=token())
    shown = repr([CREDENTIALS, request, answer(200, {"token": token()}, Location=token()), str(request)])
    assert SECRET not in shown
    assert token() not in shown
