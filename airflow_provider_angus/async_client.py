"""Who sends the protocol's requests from a triggerer: the driver over ``httpx``, which never blocks the event loop.

What to send and what an answer means stands in protocol.py, when to send it again in retrying.py. Here is only how:
connections that all triggers of an event loop share and that are closed when none of them asks, one token for all who
want one at a time, and the time that a whole answer may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, ClassVar, TypeVar
from weakref import WeakKeyDictionary

import httpx
import tenacity

from airflow_provider_angus.answers import Answer, raise_if_unavailable
from airflow_provider_angus.exceptions import AngusAuthError, AngusUnavailableError
from airflow_provider_angus.protocol import Alone, Pages, Stream
from airflow_provider_angus.retrying import POLICY, broken_off
from airflow_provider_angus.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from airflow_provider_angus.answers import Request
    from airflow_provider_angus.connection import Settings
    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.protocol import Flow

    T = TypeVar("T")

#: How many requests of one event loop are under way at once at most.
CONNECTIONS = 200

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

    async def get_entities(self, metrics: str | Iterable[str], interval: Interval, time: str) -> list[Row]:
        """Return the rows of an interval, whole or not at all.

        :param metrics: see :func:`~airflow_provider_angus.entities.check_metrics`.
        :param interval: half-open, in UTC.
        :param time: see :func:`~airflow_provider_angus.entities.check_time`.
        :raises AngusError: see :meth:`run`.
        """
        pages, rows = Pages(self.stream, metrics, interval, time), []
        while not pages.finished:
            rows += await self.run(pages.next_page())
        return rows

    async def run(self, flow: Flow[T]) -> T:
        """Send what a flow of the protocol asks for and return its result.

        :raises AngusUnavailableError: no answer, or 429 or 5xx, also when asked again, see retrying.py.
        :raises AngusError: whatever the flow makes of the answers.
        """
        shared = _Shared.of_this_loop()
        sent: Answer | str | None = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Alone):
                sent = await shared.alone(step, self.run)
                await self._on_token(sent)
            else:
                sent = await tenacity.AsyncRetrying(**POLICY)(self._send, shared, step)

    async def _send(self, shared: _Shared, request: Request) -> Answer:
        seconds = self._settings.timeout
        async with shared.connections(self._settings) as http:
            try:
                # Around all of it, as httpx's own time-outs begin anew with each byte.
                async with asyncio.timeout(seconds):
                    answer = await _exchange(http, request)
            except TimeoutError as error:
                raise AngusUnavailableError(f"{request} was not answered within {seconds:g} s.") from error
        raise_if_unavailable(request, answer)
        return answer


async def _exchange(http: httpx.AsyncClient, request: Request) -> Answer:
    headers = {"Authorization": f"Bearer {request.token}"} if request.token else {}
    body = b""
    begun = False
    try:
        async with http.stream(
            request.method, request.url, params=request.params, json=request.body, headers=headers
        ) as response:
            begun = True
            body = await response.aread()
            return Answer(response.status_code, response.headers, body)
    except httpx.InvalidURL as error:
        raise AngusAuthError(f"{request} cannot be sent, check the connection's URLs and proxy: {error}") from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        if begun:
            raise broken_off(request, reason) from error
        raise AngusUnavailableError(f"{request} got no answer: {reason}.") from error


class _Shared:
    """What all clients of one event loop have in common: connections, and tokens that are being fetched."""

    _of_loops: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared]] = WeakKeyDictionary()

    @classmethod
    def of_this_loop(cls) -> _Shared:
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loops:
            cls._of_loops[loop] = cls()
        return cls._of_loops[loop]

    def __init__(self) -> None:
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
        """Lend the connections for one request; waiting for a free one is not the API's time."""
        how = (settings.verify, settings.proxy)
        pool = self._pools.setdefault(how, _Pool(how))
        async with self._free, pool as http:
            yield http


class _Pool:
    """Connections that close themselves when nobody has used them for a while."""

    def __init__(self, how: tuple[bool | str, str | None]) -> None:
        self._verify, self._proxy = how
        self._users = 0
        self._made: asyncio.Future[httpx.AsyncClient] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> httpx.AsyncClient:
        self._users += 1
        if self._closing:
            self._closing.cancel()
            self._closing = None
        if self._made is None:
            # Reading the CA bundle takes tens of milliseconds, so not on the event loop.
            self._made = asyncio.ensure_future(asyncio.to_thread(self._make))
        try:
            return await asyncio.shield(self._made)
        except AngusAuthError:
            self._users, self._made = self._users - 1, None
            raise

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users:
            self._closing = asyncio.ensure_future(self._close_when_idle())

    async def _close_when_idle(self) -> None:
        await asyncio.sleep(KEPT_IDLE)
        made, self._made = self._made, None
        if made:
            await (await made).aclose()

    def _make(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        try:
            verify = ssl.create_default_context(cafile=self._verify) if isinstance(self._verify, str) else self._verify
            return httpx.AsyncClient(verify=verify, proxy=self._proxy, limits=limits, timeout=None)  # noqa: S113 (_send's)
        except (OSError, ValueError, httpx.InvalidURL) as error:
            raise AngusAuthError(f"Check the connection's verify and proxy, they cannot be used: {error}") from error
