"""The state that all asynchronous clients of an event loop share: connections, token requests, the loop's CPU time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import ClassVar

import httpx

from airflow_provider_angus.api.messages import Flow, SingleFlight
from airflow_provider_angus.api.network import Route, find_route
from airflow_provider_angus.api.settings import Settings

#: The maximum of concurrent requests of an event loop, spread over clients with few connections each: for every
#: request, httpx searches all connections of a client.
MAX_CONNECTIONS = 128
_CLIENTS = 8


async def yield_to_loop() -> None:
    """Let at most one task do CPU work per loop iteration: a thousand at once would block the loop."""
    async with LoopState.of_running_loop().cpu_turn:
        await asyncio.sleep(0)


class LoopState:
    """The shared state of one event loop."""

    _of_loops: ClassVar[dict[asyncio.AbstractEventLoop, LoopState]] = {}

    @classmethod
    def of_running_loop(cls) -> LoopState:
        """Return the state of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loops:
            # Weak references would not do: the state refers to the loop.
            for closed in [each for each in list(cls._of_loops) if each.is_closed()]:
                # Another thread with a loop may have removed it in between.
                cls._of_loops.pop(closed, None)
            cls._of_loops[loop] = cls()
        return cls._of_loops[loop]

    def __init__(self) -> None:
        self.cpu_turn = asyncio.Lock()
        self._connections = asyncio.Semaphore(MAX_CONNECTIONS)
        self._routes: dict[tuple[bool | str, str | None, str], Route] = {}
        self._pools: dict[Route, _ClientPool] = {}
        self._tasks: dict[str, asyncio.Task[str]] = {}

    async def run_once(self, step: SingleFlight, run: Callable[[Flow[str]], Awaitable[str]]) -> str:
        """Run a flow once for all concurrent callers; all receive its result or its error."""
        if step.key not in self._tasks:
            # A task of its own: a caller that is cancelled must not cancel the others' token.
            task = asyncio.ensure_future(run(step.flow))
            self._tasks[step.key] = task
            task.add_done_callback(lambda _: self._tasks.pop(step.key))
        else:
            step.flow.close()
        return await asyncio.shield(self._tasks[step.key])

    def find_route(self, settings: Settings, url: str) -> Route:
        """Return how to connect to a URL. The environment is read once."""
        key = (settings.verify, settings.proxy, url)
        if key not in self._routes:
            self._routes[key] = find_route(settings, url)
        return self._routes[key]

    @contextlib.asynccontextmanager
    async def borrow_client(self, route: Route, idle_timeout: float) -> AsyncIterator[httpx.AsyncClient]:
        """Lend an HTTP client for one request. Waiting for a free connection does not count as the API's time."""
        if route not in self._pools:
            self._pools[route] = _ClientPool(route)
        pool = self._pools[route]
        async with self._connections:
            await yield_to_loop()
            async with pool.borrow(idle_timeout) as http:
                yield http


class _ClientPool:
    """HTTP clients of a route. All are closed when none has been used for a while, or the CA certificates change."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._opening = asyncio.Lock()
        self._clients: dict[httpx.AsyncClient, int] = {}
        self._stamp: Hashable = None
        self._last_used = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def borrow(self, idle_timeout: float) -> AsyncIterator[httpx.AsyncClient]:
        async with self._opening:
            stamp = self._route.tls.stamp()
            if not self._clients or stamp != self._stamp:
                self._clients, self._stamp = dict.fromkeys(await self._open(), 0), stamp
                closing = asyncio.ensure_future(self._close_when_idle(self._clients, idle_timeout))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            clients = self._clients
            http = min(clients, key=clients.__getitem__)
            clients[http] += 1
        try:
            yield http
        finally:
            clients[http] -= 1
            self._last_used = time.monotonic()

    async def _open(self) -> list[httpx.AsyncClient]:
        # Reading CA certificates takes tens of milliseconds, so not on the event loop.
        tls = await asyncio.to_thread(self._route.tls.create_context)
        proxy: httpx.Proxy | None = None
        if given := self._route.proxy:
            proxy_tls = tls if given.url.startswith("https:") else None
            proxy = httpx.Proxy(given.url, headers=dict(given.headers), ssl_context=proxy_tls)
        limits = httpx.Limits(max_keepalive_connections=MAX_CONNECTIONS // _CLIENTS)
        cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        return [
            httpx.AsyncClient(
                verify=tls,
                proxy=proxy,
                trust_env=False,
                limits=limits,
                cookies=cookies,
                timeout=None,  # noqa: S113 (AngusAsyncClient limits the duration of the complete response)
            )
            for _ in range(_CLIENTS)
        ]

    async def _close_when_idle(self, clients: dict[httpx.AsyncClient, int], idle_timeout: float) -> None:
        def in_use() -> bool:
            return any(clients.values()) or (
                clients is self._clients and time.monotonic() < self._last_used + idle_timeout
            )

        try:
            while in_use():  # noqa: ASYNC110 (a timer)
                await asyncio.sleep(idle_timeout)
        finally:
            # Also when the event loop ends. The next client reads the CA certificates again.
            if clients is self._clients:
                self._clients = {}
            for http in clients:
                await http.aclose()
