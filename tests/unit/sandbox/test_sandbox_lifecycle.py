"""Starting, connecting to and stopping a sandbox."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox_client import SandboxClient

    from airflow_provider_angus.sandbox import Incoming, Reply

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def port_of(sandbox: Sandbox) -> int:
    return int(sandbox.url.rpartition(":")[2])


def connect(sandbox: Sandbox) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(sandbox)), timeout=5)


def close_and_drain(sandbox: Sandbox, connection: socket.socket, join_connection_threads: Callable[[], None]) -> None:
    """Close the sandbox and check that the connection and its thread end within a second."""
    started = time.monotonic()
    sandbox.close()
    while connection.recv(4096):
        pass
    join_connection_threads()
    assert time.monotonic() - started < 1


def test_connection_has_airflows_json_format(sandbox: Sandbox) -> None:
    first, second, _ = sandbox.streams
    assert sandbox.connection() == sandbox.connection(first)
    assert json.loads(sandbox.connection_json(second)) == {
        "conn_type": "angus",
        "login": sandbox.username,
        "password": sandbox.streams[second],
        "host": sandbox.url,
        "extra": {"client_id": second, "console_url": sandbox.url},
    }


def test_streams_replace_the_default_streams() -> None:
    with Sandbox(streams={"shop": "secret"}) as sandbox:
        assert (sandbox.connection()["password"], sandbox.streams) == ("secret", {"shop": "secret"})


@pytest.mark.parametrize("options", [{"page_size": 0}, {"streams": {}}])
def test_sandbox_without_pages_or_streams_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Sandbox(**options)


def test_close_ends_persistent_connections(join_connection_threads: Callable[[], None]) -> None:
    with Sandbox() as sandbox, connect(sandbox) as connection:
        for _ in range(2):
            connection.sendall(REQUEST)
            assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
        close_and_drain(sandbox, connection, join_connection_threads)
        with pytest.raises(ConnectionRefusedError):
            connect(sandbox)


def test_close_does_not_wait_for_drip(sandbox: Sandbox, join_connection_threads: Callable[[], None]) -> None:
    sandbox.fail_next(200, drip=60)
    with connect(sandbox) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
        close_and_drain(sandbox, connection, join_connection_threads)


def test_close_does_not_wait_for_latency(join_connection_threads: Callable[[], None]) -> None:
    received = threading.Event()
    with Sandbox(latency=60) as sandbox, connect(sandbox) as connection:
        sandbox.change_next(lambda _: received.set())
        connection.sendall(REQUEST)
        assert received.wait(5)
        close_and_drain(sandbox, connection, join_connection_threads)


def test_close_does_not_wait_for_on_request(join_connection_threads: Callable[[], None]) -> None:
    received, release = threading.Event(), threading.Event()

    def on_request(_: Incoming, reply: Reply) -> Reply:
        received.set()
        release.wait(60)
        return reply

    with Sandbox(on_request=on_request) as sandbox, connect(sandbox) as connection:
        connection.sendall(REQUEST)
        assert received.wait(5)
        sandbox.close()
        assert connection.recv(4096) == b""
        release.set()
        join_connection_threads()
    assert sandbox.calls == []


def test_close_is_idempotent(sandbox: Sandbox) -> None:
    sandbox.close()
    sandbox.close()


def test_sandbox_listens_on_127_0_0_1_only(sandbox: Sandbox) -> None:
    """The port of another local address is free."""
    with socket.socket() as other:
        other.bind(("127.0.0.2", port_of(sandbox)))


def test_client_that_disconnects_prints_nothing(
    sandbox: Sandbox, join_connection_threads: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.fail_next(200, body=b"x" * 10_000, drip=0.001)
    with connect(sandbox) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(1)
    join_connection_threads()
    assert capfd.readouterr() == ("", "")


def test_requests_print_nothing(sandbox: Sandbox, client: SandboxClient, capfd: pytest.CaptureFixture[str]) -> None:
    sandbox.fail_next(0)
    with pytest.raises(requests.ConnectionError):
        client.login()
    client.login()
    client.get()
    assert capfd.readouterr() == ("", "")
