"""Who sends the protocol's requests from a worker: the driver over ``requests``.

What to send and what an answer means stands in protocol.py, when to send it again in retrying.py. Here is only how:
connections that are kept, and the time an answer may take.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests
import tenacity
import urllib3

from airflow_provider_angus.answers import Answer, raise_if_unavailable, shown, unusable
from airflow_provider_angus.bodies import ENCODING, Body, BodyError
from airflow_provider_angus.exceptions import AngusAuthError, AngusError, AngusUnavailableError
from airflow_provider_angus.protocol import Alone, Pages, Stream
from airflow_provider_angus.retrying import POLICY, broken_off
from airflow_provider_angus.sessions import READ_SIZE, Session
from airflow_provider_angus.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from datetime import timedelta

    from airflow_provider_angus.answers import Request
    from airflow_provider_angus.connection import Settings
    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.protocol import Flow
    from airflow_provider_angus.tokens import TokenCache

    T = TypeVar("T")

_UNSENDABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationValueError,
)


class _Reading:
    """What the threads that read one question's pages have in common.

    While one of them waits to send its request again, none sends any: an API that asks to wait asks all of them. Once
    given up, none does anything more.
    """

    def __init__(self, sleep: Callable[[float], object] | None) -> None:
        self._given_up = threading.Event()
        self._sleep = sleep or self._given_up.wait
        self._changed = threading.Condition()
        self._waiting = 0
        self._sessions: set[Session] = set()
        self.retrying = tenacity.Retrying(sleep=self._wait, **POLICY)

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._waiting += 1
        try:
            self._sleep(seconds)
        finally:
            with self._changed:
                self._waiting -= 1
                self._changed.notify_all()

    def begin(self, session: Session) -> None:
        """Wait until a request may be sent over this session.

        :raises AngusError: none may any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._given_up.is_set())
            if self._given_up.is_set():
                raise AngusError("Given up: the client has been closed, or nobody wants the rest.")
            self._sessions.add(session)

    def end(self, session: Session) -> bool:
        """Return whether a session whose request has ended can be used again."""
        with self._changed:
            self._sessions.discard(session)
            return not self._given_up.is_set()

    def give_up(self) -> None:
        """Break off what is under way."""
        with self._changed:
            self._given_up.set()
            self._changed.notify_all()
            for session in self._sessions:
                session.break_off()


# Whoever fetches a token for some credentials does so alone in this process.
_ALONE: dict[str, threading.Lock] = {}


