from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from flows import (
    CONSOLE_URL,
    EXPIRED,
    PAGE,
    authenticator,
    cache_with_token,
    drive,
    pages,
    read_page,
    response,
    token_response,
)
from samples import ACCESS_TOKEN, CREDENTIALS, UNREADABLE_TOKEN, token

from airflow_provider_angus.api.auth import Authenticator, TokenCache, maskable_part
from airflow_provider_angus.api.messages import Request, Response, SingleFlight
from airflow_provider_angus.api.settings import Credentials
from airflow_provider_angus.exceptions import AngusAuthError, AngusResponseError

if TYPE_CHECKING:
    from airflow_provider_angus.api.messages import Flow

REQUEST = Request("GET", "https://data.example/api/1/entities", {"page": "1"})
OK = response(200, {})


def send(tokens: TokenCache | None = None, credentials: Credentials = CREDENTIALS) -> Flow[Response]:
    return authenticator(tokens, credentials).send(REQUEST)


# Tokens from the console


def test_send_without_token_posts_credentials() -> None:
    requests: list[Request] = []
    drive(send(), token_response("T"), OK, requests=requests)
    body = {"username": "shop@example.com", "client_id": "3bd15f50", "access_token": ACCESS_TOKEN}
    assert requests == [
        Request("POST", "https://console.example/api-token-authstream/", body=body),
        replace(REQUEST, token="T"),
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"non_field_errors": ["Unable to login with provided credentials."]}, "Unable to login with provided creden"),
        ({"username": ["This field is required."]}, "username: This field is required."),
        ({"client_id": ["Unknown.", "Gone."], "username": ["Bad."]}, "client_id: Unknown. Gone. username: Bad."),
        ({"detail": "JSON parse error"}, "JSON parse error."),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_send_refused_credentials_raise_auth_error(status: int, body: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusAuthError) as raised:
        drive(send(), response(status, body))
    assert f"credentials refused with status {status}: {message}" in str(raised.value)
    fix = "Check Login (the console login), Password (the stream's access token) and client_id."
    assert str(raised.value).endswith(fix)


@pytest.mark.parametrize("status", [204, 301, 302, 400, 401, 403, 404, 405])
def test_send_other_console_raises_response_error(status: int) -> None:
    with pytest.raises(AngusResponseError, match="Check that the connection's console_url is an Angus server"):
        drive(send(), response(status, b"<html>Hello</html>", Location="https://elsewhere.example/"))


@pytest.mark.parametrize(
    "body", [{"token": value} for value in (None, "", 7, ["T"], {"a": "T"}, "T\nX: 1", "T T", "é")] + [{"other": 1}]
)
def test_send_unusable_token_raises_response_error(body: dict[str, Any]) -> None:
    with pytest.raises(AngusResponseError, match=r"status 200 without a token\. Check console_url\.$"):
        drive(send(), response(200, body))


# Refused tokens


@pytest.mark.parametrize("code", ["authorization_header_missing", "expired_jwt", "invalid_jwt", "unknown"])
def test_send_refused_token_is_replaced_once(code: str) -> None:
    requests: list[Request] = []
    refusal = response(401, {"code": code, "message": "No."})
    flow = read_page(pages(tokens=cache_with_token()))
    rows = drive(flow, refusal, token_response("NEW"), response(200, PAGE), requests=requests)
    assert [row["passing_by"] for row in rows] == [3]
    assert [request.method for request in requests] == ["GET", "POST", "GET"]
    assert requests[0].params == requests[2].params
    assert (requests[0].token, requests[2].token) == (token(), "NEW")


@pytest.mark.parametrize("code", ["authorization_header_missing", "expired_jwt", "invalid_jwt"])
def test_send_refused_new_token_raises_auth_error(code: str) -> None:
    refusal = response(401, {"code": code, "message": "Not you."})
    expected = f"refused with status 401 with a new token: {code}: Not you. Check .* stream '3bd15f50'"
    with pytest.raises(AngusAuthError, match=expected):
        drive(send(cache_with_token()), refusal, token_response("NEW"), refusal)


def test_send_forbidden_stream_raises_auth_error() -> None:
    with pytest.raises(AngusAuthError, match=r"refused with status 403: no content type: <html>No</html>\. Check"):
        drive(send(cache_with_token()), response(403, b"<html>No</html>"))


@pytest.mark.parametrize(
    "body", [{"entities": {"a": {"news": {"is": token()}}}}, {token(): 1}, {"from": f"x{token()}x"}]
)
def test_send_token_in_data_raises_response_error(body: dict[str, Any]) -> None:
    """Rows go to places that everybody may read."""
    with pytest.raises(AngusResponseError, match=r"the response contains the API token\. Check Host\.$") as raised:
        drive(send(cache_with_token()), response(200, body))
    assert token() not in str(raised.value)


