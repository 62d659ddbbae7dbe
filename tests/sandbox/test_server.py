"""The sandbox as a thing to test with: trouble on order, the log of calls, the clock, start and stop."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_angus.sandbox import Clock, Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

ASKED = {"metrics": "passing_by", "from_date": "2017-09-03T00:00:00+00:00"}


# --- trouble ---


def test_a_failure_on_order_takes_one_turn(sandbox: Sandbox, client: Client) -> None:
    sandbox.fail_next(503, headers={"Retry-After": "7"})
    response = client.login()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert "503" in response.text
    assert client.login().status_code == 200


def test_failures_wait_in_line_for_their_endpoint(sandbox: Sandbox, client: Client) -> None:
    sandbox.fail_next(502, on="entities", times=2)
    sandbox.fail_next(429, on="token")
    sandbox.fail_next(500)
    statuses = [client.login().status_code for _ in range(3)]
    assert statuses == [429, 500, 200]
    header = f"Bearer {client.token()}"
    assert [client.get(header, **ASKED).status_code for _ in range(3)] == [502, 502, 200]


@pytest.mark.parametrize("status", [400, 401, 429])
def test_a_refusal_on_order_has_code_and_message(sandbox: Sandbox, client: Client, status: int) -> None:
    sandbox.fail_next(status)
    response = client.get(**ASKED)
    assert (response.status_code, set(response.json())) == (status, {"code", "message"})
    assert (response.json()["code"] == "invalid_jwt") == (status == 401)


@pytest.mark.parametrize(
    ("body", "sent"),
    [(b"\xff", b"\xff"), ("caf\xe9", "caf\xe9".encode()), ({"a": 1}, b'{"a": 1}'), ([], b"[]")],
)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_failure_says_what_was_ordered(sandbox: Sandbox, client: Client, status: int, body: str, sent: bytes) -> None:
    sandbox.fail_next(status, body=body, headers={"Content-Type": "text/plain"})
    response = client.login()
    assert (response.status_code, response.content) == (status, sent)
    assert response.headers["Content-Type"] == "text/plain"


def test_an_answer_can_be_cut(sandbox: Sandbox, client: Client) -> None:
    sandbox.fail_next(200, cut=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.login()
    sandbox.fail_next(500, body=b"123456", cut=True)
    with client.session.get(sandbox.url, stream=True, timeout=5) as response:
        assert response.headers["Content-Length"] == "6"
        assert response.raw.read(3) == b"123"
    assert client.login().status_code == 200


def test_an_answer_can_drip(sandbox: Sandbox, client: Client) -> None:
    sandbox.fail_next(200, body=b"0123456789", drip=0.01)
    began = time.monotonic()
    assert client.login().content == b"0123456789"
    assert time.monotonic() - began >= 0.09


def test_status_200_without_a_body_is_the_true_answer(sandbox: Sandbox, client: Client) -> None:
    sandbox.fail_next(200, drip=0.0, headers={"X-Ordered": "yes"})
    response = client.login()
    assert response.headers["X-Ordered"] == "yes"
    assert client.get(f"Bearer {response.json()['token']}", **ASKED).status_code == 200


def test_status_0_closes_the_connection_without_an_answer(sandbox: Sandbox, client: Client) -> None:
    sandbox.fail_next(0)
    with pytest.raises(requests.ConnectionError, match="Remote end closed connection without response"):
        client.login()
    assert [call.status for call in sandbox.calls] == [0]
    assert client.login().status_code == 200


def test_an_answer_can_be_changed(sandbox: Sandbox, client: Client) -> None:
    sandbox.change_next(lambda page: page | {"total_results": page["total_results"] + 1}, on="entities")
    assert client.ask(ASKED["from_date"])["total_results"] == 2
    assert client.ask(ASKED["from_date"])["total_results"] == 1
    sandbox.change_next(lambda _: None, times=2)
    assert [client.login().text for _ in range(2)] == ["null", "null"]


def test_changes_and_failures_wait_in_one_line(sandbox: Sandbox, client: Client) -> None:
    sandbox.change_next(lambda _: "changed")
    sandbox.fail_next(500)
    sandbox.change_next(lambda _: "changed again")
    answers = [client.login() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert [answers[0].json(), answers[2].json()] == ["changed", "changed again"]


def test_latency_comes_before_each_answer() -> None:
    with Sandbox(latency=0.05) as sandbox:
        began = time.monotonic()
        requests.get(sandbox.url, timeout=5)
        assert time.monotonic() - began >= 0.05


# --- calls ---


def test_every_call_is_written_down(sandbox: Sandbox, client: Client) -> None:
    stream = list(sandbox.streams)[1]
    header = f"Bearer {client.token(stream)}"
    client.get(header, **ASKED)
    client.get(header, **ASKED, page=2)
    client.get(**ASKED)
    client.login(client_id="nobody")
    requests.get(f"{sandbox.url}/favicon.ico", timeout=5)
    token, entities = "/api-token-authstream/", "/api/1/entities"
    calls = [(call.endpoint, call.method, call.path, call.query, call.client_id, call.status) for call in sandbox.calls]
    assert calls == [
        ("token", "POST", token, {}, stream, 200),
        ("entities", "GET", entities, ASKED, stream, 200),
        ("entities", "GET", entities, ASKED | {"page": "2"}, stream, 400),
        ("entities", "GET", entities, ASKED, None, 401),
        ("token", "POST", token, {}, "nobody", 400),
        ("other", "GET", "/favicon.ico", {}, None, 404),
    ]
    assert [sandbox.count(endpoint) for endpoint in (None, "token", "entities", "other")] == [6, 2, 3, 1]


def test_a_call_that_was_made_to_fail_keeps_its_stream(sandbox: Sandbox, client: Client) -> None:
    sandbox.fail_next(500)
    client.login()
    sandbox.change_next(lambda _: None)
    client.login()
    stream = next(iter(sandbox.streams))
    assert [(call.client_id, call.status) for call in sandbox.calls] == [(stream, 500), (stream, 200)]


def test_calls_are_a_copy_and_can_be_forgotten(sandbox: Sandbox, client: Client) -> None:
    client.login()
    calls = sandbox.calls
    with pytest.raises(FrozenInstanceError):
        calls[0].status = 0  # type: ignore[misc]
    calls.clear()
    assert sandbox.count() == 1
    sandbox.forget_calls()
    assert sandbox.calls == []


def test_calls_are_handed_on() -> None:
    seen: list[Any] = []
    with Sandbox(on_call=seen.append) as sandbox:
        requests.get(sandbox.url, timeout=5)
        assert seen == sandbox.calls != []


def test_many_clients_at_once_are_all_answered_and_counted(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: requests.get(sandbox.url, timeout=5).status_code, range(200)))
    assert statuses == [404] * 200
    assert sandbox.count("other") == 200


# --- clock ---


def test_the_clock_shows_the_real_time_until_it_is_set() -> None:
    clock = Clock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    clock.move(timedelta(days=-1))
    assert abs(clock.now() - datetime.now(UTC) + timedelta(days=1)) < timedelta(seconds=5)


def test_a_clock_that_is_set_stands_still_and_shows_utc() -> None:
    clock = Clock()
    clock.move(timedelta(days=1))
    clock.set(datetime(2017, 9, 3, 2, tzinfo=timezone(timedelta(hours=2))))
    assert [clock.now().isoformat() for _ in range(2)] == ["2017-09-03T00:00:00+00:00"] * 2
    clock.move(timedelta(minutes=5))
    assert clock.now() == datetime(2017, 9, 3, 0, 5, tzinfo=UTC)


def test_a_clock_needs_an_offset() -> None:
    with pytest.raises(ValueError, match="offset"):
        Clock().set(datetime(2017, 9, 3))  # noqa: DTZ001


# --- start and stop ---


def connect(sandbox: Sandbox) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5)


@pytest.fixture(autouse=True)
def _others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of earlier tests may have threads of their own left."""
    monkeypatch.setattr(wait_for_answering_threads, "others", set(threading.enumerate()), raising=False)


