"""Who sends the protocol's requests from a triggerer: the driver over ``httpx``, which never blocks the event loop.

What to send and what an answer means stands in protocol.py, when to send it again in retrying.py. Here is only how:
connections that all triggers of an event loop share and that are closed when none of them asks, one token for all who
want one at a time, and the time that a whole answer may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import time
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.request import getproxies

import httpx
import tenacity

from airflow_provider_angus.answers import Answer, raise_if_unavailable, shown, unusable
from airflow_provider_angus.bodies import ENCODING, Body, BodyError
from airflow_provider_angus.connection import is_elsewhere
from airflow_provider_angus.exceptions import AngusAuthError, AngusError, AngusUnavailableError
from airflow_provider_angus.protocol import Alone, Pages, Stream
from airflow_provider_angus.retrying import POLICY, broken_off
from airflow_provider_angus.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from datetime import timedelta

    from airflow_provider_angus.answers import Request
    from airflow_provider_angus.connection import Settings
    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.protocol import Flow

    T = TypeVar("T")

#: How many requests of one event loop are under way at once at most.
CONNECTIONS = 128

#: How long connections are kept when nobody asks, in seconds.
KEPT_IDLE = 5.0


async def _no_mask(_: str) -> None:
    """Mask nothing."""


class AngusAsyncClient:
    """One stream's API, asked from an event loop.

    :param settings: credentials, URLs and how to connect.
    :param on_token: awaited with each token before it is used, to mask it in logs.
    """

    def __init__(self, settings: Settings, *, on_token: Callable[[str], Awaitable[None]] = _no_mask) -> None:
        self.stream = Stream(settings.credentials, settings.console_url, settings.data_url, TOKENS)
        self._settings = settings
        self._on_token = on_token
        self._waiting = 0
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()

    async def get_entities(
        self, metrics: str | Iterable[str], interval: Interval, time: str, window: timedelta | None = None
    ) -> list[Row]:
        """Return the rows of an interval, whole or not at all; pages after the first are fetched side by side.

        :param metrics: see :func:`~airflow_provider_angus.entities.check_metrics`.
        :param interval: half-open, in UTC.
        :param time: see :func:`~airflow_provider_angus.entities.check_time`.
        :param window: see :class:`~airflow_provider_angus.windows.Windows`.
        :raises AngusUnavailableError: no answer, or 408, 429 or 5xx, also when asked again, see retrying.py.
        :raises AngusError: whatever the protocol makes of the answers.
        """
        pages = Pages(self.stream, metrics, interval, time, window)
        rows: list[Row] = []
        under_way: deque[Awaitable[dict[str, Any]]] = deque()
        try:
            while not pages.finished:
                while len(under_way) < self._settings.concurrency and (flow := pages.ask()):
                    # A page that comes alone needs no task.
                    fetched = self._run(flow)
                    under_way.append(asyncio.ensure_future(fetched) if pages.page else fetched)
                try:
                    answer = await under_way.popleft()
                except AngusError as error:
                    pages.take_error(error)
                else:
                    if pages.page:
                        await turn()
                    rows += pages.take(answer)
        finally:
            tasks = [each for each in under_way if isinstance(each, asyncio.Task)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return rows

    async def _run(self, flow: Flow[T]) -> T:
        """Send what a flow of the protocol asks for and return its result."""
        shared = _Shared.of_this_loop()
        sent: Answer | str | None = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Alone):
                sent = await shared.alone(step, self._run)
                await self._on_token(sent)
            else:
                sent = await tenacity.AsyncRetrying(sleep=self._wait, **POLICY)(self._send, shared, step)
                await turn()

    async def _wait(self, seconds: float) -> None:
        # While one request waits to be sent again, none is sent: an API that asks to wait asks all of them.
        self._waiting += 1
        self._nobody_waits.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._nobody_waits.set()

    async def _send(self, shared: _Shared, request: Request) -> Answer:
        seconds = self._settings.timeout
        await self._nobody_waits.wait()
        async with shared.connections(self._settings) as http:
            try:
                # Around all of it, as httpx's own time-outs begin anew with each byte.
                async with asyncio.timeout(seconds):
                    answer = await _exchange(http, request, self._settings.proxy_secrets)
            except TimeoutError as error:
                too_slow = AngusUnavailableError(f"{request} was not answered within {seconds:g} s.")
                too_slow.timed_out = request.has_range
                raise too_slow from error
        raise_if_unavailable(request, answer)
        return answer


async def turn() -> None:
    """Wait for one's turn to keep the event loop busy, one each time around: a thousand at once would block it."""
    async with _Shared.of_this_loop().turns:
        await asyncio.sleep(0)