def test_send_other_secrets_in_data_are_accepted() -> None:
    """A short access token or a proxy's password may occur in data by chance."""
    credentials = Credentials("me", "like-the-stream", "like-the-stream")
    sent = replace(response(200, {"stream": "like-the-stream", "passing_by": 3}), secrets=["passing_by"])
    new_token = jwt.encode({"client_id": "like-the-stream"}, "k" * 32)
    received = drive(send(credentials=credentials), token_response(new_token), sent)
    assert received.body == sent.body


# The token cache


def test_cache_returns_token_until_60_s_before_exp() -> None:
    now = [1_000_000.0]
    tokens = TokenCache(now=lambda: now[0])
    first, second = token(1_018_000), token(1_040_000)
    drive(send(tokens), token_response(first), OK)
    now[0] = 1_017_939.9
    drive(send(tokens), OK)
    now[0] = 1_017_940.0
    requests: list[Request] = []
    drive(send(tokens), token_response(second), OK, requests=requests)
    assert requests[-1].token == second


TOKENS_WITHOUT_USABLE_EXP = {
    "unreadable": UNREADABLE_TOKEN,
    "no JWT": "T",
    "no exp": token(None),
    "text": token("soon"),
    "huge": token(10**400),
    "bool": token(True),  # noqa: FBT003
    "expired": token(5),
    "expires in 60 s": token(1_000_060),
}


@pytest.mark.parametrize("value", TOKENS_WITHOUT_USABLE_EXP.values(), ids=TOKENS_WITHOUT_USABLE_EXP.keys())
def test_cache_token_without_usable_exp_is_kept_until_refused(value: str) -> None:
    now, requests = [1_000_000.0], list[Request]()
    tokens = TokenCache(now=lambda: now[0])
    drive(send(tokens), token_response(value), OK, requests=requests)
    now[0] *= 1000
    drive(send(tokens), OK, requests=requests)
    assert [request.token for request in requests] == [None, value, value]
    replaced = [response(401, EXPIRED), token_response(token(10**10)), OK]
    drive(send(tokens), *replaced, requests=requests)
    assert [request.token for request in requests[3:]] == [value, None, token(10**10)]


@pytest.mark.parametrize(
    ("credentials", "console_url"),
    [
        (replace(CREDENTIALS, username="other@example.com"), CONSOLE_URL),
        (replace(CREDENTIALS, client_id="b"), CONSOLE_URL),
        (replace(CREDENTIALS, access_token="other"), CONSOLE_URL),
        (CREDENTIALS, "https://console2.example"),
    ],
    ids=["username", "client_id", "access_token", "console_url"],
)
def test_cache_separates_credentials_and_consoles(credentials: Credentials, console_url: str) -> None:
    tokens, requests = cache_with_token(), list[Request]()
    other = Authenticator(credentials, console_url, tokens)
    drive(other.send(REQUEST), token_response("OTHER"), OK, requests=requests)
    assert [request.token for request in requests] == [None, "OTHER"]
    drive(send(tokens), OK, requests=requests)
    assert requests[-1].token == token()


def test_cache_clear_removes_all_tokens() -> None:
    tokens = cache_with_token()
    tokens.clear()
    drive(send(tokens), token_response(), OK)


def test_single_flight_uses_token_of_earlier_caller() -> None:
    tokens = TokenCache()
    waiting = next(send(tokens))
    assert isinstance(waiting, SingleFlight)
    drive(send(tokens), token_response("T"), OK)
    assert drive(waiting.flow) == "T"


def test_single_flight_key_is_equal_for_equal_credentials() -> None:
    steps = [next(send(TokenCache(), replace(CREDENTIALS, username=name))) for name in ("a", "a", "b")]
    keys = [step.key for step in steps if isinstance(step, SingleFlight)]
    assert (keys[0] == keys[1], keys[0] == keys[2]) == (True, False)
    assert ACCESS_TOKEN not in str(keys)


def test_refused_token_does_not_drop_newer_token() -> None:
    tokens = cache_with_token()
    flow = send(tokens)
    assert isinstance(next(flow), Request)
    drive(send(tokens), response(401), token_response("NEWER"), OK)
    waiting = flow.send(response(401, EXPIRED))
    assert isinstance(waiting, SingleFlight)
    assert drive(waiting.flow) == "NEWER"


@pytest.mark.parametrize(
    ("value", "part"),
    [("head.pay-load.sig_nature-of-20-letters", "sig_nature-of-20-letters"), ("opaque", "opaque"), ("a.b.", "a.b.")],
)
def test_maskable_part_is_signature_or_whole_token(value: str, part: str) -> None:
    assert maskable_part(value) == part
