"""The record of calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

QUERY = {"metrics": "passing_by", "from_date": "2017-09-03T00:00:00+00:00"}


def test_calls_record_every_request(sandbox: Sandbox, client: SandboxClient) -> None:
    stream = list(sandbox.streams)[1]
    header = f"Bearer {client.token(stream)}"
    client.get(header, **QUERY)
    client.get(header, **QUERY, page=2)
    client.get(**QUERY)
    client.login(client_id="unknown")
    requests.get(f"{sandbox.url}/favicon.ico", timeout=5)
    token, entities = "/api-token-authstream/", "/api/1/entities"
    calls = [(call.endpoint, call.method, call.path, call.query, call.client_id, call.status) for call in sandbox.calls]
    assert calls == [
        ("token", "POST", token, {}, stream, 200),
        ("entities", "GET", entities, QUERY, stream, 200),
        ("entities", "GET", entities, QUERY | {"page": "2"}, stream, 400),
        ("entities", "GET", entities, QUERY, None, 401),
        ("token", "POST", token, {}, "unknown", 400),
        ("other", "GET", "/favicon.ico", {}, None, 404),
    ]
    assert [sandbox.count(endpoint) for endpoint in (None, "token", "entities", "other")] == [6, 2, 3, 1]


def test_calls_with_simulated_failures_keep_the_stream(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(500)
    client.login()
    sandbox.change_next(lambda _: None)
    client.login()
    stream = next(iter(sandbox.streams))
    assert [(call.client_id, call.status) for call in sandbox.calls] == [(stream, 500), (stream, 200)]


def test_calls_are_a_copy_and_can_be_cleared(sandbox: Sandbox, client: SandboxClient) -> None:
    client.login()
    calls = sandbox.calls
    with pytest.raises(FrozenInstanceError):
        calls[0].status = 0  # type: ignore[misc]
    calls.clear()
    assert sandbox.count() == 1
    sandbox.forget_calls()
    assert sandbox.calls == []


def test_on_call_receives_every_call() -> None:
    received: list[Any] = []
    with Sandbox(on_call=received.append) as sandbox:
        requests.get(sandbox.url, timeout=5)
        assert received == sandbox.calls != []


def test_calls_of_concurrent_clients_are_all_recorded(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: requests.get(sandbox.url, timeout=5).status_code, range(200)))
    assert statuses == [404] * 200
    assert sandbox.count("other") == 200
