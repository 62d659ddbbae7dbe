"""The synchronous driver: it sends the requests of flows from a worker, with requests."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError, ReadTimeoutError

from airflow_provider_angus.api.auth import SHARED_TOKENS, Authenticator, TokenCache
from airflow_provider_angus.api.bodies import ACCEPT_ENCODING, BodyDecoder, BodyError
from airflow_provider_angus.api.messages import Flow, Request, Response, SingleFlight
from airflow_provider_angus.api.network import Route, find_route
from airflow_provider_angus.api.page_threads import PageThreads
from airflow_provider_angus.api.pagination import EntityPages
from airflow_provider_angus.api.redaction import quote_untrusted, safe_cause
from airflow_provider_angus.api.responses import raise_if_unavailable, timed_out
from airflow_provider_angus.api.retries import DEFAULT_RETRY_POLICY, RetryPolicy
from airflow_provider_angus.api.settings import MAX_CONCURRENCY, Settings
from airflow_provider_angus.exceptions import AngusAuthError, AngusResponseError
from airflow_provider_angus.model.entities import Row
from airflow_provider_angus.model.intervals import Interval

T = TypeVar("T")

_READ_SIZE = 1 << 16

# find_route rejects the URLs that this project knows to be invalid; these errors are for all others.
_INVALID_URL = (InvalidSchema, InvalidURL, LocationValueError, UnicodeError)


class AngusClient:
    """A synchronous client of one stream.

    :param settings: credentials, URLs and network settings.
    :param tokens: the token cache; by default that of the process.
    :param retry_policy: when to repeat a request.
    :param on_token: called with each token before its first use, to mask it in logs.
    :param sleep: called with the seconds between two attempts; by default the thread waits.

    Example::

        with AngusHook("angus_default").get_conn() as client:
            day = explicit_interval("2017-09-03", "2017-09-04")
            rows = [row for page in client.read(client.pages("passing_by", day, "by_hour")) for row in page]
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tokens: TokenCache = SHARED_TOKENS,
        retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
        on_token: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.client_id = settings.credentials.client_id
        #: The maximum of concurrent page requests of one query.
        self.concurrency = settings.concurrency
        self._authenticator = Authenticator(settings.credentials, settings.console_url, tokens)
        self._settings, self._tokens, self._on_token = settings, tokens, on_token
        self._retry_policy, self._sleep = retry_policy, sleep
        self._routes: dict[str, Route] = {}
        self._sessions: dict[Hashable, _Session] = {}
        self._lock = threading.Lock()
        self._reading: set[PageThreads] = set()

    def close(self) -> None:
        """Cancel all fetches. A request in progress ends within ``timeout`` seconds; its response is dropped."""
        for threads in list(self._reading):
            threads.cancel()
        self._close_connections()

    def _close_connections(self) -> None:
        for session in list(self._sessions.values()):
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pages(
        self, metrics: str | Iterable[str], interval: Interval, time: str, window: timedelta | None = None
    ) -> EntityPages:
        """Return the pages of a query for :meth:`read`, without sending a request.

        :param metrics: names, or one text of names separated by commas.
        :param interval: the range, in UTC, half-open.
        :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval).
        :param window: the length of one request's range; None: the whole interval.
        :raises AngusRequestError: metrics, time or window are invalid.
        """
        return EntityPages(self._authenticator, self._settings.data_url, metrics, interval, time, window)

    def read(self, pages: EntityPages) -> Generator[list[Row], None, None]:
        """Yield the rows of each page, in order. Pages after the first are fetched concurrently.

        At most :attr:`concurrency` pages are in progress or in memory. Closing the generator cancels the rest.

        :param pages: the result of :meth:`pages`. It can be read once.
        :raises AngusUnavailableError: no response, or 408, 429 or 5xx, also after retries.
        :raises AngusError: any other error of the API's rules.
        """
        threads = PageThreads(self._retry_policy, self._sleep)
        in_progress: deque[Callable[[], dict[str, Any]]] = deque()
        self._reading.add(threads)
        try:
            while not pages.finished:
                while len(in_progress) < self.concurrency and (flow := pages.next_page()):
                    run = partial(self._run, flow, threads)
                    # The first page of a window is fetched alone and needs no thread.
                    sequential = self.concurrency == 1 or not pages.page
                    in_progress.append(run if sequential else threads.start(run))
                yield pages.accept(in_progress.popleft()())
        finally:
            threads.cancel()
            self._reading.discard(threads)

    def _run(self, flow: Flow[T], threads: PageThreads) -> T:
        """Run a flow and return its result."""
        result: Response | str | None = None
        while True:
            try:
                step = flow.send(result)
            except StopIteration as end:
                value: T = end.value
                return value
            if isinstance(step, SingleFlight):
                with self._tokens.lock(step.key):
                    result = self._run(step.flow, threads)
                self._on_token(result)
            else:
                result = threads.retrying(self._send, step, threads)

    def _send(self, request: Request, threads: PageThreads) -> Response:
        threads.wait_until_resumed()
        response = self._exchange(request)
        if threads.cancelled:
            # The connection may have been opened after close().
            self._close_connections()
        threads.raise_if_cancelled()
        raise_if_unavailable(request, response)
        return response

    def _exchange(self, request: Request) -> Response:
        timeout = self._settings.timeout
        route = self._find_route(request.url)
        session = self._session(route)
        deadline = time.monotonic() + timeout
        with (
            _map_transport_errors(request, route, timeout),
            session.request(
                request.method,
                request.url,
                params=dict(request.params),
                json=request.body,
                headers={"Accept-Encoding": ACCEPT_ENCODING},
                auth=_BearerAuth(request.token),
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            body = BodyDecoder(response.headers.get("Content-Encoding"))
            while chunk := response.raw.read1(_READ_SIZE, decode_content=False):
                if time.monotonic() > deadline:
                    raise requests.Timeout
                body.feed(chunk)
            secrets = [*request.secrets, *route.secrets]
            received = Response(response.status_code, response.headers, body.finish(), secrets)
        route.raise_if_refused(request, received)
        return received

    def _find_route(self, url: str) -> Route:
        if url not in self._routes:
            self._routes[url] = find_route(self._settings, url)
        return self._routes[url]

    def _session(self, route: Route) -> _Session:
        """Return the session of a route, a new one if the CA certificates were replaced."""
        key = (route, route.tls.stamp())
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = _Session(route)
            return self._sessions[key]


class _Session(requests.Session):
    """A session for several threads: no cookies, no redirects, nothing from the environment or a ``.netrc``."""

    def __init__(self, route: Route) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = route.tls.path is not None
        if route.proxy:
            self.proxies = dict.fromkeys(("http", "https"), route.proxy.url.replace("socks5://", "socks5h://"))
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(route)
        for scheme in ("https://", "http://"):
            self.mount(scheme, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: requests would read the body of a redirect without a limit, even if it does not follow it."""


class _Adapter(HTTPAdapter):
    """Connects as a route says: to servers and to proxies with its TLS context."""

    def __init__(self, route: Route) -> None:
        self._route, self._tls = route, route.tls.create_context()
        super().__init__(pool_maxsize=MAX_CONCURRENCY)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if not proxy.startswith("socks"):
            kwargs["proxy_ssl_context"] = self._tls
        return super().proxy_manager_for(proxy, ssl_context=self._tls, **kwargs)

    def proxy_headers(self, proxy: str) -> dict[str, str]:  # noqa: ARG002 (of the base class)
        return dict(self._route.proxy.headers) if self._route.proxy else {}

    def cert_verify(self, *_: Any) -> None:
        """Add no CA certificates to those of the TLS context."""


class _BearerAuth(requests.auth.AuthBase):
    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@contextmanager
def _map_transport_errors(request: Request, route: Route, timeout: float) -> Iterator[None]:
    """Translate the errors of requests and urllib3. A cause that contains a secret is dropped."""
    try:
        yield
    except BodyError as error:
        raise AngusResponseError(f"{request}: unreadable body: {error}.") from error
    except (requests.Timeout, ReadTimeoutError) as error:
        raise timed_out(request, timeout) from error
    except _INVALID_URL as error:
        # Its text may contain a part of a secret.
        raise AngusAuthError(
            f"{request}: invalid URL, check the connection's URLs and proxy: {type(error).__name__}."
        ) from None
    except (requests.RequestException, HTTPError, OSError) as error:
        secrets = [*request.secrets, *route.secrets]
        text, cause = _innermost_text(error), safe_cause(error, secrets)
        if isinstance(error, HTTPError):
            reason = quote_untrusted(text.rstrip("."), secrets)
            raise AngusResponseError(f"{request}: incomplete body: {reason}.", truncated=True) from cause
        raise route.no_response(request, error, text) from cause


def _innermost_text(error: BaseException) -> str:
    while isinstance(inner := getattr(error, "reason", None) or (error.args or [None])[-1], Exception):
        error = inner
    # It starts with the connection's repr and ": ".
    text = str(error).split(": ", 1)[-1] if isinstance(error, NewConnectionError) else str(error)
    return text or type(error).__name__
