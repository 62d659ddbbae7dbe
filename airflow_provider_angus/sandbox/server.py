"""All of it over HTTP: a server on this machine only, the trouble ordered from it, what it was asked."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from socket import SHUT_RDWR, socket
from socketserver import ThreadingTCPServer
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl
from uuid import NAMESPACE_URL, uuid5

from airflow_provider_angus.sandbox.api import Answer, Api, Endpoint, Request, json_answer
from airflow_provider_angus.sandbox.clock import Clock
from airflow_provider_angus.sandbox.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_STREAMS = {
    str(uuid5(NAMESPACE_URL, f"angus {shop} id")): str(uuid5(NAMESPACE_URL, f"angus {shop} token"))
    for shop in ("bookshop", "boutique", "florist")
}


@dataclass(frozen=True)
class Call:
    """One request and the status it was answered with; 0 if the connection was closed without a word."""

    endpoint: Endpoint
    method: str
    path: str
    query: dict[str, str]
    client_id: str | None
    status: int


class Sandbox:
    """A local Angus.ai; it serves from the moment it is made until :meth:`close` or the end of ``with``."""

    def __init__(  # noqa: PLR0913 - each has a default
        self,
        *,
        port: int = 0,
        page_size: int = 100,
        latency: float = 0.0,
        token_lifetime: float = 18_000,
        lag: float = 60,
        max_range: timedelta | None = None,
        streams: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        """Start to serve on 127.0.0.1.

        :param port: the port; 0 picks a free one.
        :param page_size: buckets per page; the API page documents none.
        :param latency: seconds before each answer.
        :param token_lifetime: seconds of real time; about 5 hours in the API's sample.
        :param lag: seconds until what a camera saw can be read; the vendor says about a minute.
        :param max_range: the longest range that is answered, longer ones are refused with 400; the API page
            documents none.
        :param streams: client id -> access token; three made-up shops, always the same, if not given.
        :param clock: decides which data exists; a new one that shows the real time if not given.
        :param on_call: is handed every call when it is answered, in the thread that answers it.
        :raises OSError: the port is taken or not allowed.
        :raises ValueError: ``page_size`` is less than 1, or there is no stream.
        """
        self.username = "sandbox@angus.example"
        self.streams = dict(_STREAMS if streams is None else streams)
        self.clock = clock or Clock()
        if page_size < 1 or not self.streams:
            raise ValueError("A sandbox needs at least one stream, and at least one bucket per page.")
        self._tokens = Tokens(self.username, token_lifetime)
        known = timedelta(seconds=lag), max_range
        self._api = Api(self.username, self.streams, self._tokens, self.clock, page_size, *known)
        self._latency, self._on_call = latency, on_call
        self._lock = Lock()
        self._orders: list[tuple[Endpoint | None, Callable[[Answer], Answer]]] = []
        self._calls: list[Call] = []
        self._server = _Server(port, self._answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    def __enter__(self) -> Self:
        """Return the sandbox, which is running already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.close()

    def close(self) -> None:
        """Stop at once: open connections and answers half sent are cut. Stopping twice does no harm."""
        self._server.stop()

    def connection(self, client_id: str | None = None) -> dict[str, Any]:
        """Return an Airflow connection to the sandbox, as the dict that Airflow reads from JSON.

        :param client_id: the stream; the first one if not given.
        :raises KeyError: there is no such stream.
        """
        client_id = client_id or next(iter(self.streams))
        return {
            "conn_type": "angus",
            "login": self.username,
            "password": self.streams[client_id],
            "host": self.url,
            "extra": {"client_id": client_id, "console_url": self.url},
        }

    def connection_json(self, client_id: str | None = None) -> str:
        """Return :meth:`connection` as JSON.

        :param client_id: the stream; the first one if not given.
        :raises KeyError: there is no such stream.
        """
        return json.dumps(self.connection(client_id))

    def expire_tokens(self) -> None:
        """Make every token issued so far expired: the API answers 401 ``expired_jwt`` to it."""
        self._tokens.expire_all()

    def fail_next(  # noqa: PLR0913 - each has a default
        self,
        status: int,
        *,
        times: int = 1,
        on: Endpoint | None = None,
        body: bytes | str | dict[str, Any] | list[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
        drip: float | None = None,
    ) -> None:
        """Order trouble for the next request; orders wait in line, and each goes into one answer.

        :param status: the HTTP status. 0 closes the connection without an answer; 200 without a body is the
            true answer, to be cut or dripped.
        :param times: how many requests.
        :param on: only requests to this endpoint, ``token`` or ``entities``.
        :param body: what is sent; a dict or a list as JSON. Something that fits the status if not given.
        :param headers: are added to the answer's, such as ``{"Retry-After": "1"}``.
        :param cut: promise the whole body, send half of it, close the connection.
        :param drip: seconds between single bytes of the body.
        """

        def fail(answer: Answer) -> Answer:
            shown = answer if (status, body) == (200, None) else _failure(status, body)
            added = {**shown.headers, **(headers or {})}
            return replace(shown, headers=added, client_id=answer.client_id, cut=cut, drip=drip)

        self._order(fail, times, on)

    def change_next(self, function: Callable[[Any], Any], *, times: int = 1, on: Endpoint | None = None) -> None:
        """Order an answer that does not add up; waits in the same line as :meth:`fail_next`.

        :param function: takes the true answer's JSON and returns what is sent as JSON in its place.
        :param times: how many requests.
        :param on: only requests to this endpoint, ``token`` or ``entities``.
        """

        def change(answer: Answer) -> Answer:
            return json_answer(answer.status, function(json.loads(answer.body)), answer.client_id)

        self._order(change, times, on)

    @property
    def calls(self) -> list[Call]:
        """Every call answered so far, oldest first; a copy.

        Each has ``endpoint``, ``method``, ``path``, ``query``, ``client_id`` and ``status``, 0 for no answer.
        """
        with self._lock:
            return list(self._calls)

    def count(self, endpoint: Endpoint | None = None) -> int:
        """Return how many calls were answered.

        :param endpoint: only calls to this one, ``token``, ``entities`` or ``other``.
        """
        return sum(endpoint in (None, call.endpoint) for call in self.calls)

    def forget_calls(self) -> None:
        """Start :attr:`calls` anew."""
        with self._lock:
            self._calls.clear()

    def _order(self, change: Callable[[Answer], Answer], times: int, on: Endpoint | None) -> None:
        with self._lock:
            self._orders += [(on, change)] * times

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            fitting = (place for place, (on, _) in enumerate(self._orders) if on in (None, request.endpoint))
            place = next(fitting, None)
            change = None if place is None else self._orders.pop(place)[1]
        answer = self._api.answer(request)
        if change:
            answer = change(answer)
        if self._server.stopping.wait(self._latency):
            return Answer(0)
        asked = (request.endpoint, request.method, request.path, request.query)
        call = Call(*asked, answer.client_id, answer.status)
        with self._lock:
            self._calls.append(call)
        if self._on_call:
            self._on_call(call)
        return answer


def _failure(status: int, body: bytes | str | dict[str, Any] | list[Any] | None) -> Answer:
    if body is None and status < 500:  # noqa: PLR2004 - from here on they are the server's failures
        code = "invalid_jwt" if status == 401 else "ordered"  # noqa: PLR2004
        body = {"code": code, "message": f"This {status} was ordered from the sandbox."}
    elif body is None:
        # What stands before an API answers for it when it is away, and speaks no JSON.
        body = f"<html><body><h1>{status}</h1></body></html>"
    if isinstance(body, dict | list):
        return json_answer(status, body)
    return Answer(status, body.encode() if isinstance(body, str) else body, {"Content-Type": "text/html"})


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self.stopping = Event()
        self._open: set[socket] = set()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        # A connection kept alive would go on being served, by a thread of its own.
        for connection in self._open.copy():
            try:
                connection.shutdown(SHUT_RDWR)
            except OSError:
                continue

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is its own business; anything else is a bug that somebody should see.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "AngusSandbox"
    # Head and body leave in one write, at once.
    wbufsize = 2**16
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, path, parameters, self.headers.get("Authorization"), body)
        self._send(self.server.answer(request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - the base class's names

    def _send(self, answer: Answer) -> None:
        if answer.status == 0 or answer.cut:
            self.close_connection = True
        if answer.status == 0:
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        body = answer.body[: len(answer.body) // 2] if answer.cut else answer.body
        if answer.drip is None:
            self.wfile.write(body)
            return
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.stopping.wait(answer.drip):
                self.close_connection = True
                return

    def log_message(self, *_: object) -> None:
        """Stay silent: whoever wants to know has ``Sandbox.calls``."""
