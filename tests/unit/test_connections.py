"""Connections that Airflow cannot read: each client and the Test button say what is wrong, without a secret."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import AIRFLOW
from connections import changed_connection, set_connection

from airflow_provider_angus.exceptions import AngusAuthError, is_retryable
from airflow_provider_angus.hooks import AngusHook

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_angus.sandbox import Sandbox

SECRET = "s3cret-access-token"

#: Values of the environment variable, and what the error says that they are.
UNREADABLE = {
    "URI with bracket": (f"angus://you:{SECRET}@[host/?client_id=1", "a URI that Airflow cannot parse"),
    "URI with port as text": (f"angus://you:x@host:{SECRET}/?client_id=1", "a URI that Airflow cannot parse"),
    "empty text": ("", "an empty text"),
    "spaces": ("   ", "an empty text"),
    "JSON cut off": ('{"conn_type": "angus", "login": ', "text that is not JSON (Expecting value: line 1, column 33)"),
    "JSON with comma too many": (f'{{"password": "{SECRET}",}}', "text that is not JSON ("),
    "unknown field": (f'{{"conn_type": "angus", "passwort": "{SECRET}"}}', "JSON with an unknown field or a value of"),
    "port as text": (f'{{"conn_type": "angus", "port": "{SECRET}"}}', "JSON with an unknown field or a value of a wr"),
    "no scheme": ("just text", "got neither"),
    "JSON list": (f'["angus", "{SECRET}"]', "got neither"),
}

#: Values of the connection's extra, and what the error says that they are.
INVALID_EXTRAS = {
    "text": (f"client_id={SECRET}", "text that is not JSON (Expecting value: line 1, column 1)"),
    "Python dict": (f"{{'client_id': '{SECRET}'}}", "text that is not JSON ("),
    "list": (f'["{SECRET}"]', "a JSON list"),
    "number": ("5", "a JSON int"),
    "text in JSON": (f'"{SECRET}"', "a JSON str"),
    "true": ("true", "a JSON bool"),
}


def error_of_worker(hook: AngusHook) -> str:
    with pytest.raises(AngusAuthError) as caught:
        hook.get_entities("passing_by", "2026-11-20", "2026-11-21")
    assert not is_retryable(caught.value)
    return str(caught.value)


def error_of_triggerer(hook: AngusHook) -> str:
    with pytest.raises(AngusAuthError) as caught:
        asyncio.run(hook.get_async_conn())
    return str(caught.value)


def error_of_test_button(hook: AngusHook) -> str:
    ok, message = hook.test_connection()
    assert not ok
    return message


@pytest.fixture(params=[error_of_worker, error_of_triggerer, error_of_test_button])
def get_error(request: pytest.FixtureRequest) -> Callable[[AngusHook], str]:
    return request.param


@pytest.mark.parametrize(("value", "problem"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.usefixtures("airflow")
def test_connection_unreadable_is_named(
    monkeypatch: pytest.MonkeyPatch, get_error: Callable[[AngusHook], str], value: str, problem: str
) -> None:
    set_connection(monkeypatch, value)
    message = get_error(AngusHook())
    assert message.startswith("Connection 'angus_default': ")
    assert "expected a connection as JSON or as a URI, got" in message
    assert problem in message
    assert SECRET not in message


# Airflow 3.0 and 3.1 reject the JSON of the connection, as in test_connection_unreadable_is_named.
@pytest.mark.skipif(AIRFLOW in {(3, 0), (3, 1)}, reason="Airflow 3.0 and 3.1 do not read such a connection")
@pytest.mark.parametrize(("extra", "problem"), INVALID_EXTRAS.values(), ids=INVALID_EXTRAS)
def test_connection_extra_not_an_object_is_named(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    get_error: Callable[[AngusHook], str],
    extra: str,
    problem: str,
) -> None:
    fields: dict[str, Any] = changed_connection(sandbox) | {"extra": extra}
    set_connection(monkeypatch, json.dumps(fields))
    message = get_error(AngusHook())
    assert message.startswith("Connection 'angus_default': extra: expected a JSON object, got ")
    assert problem in message
    assert SECRET not in message
    assert sandbox.count() == 0


@pytest.mark.usefixtures("airflow")
def test_connection_missing_is_not_called_unreadable(get_error: Callable[[AngusHook], str]) -> None:
    message = get_error(AngusHook("missing"))
    assert message.startswith("Connection 'missing' does not exist. Create it.")
    assert message.endswith("Its type is Angus.ai (angus).")
