"""The asynchronous driver: it sends the requests of flows from a triggerer, with httpx. It never blocks the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

import httpx
import tenacity

from airflow_provider_angus.api.auth import SHARED_TOKENS, Authenticator, TokenCache
from airflow_provider_angus.api.bodies import ACCEPT_ENCODING, BodyDecoder, BodyError
from airflow_provider_angus.api.loop_state import LoopState, yield_to_loop
from airflow_provider_angus.api.messages import Flow, Request, Response, SingleFlight
from airflow_provider_angus.api.network import REFUSED_TUNNEL, Route
from airflow_provider_angus.api.pagination import EntityPages
from airflow_provider_angus.api.redaction import quote_untrusted, safe_cause
from airflow_provider_angus.api.responses import raise_if_unavailable, timed_out
from airflow_provider_angus.api.retries import DEFAULT_RETRY_POLICY, RetryPolicy
from airflow_provider_angus.api.settings import Settings
from airflow_provider_angus.exceptions import AngusAuthError, AngusResponseError
from airflow_provider_angus.model.entities import Row
from airflow_provider_angus.model.intervals import Interval

T = TypeVar("T")


async def _ignore(_: str) -> None:
    pass


class AngusAsyncClient:
    """An asynchronous client of one stream. All clients of an event loop share connections and token requests.

    :param settings: credentials, URLs and network settings.
    :param tokens: the token cache; by default that of the process.
    :param retry_policy: when to repeat a request.
    :param on_token: awaited with each token before its first use, to mask it in logs.

    Example::

        async def fetch():
            client = await AngusHook("angus_default").get_async_conn()
            return await client.get_entities("passing_by", explicit_interval("2017-09-03", "2017-09-04"), "by_hour")


        assert len(asyncio.run(fetch())) == 24
    """

    #: Seconds after the last request after which connections are closed.
    idle_timeout: ClassVar[float] = 5.0

    def __init__(
        self,
        settings: Settings,
        *,
        tokens: TokenCache = SHARED_TOKENS,
        retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
        on_token: Callable[[str], Awaitable[None]] = _ignore,
    ) -> None:
        self.client_id = settings.credentials.client_id
        self._authenticator = Authenticator(settings.credentials, settings.console_url, tokens)
        self._settings, self._on_token = settings, on_token
        self._retry_arguments = retry_policy.tenacity_arguments()
        self._pauses = 0
        self._resumed = asyncio.Event()
        self._resumed.set()

    async def get_entities(
        self, metrics: str | Iterable[str], interval: Interval, time: str, window: timedelta | None = None
    ) -> list[Row]:
        """Return the rows of an interval, all or none. Pages after the first are fetched concurrently.

        :param metrics: names, or one text of names separated by commas.
        :param interval: the range, in UTC, half-open.
        :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval).
        :param window: the length of one request's range; None: the whole interval.
        :raises AngusUnavailableError: no response, or 408, 429 or 5xx, also after retries.
        :raises AngusError: any other error of the API's rules.
        """
        pages = EntityPages(self._authenticator, self._settings.data_url, metrics, interval, time, window)
        rows: list[Row] = []
        in_progress: deque[Awaitable[dict[str, Any]]] = deque()
        try:
            while not pages.finished:
                while len(in_progress) < self._settings.concurrency and (flow := pages.next_page()):
                    # The first page of a window is fetched alone and needs no task.
                    run = self._run(flow)
                    in_progress.append(asyncio.ensure_future(run) if pages.page else run)
                body = await in_progress.popleft()
                if pages.page:
                    await yield_to_loop()
                rows += pages.accept(body)
        finally:
            tasks = [each for each in in_progress if isinstance(each, asyncio.Task)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return rows

    async def _run(self, flow: Flow[T]) -> T:
        """Run a flow and return its result."""
        shared = LoopState.of_running_loop()
        result: Response | str | None = None
        while True:
            try:
                step = flow.send(result)
            except StopIteration as end:
                value: T = end.value
                return value
            if isinstance(step, SingleFlight):
                result = await shared.run_once(step, self._run)
                await self._on_token(result)
            else:
                # A new object each time: AsyncRetrying keeps the state of its call.
                retrying = tenacity.AsyncRetrying(sleep=self._pause, **self._retry_arguments)
                result = await retrying(self._send, shared, step)
                await yield_to_loop()

    async def _pause(self, seconds: float) -> None:
        # An API that asks one request to wait asks all of them.
        self._pauses += 1
        self._resumed.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._pauses -= 1
            if not self._pauses:
                self._resumed.set()

    async def _send(self, shared: LoopState, request: Request) -> Response:
        timeout = self._settings.timeout
        await self._resumed.wait()
        route = shared.find_route(self._settings, request.url)
        async with shared.borrow_client(route, self.idle_timeout) as http:
            with _map_transport_errors(request, route, timeout):
                # httpx's own time-outs restart with every byte.
                async with asyncio.timeout(timeout):
                    response = await _exchange(http, request, route)
        route.raise_if_refused(request, response)
        raise_if_unavailable(request, response)
        return response


async def _exchange(http: httpx.AsyncClient, request: Request, route: Route) -> Response:
    headers = {"Accept-Encoding": ACCEPT_ENCODING}
    if request.token:
        headers["Authorization"] = f"Bearer {request.token}"
    async with http.stream(
        request.method, request.url, params=request.params, json=request.body, headers=headers
    ) as response:
        await yield_to_loop()
        body = BodyDecoder(response.headers.get("Content-Encoding"))
        try:
            async for chunk in response.aiter_raw():
                body.feed(chunk)
        except (httpx.TransportError, OSError) as error:
            raise _IncompleteBodyError(error) from error
        secrets = [*request.secrets, *route.secrets]
        return Response(response.status_code, response.headers, body.finish(), secrets)


class _IncompleteBodyError(Exception):
    """The connection failed after the headers; ``args[0]`` is the library's error."""


@contextlib.contextmanager
def _map_transport_errors(request: Request, route: Route, timeout: float) -> Iterator[None]:
    """Translate the errors of httpx. A cause that contains a secret is dropped."""
    try:
        yield
    except TimeoutError as error:
        raise timed_out(request, timeout) from error
    except BodyError as error:
        raise AngusResponseError(f"{request}: unreadable body: {error}.") from error
    except (httpx.TransportError, OSError, _IncompleteBodyError) as error:
        # Errors of TLS after the handshake are OSErrors that httpx does not translate.
        original = error.args[0] if isinstance(error, _IncompleteBodyError) else error
        secrets = [*request.secrets, *route.secrets]
        text, cause = str(original) or type(original).__name__, safe_cause(original, secrets)
        if isinstance(error, _IncompleteBodyError):
            reason = quote_untrusted(text.rstrip("."), secrets)
            raise AngusResponseError(f"{request}: incomplete body: {reason}.", truncated=True) from cause
        refused = REFUSED_TUNNEL if isinstance(original, httpx.ProxyError) else ""
        raise route.no_response(request, original, refused + text) from cause
    except (httpx.InvalidURL, ValueError, ExceptionGroup) as error:
        # Its text may contain a part of a secret.
        raise AngusAuthError(
            f"{request}: invalid URL, check the connection's URLs and proxy: {type(error).__name__}."
        ) from None
