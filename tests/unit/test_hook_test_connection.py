"""AngusHook.test_connection, the Test button of the connection form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from connections import changed_connection, set_connection
from transfers import without_rows

from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.hooks import AngusHook

if TYPE_CHECKING:
    from airflow_provider_angus.sandbox import Sandbox

DAY = ("2026-11-20", "2026-11-21")


@pytest.mark.usefixtures("connection")
def test_test_connection_gets_new_token_and_sends_one_query(sandbox: Sandbox) -> None:
    AngusHook().get_entities("passing_by", *DAY)
    sandbox.forget_calls()
    ok, message = AngusHook().test_connection()
    assert ok
    assert message.startswith(f"Connection successful: stream '{next(iter(sandbox.streams))}' responded (passing_by in")
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]


@pytest.mark.usefixtures("connection")
def test_test_connection_stream_without_data_is_successful(sandbox: Sandbox) -> None:
    sandbox.change_next(without_rows, on="entities")
    ok, message = AngusHook().test_connection()
    assert ok
    assert "responded (no data in the last hour)" in message


@pytest.mark.parametrize(
    ("fields", "extra", "missing"),
    [
        ({"login": ""}, {}, "Fill in Login (the console login)."),
        ({"password": None}, {}, "Fill in Password (the stream's access token)."),
        ({}, {"client_id": None}, "Fill in the extra client_id (the stream's client ID)."),
        ({"login": None, "password": ""}, {}, "Fill in Login (the console login), Password"),
    ],
)
def test_test_connection_names_missing_fields(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], extra: dict[str, Any], missing: str
) -> None:
    set_connection(monkeypatch, changed_connection(sandbox, extra, **fields))
    ok, message = AngusHook().test_connection()
    assert not ok
    assert message.startswith("Connection 'angus_default' is incomplete")
    assert missing in message
    assert sandbox.count() == 0


def test_test_connection_quotes_refusal_of_credentials(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, changed_connection(sandbox, password="wrong-access-token"))
    ok, message = AngusHook().test_connection()
    assert not ok
    assert "credentials refused with status 400: Unable to login with provided credentials." in message
    assert "wrong-access-token" not in message


@pytest.mark.usefixtures("connection")
def test_test_connection_quotes_refusal_of_stream(sandbox: Sandbox) -> None:
    sandbox.fail_next(401, times=2, on="entities", body={"code": "no_access", "message": "Not your stream."})
    ok, message = AngusHook().test_connection()
    assert not ok
    assert "Not your stream." in message


@pytest.mark.parametrize("field", ["host", "console_url"])
@pytest.mark.usefixtures("no_backoff")
def test_test_connection_names_unreachable_url(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    url = "http://127.0.0.1:1"
    change = {"host": url} if field == "host" else {"extra": {"console_url": url}}
    set_connection(monkeypatch, changed_connection(sandbox, **change))
    ok, message = AngusHook().test_connection()
    assert not ok
    assert f"{url}/api" in message
    assert "no response" in message


@pytest.mark.parametrize("field", ["Host", "console_url"])
def test_test_connection_names_field_of_a_foreign_server(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    url = f"{sandbox.url}/somewhere"
    change = {"host": url} if field == "Host" else {"extra": {"console_url": url}}
    set_connection(monkeypatch, changed_connection(sandbox, **change))
    ok, message = AngusHook().test_connection()
    assert not ok
    assert f"Check that the connection's {field} is an Angus server." in message


def test_test_connection_rejects_unencrypted_host(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, changed_connection(sandbox, host="http://data.angus.ai"))
    ok, message = AngusHook().test_connection()
    assert not ok
    assert "credentials need https" in message


@pytest.mark.usefixtures("connection")
def test_test_connection_reports_unexpected_errors(sandbox: Sandbox) -> None:
    class BrokenHook(AngusHook):
        retry_policy = RetryPolicy(backoff=lambda _: 1 / 0)

    sandbox.fail_next(503, on="entities")
    assert BrokenHook().test_connection() == (False, "ZeroDivisionError: division by zero")
