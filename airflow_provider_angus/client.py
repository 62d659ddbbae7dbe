"""Who sends the protocol's requests from a worker: the driver over ``requests``.

What to send and what an answer means stands in protocol.py, when to send it again in retrying.py. Here is only how:
connections that are kept, and the time an answer may take.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Self, TypeVar

import requests
import tenacity
import urllib3

from airflow_provider_angus.answers import Answer, hidden_in, raise_if_unavailable
from airflow_provider_angus.exceptions import AngusAuthError, AngusUnavailableError
from airflow_provider_angus.hiding import hidden
from airflow_provider_angus.protocol import Alone, Pages, Stream
from airflow_provider_angus.retrying import POLICY, broken_off
from airflow_provider_angus.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_angus.answers import Request
    from airflow_provider_angus.connection import Settings
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.protocol import Flow
    from airflow_provider_angus.tokens import TokenCache

    T = TypeVar("T")

_UNSENDABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationValueError,
)
_READ_SIZE = 1 << 16


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Name none: else requests reads a redirect's body without our deadline, and fails on a strange Location."""


# Whoever fetches a token for some credentials does so alone in this process.
_ALONE: dict[str, threading.Lock] = {}


class AngusClient:
    """One stream's API, asked from a worker.

    :param settings: credentials, URLs and how to connect.
    :param tokens: where tokens are kept; by default shared by the process.
    :param on_token: called with each token before it is used, to mask it in logs.
    :param sleep: called with the seconds between two attempts.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tokens: TokenCache | None = None,
        on_token: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        tokens = TOKENS if tokens is None else tokens
        self.stream = Stream(settings.credentials, settings.console_url, settings.data_url, tokens)
        self._settings = settings
        self._on_token = on_token
        self._retrying = tenacity.Retrying(sleep=sleep, **POLICY)
        self._session = _Session()
        # An auth of its own, even an idle one, keeps requests from putting a .netrc entry in place of our header.
        self._session.auth = lambda prepared: prepared

    def close(self) -> None:
        """Close the connections to the API."""
        self._session.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections to the API."""
        self.close()

    def pages(self, metrics: str | Iterable[str], interval: Interval, time: str) -> Pages:
        """Return the pages of a question, to be read with :meth:`run`; nothing is asked yet. See :class:`Pages`."""
        return Pages(self.stream, metrics, interval, time)

    def run(self, flow: Flow[T]) -> T:
        """Send what a flow of the protocol asks for and return its result.

        :raises AngusUnavailableError: no answer, or 429 or 5xx, also when asked again, see retrying.py.
        :raises AngusError: whatever the flow makes of the answers.
        """
        sent: Answer | str | None = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Alone):
                with _ALONE.setdefault(step.key, threading.Lock()):
                    sent = self.run(step.flow)
                self._on_token(sent)
            else:
                sent = self._retrying(self._send, step)

    def _send(self, request: Request) -> Answer:
        deadline = time.monotonic() + self._settings.timeout
        proxies = {"http": self._settings.proxy, "https": self._settings.proxy} if self._settings.proxy else None
        try:
            with self._session.request(
                request.method,
                request.url,
                params=request.params,
                json=request.body,
                headers={"Authorization": f"Bearer {request.token}"} if request.token else {},
                timeout=self._settings.timeout,
                verify=self._settings.verify,
                proxies=proxies,
                allow_redirects=False,
                stream=True,
            ) as response:
                answer = Answer(response.status_code, response.headers, self._read(request, response, deadline))
        except requests.Timeout as error:
            raise self._too_slow(request) from error
        except _UNSENDABLE as error:
            # A proxy's URL, also one of the environment, may hold a password: hidden here, and the cause left out.
            reason = re.sub(r"//[^/@\s]*@", "//***@", str(error))
            raise AngusAuthError(f"{request} cannot be sent, check the connection's URLs and proxy: {reason}") from None
        except requests.RequestException as error:
            reason = hidden(said := _cause(error), self._settings.proxy_secrets)
            # Where a proxy has said its password, the cause says it too.
            raise AngusUnavailableError(f"{request} got no answer: {reason}.") from (error if reason == said else None)
        except OSError as error:
            raise AngusAuthError(f"{request} cannot be sent, check the connection's verify: {error}") from error
        answer = hidden_in(answer, self._settings.proxy_secrets)
        raise_if_unavailable(request, answer)
        return answer

    def _read(self, request: Request, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        try:
            while chunk := response.raw.read1(_READ_SIZE, decode_content=True):
                body += chunk
                if time.monotonic() > deadline:
                    raise self._too_slow(request)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise self._too_slow(request) from error
        except urllib3.exceptions.HTTPError as error:
            raise broken_off(request, _cause(error)) from error
        return bytes(body)

    def _too_slow(self, request: Request) -> AngusUnavailableError:
        return AngusUnavailableError(f"{request} was not answered within {self._settings.timeout:g} s.")


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a network error, which is the one a person can act on."""
    while isinstance(inner := getattr(error, "reason", None) or (error.args or [None])[-1], Exception):
        error = inner
    text = str(error).rsplit(">: ", 1)[-1] or type(error).__name__
    return text.rstrip(".")
