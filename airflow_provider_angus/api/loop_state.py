"""The state that all asynchronous clients of an event loop share: connections, token requests, the loop's CPU time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import ClassVar
from urllib.request import getproxies

import httpx

from airflow_provider_angus.api.messages import Flow, SingleFlight
from airflow_provider_angus.api.settings import Settings, is_remote
from airflow_provider_angus.exceptions import AngusAuthError

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
        self._pools: dict[tuple[bool | str, str | None], _ClientPool] = {}
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

    @contextlib.asynccontextmanager
    async def borrow_client(self, settings: Settings, idle_timeout: float) -> AsyncIterator[httpx.AsyncClient]:
        """Lend an HTTP client for one request. Waiting for a free connection does not count as the API's time."""
        pool = self._pools.setdefault((settings.verify, settings.proxy), _ClientPool(settings))
        async with self._connections:
            await yield_to_loop()
            async with pool.borrow(idle_timeout) as http:
                yield http


class _ClientPool:
    """HTTP clients with equal TLS and proxy settings. All are closed when none has been used for a while."""

    def __init__(self, settings: Settings) -> None:
        self._verify, self._proxy = settings.verify, settings.proxy
        self._opening = asyncio.Lock()
        self._clients: dict[httpx.AsyncClient, int] = {}
        self._last_used = 0.0
        self._closing: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def borrow(self, idle_timeout: float) -> AsyncIterator[httpx.AsyncClient]:
        async with self._opening:
            if not self._clients:
                self._clients = dict.fromkeys(await self._open(), 0)
                self._closing = asyncio.ensure_future(self._close_when_idle(self._clients, idle_timeout))
            clients = self._clients
            http = min(clients, key=clients.__getitem__)
            clients[http] += 1
        try:
            yield http
        finally:
            clients[http] -= 1
            self._last_used = time.monotonic()

    async def _open(self) -> list[httpx.AsyncClient]:
        try:
            # Reading the CA bundle takes tens of milliseconds, so not on the event loop.
            tls = await asyncio.to_thread(self._create_tls_context)
            # Unencrypted requests go to this machine only, so not through a proxy on another.
            remote = [proxy for name, proxy in getproxies().items() if name in {"http", "all"} and is_remote(proxy)]
            mounts = {"http://": None} if remote and not self._proxy else None
            limits = httpx.Limits(max_keepalive_connections=MAX_CONNECTIONS // _CLIENTS)
            cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
            return [
                httpx.AsyncClient(
                    verify=tls,
                    proxy=self._proxy,
                    mounts=mounts,
                    limits=limits,
                    cookies=cookies,
                    timeout=None,  # noqa: S113 (AngusAsyncClient limits the duration of the complete response)
                )
                for _ in range(_CLIENTS)
            ]
        except httpx.InvalidURL:
            # Its text may contain a part of a password.
            raise AngusAuthError("Check the connection's proxy and the environment's proxies: invalid URL.") from None
        except (OSError, ValueError, ImportError) as error:
            raise AngusAuthError(
                f"Check the connection's verify and proxy and the environment's proxies: {error}"
            ) from error

    def _create_tls_context(self) -> ssl.SSLContext:
        if isinstance(self._verify, str):
            return ssl.create_default_context(cafile=self._verify)
        return httpx.create_ssl_context(verify=self._verify)

    async def _close_when_idle(self, clients: dict[httpx.AsyncClient, int], idle_timeout: float) -> None:
        try:
            while any(clients.values()) or time.monotonic() < self._last_used + idle_timeout:  # noqa: ASYNC110 (a timer)
                await asyncio.sleep(idle_timeout)
        finally:
            # Also when the event loop ends. The next client reads the CA bundle again.
            self._clients = {}
            for http in clients:
                await http.aclose()