async def _exchange(http: httpx.AsyncClient, request: Request, secrets: list[str]) -> Answer:
    headers = {"Accept-Encoding": ENCODING}
    if request.token:
        headers["Authorization"] = f"Bearer {request.token}"
    begun = False
    try:
        async with http.stream(
            request.method, request.url, params=request.params, json=request.body, headers=headers
        ) as response:
            begun = True
            await turn()
            body = Body(response.headers.get("Content-Encoding"))
            async for chunk in response.aiter_raw():
                body.feed(chunk)
            return Answer(response.status_code, response.headers, body.whole(), secrets)
    except BodyError as error:
        raise unusable(request, error) from error
    except (httpx.InvalidURL, ValueError, ExceptionGroup) as error:
        # A host name that is none is a ValueError, a port that is none comes in a group.
        raise AngusAuthError(f"{request} cannot be sent, check the connection's URLs and proxy: {error}") from error
    except httpx.TransportError as error:
        failure = error
    # Not where it was caught: what a message may not show, neither cause nor context may.
    said = str(failure).rstrip(".") or type(failure).__name__
    reason = shown(said, [*request.secrets, *secrets])
    cause = failure if reason == said else None
    if begun:
        raise broken_off(request, reason) from cause
    raise AngusUnavailableError(f"{request} got no answer: {reason}.") from cause


@cache
def _leave_alone_what_is_there() -> None:
    """Freeze the garbage collector's objects, once a process, as Airflow does in its executor and DAG processor.

    Else each full collection walks through all that Airflow has imported, and blocks the event loop for a quarter of a
    second.
    """
    gc.freeze()


class _Shared:
    """What all clients of one event loop have in common: connections, and tokens that are being fetched."""

    _of_loops: ClassVar[dict[asyncio.AbstractEventLoop, _Shared]] = {}

    @classmethod
    def of_this_loop(cls) -> _Shared:
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loops:
            # Not by weak references: what the clients of a loop share holds the loop.
            for ended in [each for each in cls._of_loops if each.is_closed()]:
                del cls._of_loops[ended]
            cls._of_loops[loop] = cls()
        return cls._of_loops[loop]

    def __init__(self) -> None:
        _leave_alone_what_is_there()
        self.turns = asyncio.Lock()
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._pools: dict[tuple[bool | str, str | None], _Pool] = {}
        self._fetched: dict[str, asyncio.Task[str]] = {}

    async def alone(self, step: Alone, run: Callable[[Flow[str]], Awaitable[str]]) -> str:
        """Run a flow once for all who want it at the same time; all get its result, or its error."""
        if step.key not in self._fetched:
            # A task of its own: that one of those who wait is cancelled must not take the token from the others.
            task = asyncio.ensure_future(run(step.flow))
            self._fetched[step.key] = task
            task.add_done_callback(lambda _: self._fetched.pop(step.key))
        else:
            step.flow.close()
        return await asyncio.shield(self._fetched[step.key])

    @contextlib.asynccontextmanager
    async def connections(self, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a connection for one request; waiting for a free one is not the API's time."""
        how = (settings.verify, settings.proxy)
        pool = self._pools.setdefault(how, _Pool(how))
        async with self._free:
            await turn()
            async with pool.lent() as http:
                yield http


class _Pool:
    """Clients, each lent to one request at a time, that are closed when nobody has used them for a while.

    One client with many connections would not do: for each request httpcore looks at every connection once for every
    idle one, which at 200 would keep the event loop busy for 20 ms.
    """

    def __init__(self, how: tuple[bool | str, str | None]) -> None:
        self._verify, self._proxy = how
        self._tls: asyncio.Future[ssl.SSLContext] | None = None
        #: With the time when each was given back. The last one is lent first, so that the others can close.
        self._idle: deque[tuple[float, httpx.AsyncClient]] = deque()
        self._closing: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[httpx.AsyncClient]:
        http = self._idle.pop()[1] if self._idle else await self._new()
        # Of whoever asked before.
        http.cookies.clear()
        try:
            yield http
        finally:
            self._idle.append((time.monotonic(), http))
            if self._closing is None or self._closing.done():
                self._closing = asyncio.ensure_future(self._close_idle())

    async def _new(self) -> httpx.AsyncClient:
        if self._tls is None:
            # Reading the CA bundle takes tens of milliseconds, so once, and not on the event loop.
            self._tls = asyncio.ensure_future(asyncio.to_thread(self._read_tls))
        try:
            tls = await asyncio.shield(self._tls)
            # To this machine, in clear: not by way of another, whatever the environment says.
            far = [proxy for name, proxy in getproxies().items() if name in {"http", "all"} and is_elsewhere(proxy)]
            direct = {"http://": None} if far and not self._proxy else None
            return httpx.AsyncClient(verify=tls, proxy=self._proxy, mounts=direct, timeout=None)  # noqa: S113 (_send's)
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            self._tls = None
            raise AngusAuthError(
                f"Check the connection's verify and proxy, they or the environment's proxies cannot be used: {error}"
            ) from error

    def _read_tls(self) -> ssl.SSLContext:
        if isinstance(self._verify, str):
            return ssl.create_default_context(cafile=self._verify)
        return httpx.create_ssl_context(verify=self._verify)

    async def _close_idle(self) -> None:
        try:
            while self._idle:
                await asyncio.sleep(self._idle[0][0] + KEPT_IDLE - time.monotonic())
                while self._idle and self._idle[0][0] + KEPT_IDLE <= time.monotonic():
                    await self._idle.popleft()[1].aclose()
        except asyncio.CancelledError:
            # The event loop ends.
            while self._idle:
                await self._idle.popleft()[1].aclose()
            raise
        # Who connects after a pause sees a CA bundle that was replaced meanwhile.
        self._tls = None
