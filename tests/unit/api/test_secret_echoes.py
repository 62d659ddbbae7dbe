"""Servers that echo a secret: no error, cause or traceback contains it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from clients import visible_texts
from flows import PAGE, authenticator, cache_with_token, drive, pages, read_page, response, token_response
from samples import ACCESS_TOKEN, CREDENTIALS, token

from airflow_provider_angus.api.messages import Request
from airflow_provider_angus.api.responses import raise_if_unavailable
from airflow_provider_angus.exceptions import AngusAuthError, AngusError

if TYPE_CHECKING:
    from collections.abc import Callable

ECHOES: dict[str, Callable[[str], bytes]] = {
    "text": lambda secret: f"<html>You sent {secret}</html>".encode(),
    "message": lambda secret: json.dumps({"code": secret, "message": f"Not {secret}."}).encode(),
    "field": lambda secret: json.dumps({secret: [f"Not {secret}."]}).encode(),
    "object": lambda secret: json.dumps({"detail": {"you": {secret: secret}}}).encode(),
    "list": lambda secret: json.dumps([secret]).encode(),
    "string": lambda secret: json.dumps(secret).encode(),
    "token as list": lambda secret: json.dumps({"token": [secret]}).encode(),
    "duplicate key": lambda secret: f'{{"token": "{secret}", "token": "{secret}"}}'.encode(),
    "invalid utf-8": lambda secret: f'{{"token": "{secret}'.encode() + b'\xff"}',
    "cut": lambda secret: b" " * 1180 + secret.encode() + b" x",
    "entities": lambda secret: json.dumps(PAGE | {"entities": secret}).encode(),
    "time": lambda secret: json.dumps(PAGE | {"time": secret}).encode(),
    "bucket": lambda secret: json.dumps(PAGE | {"entities": {secret: {}}}).encode(),
}
echoes = pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
statuses = pytest.mark.parametrize("status", [200, 302, 400, 401, 404])


def assert_error_without_secret(secret: str, attempt: Callable[[], Any]) -> None:
    with pytest.raises(AngusError) as raised:
        attempt()
    shown = "".join(visible_texts(raised.value))
    assert secret[:12] not in shown
    assert secret[-12:] not in shown


def redirect(status: int, secret: str) -> dict[str, str]:
    return {"Location": f"https://elsewhere.example/{secret}"} if status == 302 else {}


@echoes
@statuses
def test_console_echo_of_access_token_is_not_shown(echo: Callable[[str], bytes], status: int) -> None:
    sent = response(status, echo(ACCESS_TOKEN), **redirect(status, ACCESS_TOKEN))
    assert_error_without_secret(ACCESS_TOKEN, lambda: drive(read_page(pages()), sent))


@echoes
@statuses
def test_data_api_echo_of_token_is_not_shown(echo: Callable[[str], bytes], status: int) -> None:
    sent = response(status, echo(token()), **redirect(status, token()))
    again = [token_response(token()), sent] if status == 401 else []
    flow = read_page(pages(tokens=cache_with_token()))
    assert_error_without_secret(token(), lambda: drive(flow, sent, *again))


@echoes
def test_console_token_of_wrong_form_is_not_shown(echo: Callable[[str], bytes]) -> None:
    """The new token is a secret that the request did not contain."""
    assert_error_without_secret(token(), lambda: drive(read_page(pages()), response(200, echo(token()))))


@echoes
@pytest.mark.parametrize(
    ("request_", "secret"),
    [
        (Request("POST", "https://console.example", body={"access_token": ACCESS_TOKEN}), ACCESS_TOKEN),
        (Request("GET", "https://data.example", token=token()), token()),
    ],
    ids=["console", "data"],
)
def test_unavailable_echo_is_not_shown(echo: Callable[[str], bytes], request_: Request, secret: str) -> None:
    sent = replace(response(503, echo(secret)), secrets=request_.secrets)
    assert_error_without_secret(secret, lambda: raise_if_unavailable(request_, sent))


def test_access_token_with_escaped_characters_is_redacted() -> None:
    secret = 'pass"wörd "of mine'
    sent = response(400, {"access_token": [f"{secret} is wrong."]})
    flow = authenticator(credentials=replace(CREDENTIALS, access_token=secret)).send(Request("GET", "https://d"))
    with pytest.raises(AngusAuthError, match=r"access_token: \*\*\* is wrong"):
        drive(flow, sent)
