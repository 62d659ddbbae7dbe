"""Simulated failures: ``fail_next``, ``change_next``, ``on_request`` and latency."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_angus.sandbox import Reply, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox_client import SandboxClient

    from airflow_provider_angus.sandbox import Incoming

QUERY = {"metrics": "passing_by", "from_date": "2017-09-03T00:00:00+00:00"}


# fail_next


def test_fail_next_affects_one_request(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(503, headers={"Retry-After": "7"})
    response = client.login()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert "503" in response.text
    assert client.login().status_code == 200


def test_fail_next_applies_in_order_per_endpoint(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(502, on="entities", times=2)
    sandbox.fail_next(429, on="token")
    sandbox.fail_next(500)
    statuses = [client.login().status_code for _ in range(3)]
    assert statuses == [429, 500, 200]
    header = f"Bearer {client.token()}"
    assert [client.get(header, **QUERY).status_code for _ in range(3)] == [502, 502, 200]


@pytest.mark.parametrize("status", [400, 401, 429])
def test_fail_next_with_4xx_has_code_and_message(sandbox: Sandbox, client: SandboxClient, status: int) -> None:
    sandbox.fail_next(status)
    response = client.get(**QUERY)
    assert (response.status_code, set(response.json())) == (status, {"code", "message"})
    assert (response.json()["code"] == "invalid_jwt") == (status == 401)


@pytest.mark.parametrize(
    ("body", "sent"),
    [(b"\xff", b"\xff"), ("caf\xe9", "caf\xe9".encode()), ({"a": 1}, b'{"a": 1}'), ([], b"[]")],
)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_fail_next_sends_the_given_body(
    sandbox: Sandbox, client: SandboxClient, status: int, body: Any, sent: bytes
) -> None:
    sandbox.fail_next(status, body=body, headers={"Content-Type": "text/plain"})
    response = client.login()
    assert (response.status_code, response.content) == (status, sent)
    assert response.headers["Content-Type"] == "text/plain"


def test_fail_next_with_cut_sends_half_the_body(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(200, cut=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.login()
    sandbox.fail_next(500, body=b"123456", cut=True)
    with client.session.get(sandbox.url, stream=True, timeout=5) as response:
        assert response.headers["Content-Length"] == "6"
        assert response.raw.read(3) == b"123"
    assert client.login().status_code == 200


def test_fail_next_with_drip_pauses_between_bytes(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(200, body=b"0123456789", drip=0.01)
    started = time.monotonic()
    assert client.login().content == b"0123456789"
    assert time.monotonic() - started >= 0.09


def test_fail_next_with_200_sends_the_true_reply(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(200, drip=0.0, headers={"X-Simulated": "yes"})
    response = client.login()
    assert response.headers["X-Simulated"] == "yes"
    assert client.get(f"Bearer {response.json()['token']}", **QUERY).status_code == 200


def test_fail_next_with_0_closes_the_connection(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(0)
    with pytest.raises(requests.ConnectionError, match="Remote end closed connection without response"):
        client.login()
    assert [call.status for call in sandbox.calls] == [0]
    assert client.login().status_code == 200


# change_next


def test_change_next_replaces_the_json(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.change_next(lambda page: page | {"total_results": page["total_results"] + 1}, on="entities")
    assert client.page(QUERY["from_date"])["total_results"] == 2
    assert client.page(QUERY["from_date"])["total_results"] == 1
    sandbox.change_next(lambda _: None, times=2)
    assert [client.login().text for _ in range(2)] == ["null", "null"]


def test_change_next_and_fail_next_share_one_order(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.change_next(lambda _: "changed")
    sandbox.fail_next(500)
    sandbox.change_next(lambda _: "changed again")
    responses = [client.login() for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 500, 200]
    assert [responses[0].json(), responses[2].json()] == ["changed", "changed again"]


# on_request


def test_on_request_receives_request_and_true_reply(start: Callable[..., SandboxClient]) -> None:
    received: list[tuple[Incoming, Reply]] = []

    def on_request(incoming: Incoming, reply: Reply) -> Reply:
        received.append((incoming, reply))
        return reply

    client = start(on_request=on_request)
    stream = next(iter(client.sandbox.streams))
    login = client.login()
    page = client.get(f"Bearer {login.json()['token']}", **QUERY)
    (incoming, reply), (incoming_page, reply_page) = received
    assert (incoming.endpoint, incoming.method, incoming.path) == ("token", "POST", "/api-token-authstream/")
    assert json.loads(incoming.body)["client_id"] == stream
    assert (reply.status, reply.body, reply.client_id) == (200, login.content, stream)
    assert (incoming_page.endpoint, incoming_page.query, incoming_page.body) == ("entities", QUERY, b"")
    assert incoming_page.headers["Authorization"] == f"Bearer {login.json()['token']}"
    assert (reply_page.body, reply_page.client_id) == (page.content, stream)


def test_on_request_headers_have_title_case(start: Callable[..., SandboxClient]) -> None:
    names: list[str] = []
    client = start(on_request=lambda incoming, reply: names.extend(incoming.headers) or reply)
    requests.get(client.sandbox.url, headers={"x-REQUEST-id": "1"}, timeout=5)
    assert {"X-Request-Id", "User-Agent", "Host"} <= set(names)


def test_on_request_result_is_sent_and_recorded(start: Callable[..., SandboxClient]) -> None:
    """The call keeps the stream, although the new reply has none."""

    def on_request(incoming: Incoming, reply: Reply) -> Reply:
        return Reply(418, b"short", {"X-Hook": "yes"}) if incoming.endpoint == "token" else reply

    client = start(on_request=on_request)
    response = client.login()
    assert (response.status_code, response.content, response.headers["X-Hook"]) == (418, b"short", "yes")
    assert client.get(**QUERY).status_code == 401
    stream = next(iter(client.sandbox.streams))
    assert [(call.client_id, call.status) for call in client.sandbox.calls] == [(stream, 418), (None, 401)]


def test_on_request_receives_the_failed_reply(start: Callable[..., SandboxClient]) -> None:
    received: list[Reply] = []
    client = start(on_request=lambda _, reply: received.append(reply) or replace(reply, status=502))
    client.sandbox.fail_next(503)
    client.sandbox.change_next(lambda _: "changed")
    assert [client.login().status_code for _ in range(3)] == [502, 502, 502]
    stream = next(iter(client.sandbox.streams))
    assert [(reply.status, reply.client_id) for reply in received] == [(503, stream), (200, stream), (200, stream)]
    assert [received[1].body == b'"changed"', received[2].body == b'"changed"'] == [True, False]


def test_on_request_may_block_until_others_arrive(start: Callable[..., SandboxClient]) -> None:
    barrier = threading.Barrier(3)

    def on_request(_: Incoming, reply: Reply) -> Reply:
        barrier.wait(5)
        return reply

    client = start(on_request=on_request)
    with ThreadPoolExecutor(3) as pool:
        statuses = list(pool.map(lambda _: requests.get(client.sandbox.url, timeout=10).status_code, range(3)))
    assert statuses == [404] * 3


def test_on_request_error_closes_connection_with_traceback(
    start: Callable[..., SandboxClient],
    join_connection_threads: Callable[[], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    def on_request(incoming: Incoming, _: Reply) -> Reply:
        raise LookupError(incoming.path)

    client = start(on_request=on_request)
    with pytest.raises(requests.ConnectionError):
        client.login()
    join_connection_threads()
    assert "LookupError: /api-token-authstream/" in capfd.readouterr().err
    assert client.sandbox.calls == []


# Latency


def test_latency_delays_the_response() -> None:
    with Sandbox(latency=0.05) as sandbox:
        started = time.monotonic()
        requests.get(sandbox.url, timeout=5)
        assert time.monotonic() - started >= 0.05