class AngusClient:
    """One stream's API, asked from a worker.

    :param settings: credentials, URLs and how to connect.
    :param tokens: where tokens are kept; by default shared by the process.
    :param on_token: called with each token before it is used, to mask it in logs.
    :param sleep: called with the seconds between two attempts; by default they are waited for.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tokens: TokenCache | None = None,
        on_token: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        tokens = TOKENS if tokens is None else tokens
        self.stream = Stream(settings.credentials, settings.console_url, settings.data_url, tokens)
        #: How many pages are asked for at once at most.
        self.concurrency = settings.concurrency
        self._settings = settings
        self._on_token = on_token
        self._sleep = sleep
        self._idle: deque[Session] = deque()
        self._readings: set[_Reading] = set()

    def close(self) -> None:
        """Close the connections to the API, also those of another thread that waits for an answer."""
        for reading in list(self._readings):
            reading.give_up()
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections to the API."""
        self.close()

    def pages(
        self, metrics: str | Iterable[str], interval: Interval, time: str, window: timedelta | None = None
    ) -> Pages:
        """Return the pages of a question, for :meth:`read`; nothing is asked yet. See :class:`Pages`."""
        return Pages(self.stream, metrics, interval, time, window)

    def read(self, pages: Pages) -> Generator[list[Row], None, None]:
        """Yield the rows of each page, in order; those after the first are fetched side by side.

        Where windows have become shorter it yields no rows, so that whoever reads can say so.
        No more than :attr:`concurrency` pages are under way or in memory. Who closes the generator, or gets an error
        of it, leaves nothing under way.

        :raises AngusUnavailableError: no answer, or 408, 429 or 5xx, also when asked again, see retrying.py.
        :raises AngusError: whatever the protocol makes of the answers.
        """
        reading = _Reading(self._sleep)
        threads = ThreadPoolExecutor(self.concurrency, "angus-page")
        under_way: deque[Callable[[], dict[str, Any]]] = deque()
        self._readings.add(reading)
        try:
            while not pages.finished:
                while len(under_way) < self.concurrency and (flow := pages.ask()):
                    # A page that comes alone needs no thread.
                    alone = self.concurrency == 1 or not pages.page
                    fetched = partial(self._run, flow, reading)
                    under_way.append(fetched if alone else threads.submit(fetched).result)
                try:
                    answer = under_way.popleft()()
                except AngusError as error:
                    pages.take_error(error)
                    yield []
                else:
                    yield pages.take(answer)
        finally:
            reading.give_up()
            self._readings.discard(reading)
            threads.shutdown(wait=False, cancel_futures=True)
            # One connection is enough to wait for the next question.
            while len(self._idle) > 1:
                self._idle.pop().close()

    def _run(self, flow: Flow[T], reading: _Reading) -> T:
        """Send what a flow of the protocol asks for and return its result."""
        sent: Answer | str | None = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Alone):
                with _ALONE.setdefault(step.key, threading.Lock()):
                    sent = self._run(step.flow, reading)
                self._on_token(sent)
            else:
                sent = reading.retrying(self._send, step, reading)

    def _send(self, request: Request, reading: _Reading) -> Answer:
        try:
            session = self._idle.pop()
        except IndexError:
            session = Session()
        try:
            reading.begin(session)
            answer = self._exchange(session, request)
        finally:
            if reading.end(session):
                self._idle.append(session)
            else:
                session.close()
        raise_if_unavailable(request, answer)
        return answer

    def _exchange(self, session: Session, request: Request) -> Answer:
        headers = {"Accept-Encoding": ENCODING}
        if request.token:
            headers["Authorization"] = f"Bearer {request.token}"
        try:
            with session.ask(request, headers, self._settings) as response:
                body = self._read(request, response)
                return Answer(response.status_code, response.headers, body, self._settings.proxy_secrets)
        except requests.ConnectTimeout as error:
            raise self._too_slow(request, connected=False) from error
        except requests.Timeout as error:
            raise self._too_slow(request) from error
        except _UNSENDABLE as error:
            # A proxy's URL, also one of the environment, may hold a password: hidden here, and the cause left out.
            reason = re.sub(r"//[^/@\s]*@", "//***@", str(error))
            raise AngusAuthError(f"{request} cannot be sent, check the connection's URLs and proxy: {reason}") from None
        except requests.RequestException as error:
            failure = error
        except OSError as error:
            raise AngusAuthError(f"{request} cannot be sent, check the connection's verify: {error}") from error
        # Not where it was caught: what a message may not show, neither cause nor context may.
        reason, cause = self._told(request, failure)
        raise AngusUnavailableError(f"{request} got no answer: {reason}.") from cause

    def _told(self, request: Request, failure: Exception) -> tuple[str, Exception | None]:
        """Return the reason of a network error, and the error itself where it says nothing that the reason does not."""
        said = _reason(failure).rstrip(".")
        reason = shown(said, [*request.secrets, *self._settings.proxy_secrets])
        return reason, failure if reason == said else None

    def _read(self, request: Request, response: requests.Response) -> bytes:
        try:
            body = Body(response.headers.get("Content-Encoding"))
            while chunk := response.raw.read1(READ_SIZE, decode_content=False):
                body.feed(chunk)
            return body.whole()
        except BodyError as error:
            raise unusable(request, error) from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise self._too_slow(request) from error
        except urllib3.exceptions.HTTPError as error:
            failure = error
        reason, cause = self._told(request, failure)
        raise broken_off(request, reason) from cause

    def _too_slow(self, request: Request, *, connected: bool = True) -> AngusUnavailableError:
        error = AngusUnavailableError(f"{request} was not answered within {self._settings.timeout:g} s.")
        error.timed_out = connected and request.has_range
        return error


def _reason(error: BaseException) -> str:
    """Return the innermost reason of a network error, which is the one a person can act on."""
    while isinstance(inner := getattr(error, "reason", None) or (error.args or [None])[-1], Exception):
        error = inner
    return str(error).rsplit(">: ", 1)[-1] or type(error).__name__