def wait_for_answering_threads() -> None:
    for thread in set(threading.enumerate()) - wait_for_answering_threads.others:  # type: ignore[attr-defined]
        if "process_request_thread" in thread.name:
            thread.join(5)
            assert not thread.is_alive()


def stop_and_read_the_rest(sandbox: Sandbox, connection: socket.socket) -> None:
    began = time.monotonic()
    sandbox.close()
    while connection.recv(4096):
        pass
    wait_for_answering_threads()
    assert time.monotonic() - began < 1


def test_the_connection_is_what_airflow_reads(sandbox: Sandbox) -> None:
    first, second, _ = sandbox.streams
    assert sandbox.connection() == sandbox.connection(first)
    assert json.loads(sandbox.connection_json(second)) == {
        "conn_type": "angus",
        "login": sandbox.username,
        "password": sandbox.streams[second],
        "host": sandbox.url,
        "extra": {"client_id": second, "console_url": sandbox.url},
    }


def test_streams_can_be_chosen() -> None:
    with Sandbox(streams={"shop": "secret"}) as sandbox:
        assert (sandbox.connection()["password"], sandbox.streams) == ("secret", {"shop": "secret"})


@pytest.mark.parametrize("wrong", [{"page_size": 0}, {"streams": {}}])
def test_a_sandbox_that_cannot_work_does_not_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Sandbox(**wrong)


def test_a_connection_is_kept_alive_and_cut_when_the_sandbox_stops() -> None:
    with Sandbox() as sandbox, connect(sandbox) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
        stop_and_read_the_rest(sandbox, connection)
        with pytest.raises(ConnectionRefusedError):
            connect(sandbox)


def test_stopping_does_not_wait_for_an_answer_that_drips(sandbox: Sandbox) -> None:
    sandbox.fail_next(200, drip=60)
    with connect(sandbox) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
        stop_and_read_the_rest(sandbox, connection)


def test_stopping_does_not_wait_for_latency() -> None:
    asked = threading.Event()
    with Sandbox(latency=60) as sandbox, connect(sandbox) as connection:
        sandbox.change_next(lambda _: asked.set())
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asked.wait(5)
        stop_and_read_the_rest(sandbox, connection)


def test_only_this_machine_is_served(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with socket.socket() as other:
        # The port of another address of this machine is free.
        other.bind(("127.0.0.2", port))


def test_a_client_that_goes_away_is_no_news(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    sandbox.fail_next(200, body=b"x" * 10_000, drip=0.001)
    with connect(sandbox) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1)
    wait_for_answering_threads()
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed(sandbox: Sandbox, client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    sandbox.fail_next(0)
    with pytest.raises(requests.ConnectionError):
        client.login()
    client.login()
    client.get()
    assert capfd.readouterr() == ("", "")
