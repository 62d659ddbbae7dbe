"""The asynchronous client and its event loop: connections, limits, idle closing, cancellation, the end of the loop."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest
from clients import run
from http_servers import HttpServer
from paged_sandbox import HOURS
from samples import DAY, sandbox_settings

from airflow_provider_angus.api.async_client import AngusAsyncClient
from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.loop_state import MAX_CONNECTIONS
from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import AngusUnavailableError
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from http_servers import SocketServer
    from paged_sandbox import PagedSandbox

    from airflow_provider_angus.api.settings import Settings
    from airflow_provider_angus.model.entities import Row


async def fetch(settings: Settings, tokens: TokenCache | None = None) -> list[Row]:
    return await AngusAsyncClient(settings, tokens=tokens or TokenCache()).get_entities("passing_by", DAY, "by_day")


async def gather(fetches: list[Awaitable[list[Row]]]) -> list[Any]:
    return await asyncio.gather(*fetches)


async def wait_until_closed(server: SocketServer) -> None:
    """Wait until the server sees no open connection, without blocking the event loop."""
    assert await asyncio.to_thread(server.wait_until_closed)


def server_settings(sandbox: Sandbox, server: SocketServer, **changes: Any) -> Settings:
    return sandbox_settings(sandbox, console_url=server.url, data_url=server.url, verify=False, **changes)


def test_async_client_keeps_the_loop_free_while_it_waits() -> None:
    async def main(settings: Settings) -> int:
        client = AngusAsyncClient(settings, tokens=TokenCache(), retry_policy=RetryPolicy(attempts=1))
        fetching, iterations = asyncio.ensure_future(client.get_entities("passing_by", DAY, "by_day")), 0
        while not fetching.done():
            await asyncio.wait([fetching], timeout=0.01)
            iterations += 1
        with pytest.raises(AngusUnavailableError, match=r"no complete response within 0.2 s\.$"):
            await fetching
        return iterations

    with Sandbox(latency=60) as sandbox:
        assert run(main(sandbox_settings(sandbox, timeout=0.2))) > 4


def test_async_clients_share_a_connection(sandbox: Sandbox) -> None:
    async def main(settings: Settings) -> list[list[Row]]:
        return [await fetch(settings) for _ in range(20)]

    with HttpServer() as server:
        assert run(main(server_settings(sandbox, server))) == [[]] * 20
        assert server.accepted == 1
        assert server.wait_until_closed()


def test_async_clients_never_open_too_many_connections(sandbox: Sandbox) -> None:
    """Waiting for a free connection takes longer than the time-out, which does not count it."""
    seconds, rounds = 1.0, 5
    tokens = TokenCache()

    with HttpServer(lambda exchange: (exchange.wait(seconds), exchange.send())) as server:
        settings = server_settings(sandbox, server, timeout=seconds * (rounds - 1))
        fetches = [fetch(settings, tokens) for _ in range(rounds * MAX_CONNECTIONS)]
        assert run(gather(fetches)) == [[]] * rounds * MAX_CONNECTIONS
        assert server.max_open <= MAX_CONNECTIONS
        assert len(server.requests) == 1 + rounds * MAX_CONNECTIONS


def test_async_client_closes_idle_connections(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next query opens new ones."""
    monkeypatch.setattr(AngusAsyncClient, "idle_timeout", 0.02)

    async def main(server: HttpServer) -> None:
        for accepted in (1, 2, 3):
            assert await fetch(server_settings(sandbox, server)) == []
            assert server.accepted == accepted
            await wait_until_closed(server)

    with HttpServer() as server:
        run(main(server))


def test_async_client_keeps_connections_in_use(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that takes longer than the idle time-out arrives all the same."""
    monkeypatch.setattr(AngusAsyncClient, "idle_timeout", 0.02)
    with HttpServer(lambda exchange: (exchange.wait(0.2), exchange.send())) as server:
        assert run(fetch(server_settings(sandbox, server))) == []
        assert len(server.requests) == 2


def test_async_client_cancelled_while_opening_connections_leaves_none(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AngusAsyncClient, "idle_timeout", 0.02)

    async def main(server: HttpServer) -> None:
        settings = server_settings(sandbox, server)
        for _ in range(2):
            assert await fetch(settings) == []
            await wait_until_closed(server)
            fetching = asyncio.ensure_future(fetch(settings))
            await asyncio.sleep(0)
            fetching.cancel()

    with HttpServer() as server:
        run(main(server))
        assert server.wait_until_closed()


def test_async_client_cancelled_leaves_no_task_and_no_connection(
    paged_sandbox: PagedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AngusAsyncClient, "idle_timeout", 0.02)

    async def main() -> None:
        others = asyncio.all_tasks()
        client = AngusAsyncClient(sandbox_settings(paged_sandbox, timeout=600), tokens=TokenCache())
        fetching = asyncio.ensure_future(client.get_entities("passing_by", HOURS, "by_hour"))
        await asyncio.to_thread(requested.wait, 30)
        fetching.cancel()
        await asyncio.wait({fetching}, timeout=20)
        assert fetching.cancelled()
        # The task that closes idle connections ends last.
        while remaining := asyncio.all_tasks() - others:
            await asyncio.wait(remaining, timeout=30)
        # A transport closes its socket in a later iteration of the loop.
        for _ in range(500):
            if not paged_sandbox.connections:
                break
            await asyncio.sleep(0.02)
        assert paged_sandbox.connections == 0

    with paged_sandbox.hold(2, 3, 4, 5) as requested:
        run(main())


def test_async_client_leaves_no_connection_at_the_end_of_the_loop(paged_sandbox: PagedSandbox) -> None:
    client = AngusAsyncClient(sandbox_settings(paged_sandbox), tokens=TokenCache())
    assert len(run(client.get_entities("passing_by", HOURS, "by_hour"))) == 26
    assert paged_sandbox.connections == 0


def test_async_client_interrupted_by_the_end_of_the_loop_leaves_no_connection(paged_sandbox: PagedSandbox) -> None:
    async def main() -> None:
        client = AngusAsyncClient(sandbox_settings(paged_sandbox, timeout=600), tokens=TokenCache())
        fetching = asyncio.ensure_future(client.get_entities("passing_by", HOURS, "by_hour"))
        await asyncio.to_thread(requested.wait, 30)
        assert not fetching.done()

    with paged_sandbox.hold(2, 3, 4, 5) as requested:
        run(main())
        assert paged_sandbox.connections == 0


def test_event_loops_share_only_the_token(sandbox: Sandbox) -> None:
    tokens = TokenCache()
    rows = [run(fetch(sandbox_settings(sandbox), tokens)) for _ in range(3)]
    assert rows[0] == rows[1] == rows[2]
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 3)


def test_ended_event_loops_are_released(sandbox: Sandbox) -> None:
    """All but the last."""
    loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    async def main() -> None:
        loops.add(asyncio.get_running_loop())
        await fetch(sandbox_settings(sandbox, verify=False))

    for _ in range(4):
        run(main())
    gc.collect()
    assert len(loops) <= 1


def test_event_loops_in_several_threads(sandbox: Sandbox) -> None:
    async def main() -> list[list[Row]]:
        return await asyncio.gather(*(asyncio.to_thread(run, fetch(settings, tokens)) for _ in range(24)))

    settings, tokens = sandbox_settings(sandbox, verify=False), TokenCache()
    assert [len(rows) for rows in run(main())] == [1] * 24
