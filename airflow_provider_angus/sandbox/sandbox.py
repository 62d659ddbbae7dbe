"""The sandbox: the API over HTTP, simulated failures, and a record of all calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Lock, Thread
from typing import Any, Self
from uuid import NAMESPACE_URL, uuid5

from airflow_provider_angus.sandbox.api import Api, Endpoint, Incoming, Reply
from airflow_provider_angus.sandbox.clock import Clock
from airflow_provider_angus.sandbox.http_server import HttpServer
from airflow_provider_angus.sandbox.tokens import TokenIssuer

_STREAMS = {
    str(uuid5(NAMESPACE_URL, f"angus {shop} id")): str(uuid5(NAMESPACE_URL, f"angus {shop} token"))
    for shop in ("bookshop", "boutique", "florist")
}


@dataclass(frozen=True)
class Call:
    """A request and the status of its response. 0: the connection was closed without a response."""

    endpoint: Endpoint
    method: str
    path: str
    query: dict[str, str]
    client_id: str | None
    status: int


class Sandbox:
    """A local Angus.ai on 127.0.0.1. It serves from its creation until :meth:`close` or the end of ``with``.

    Example::

        with Sandbox(page_size=10) as sandbox:
            sandbox.clock.set(datetime(2026, 11, 21, tzinfo=UTC))
            sandbox.fail_next(503, on="entities", headers={"Retry-After": "1"})
            connection = sandbox.connection_json()  # the value for AIRFLOW_CONN_ANGUS_DEFAULT
            # Run your DAG here.
            statuses = [call.status for call in sandbox.calls]
    """

    def __init__(  # noqa: PLR0913 - keyword arguments with defaults
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
        on_request: Callable[[Incoming, Reply], Reply] | None = None,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        """Start to serve.

        :param port: 0 selects a free port.
        :param page_size: buckets. Must be at least 1. The API documents no page size.
        :param latency: seconds before each response.
        :param token_lifetime: seconds of real time. The API's sample token lasts about 5 hours.
        :param lag: seconds until a camera's data can be read. The API takes about a minute.
        :param max_range: longer ranges are refused with 400. None: no limit. The API documents no limit.
        :param streams: client ID -> access token. Default: three simulated shops.
        :param clock: determines the data that exists. Default: a new clock with the real time.
        :param on_request: receives every request and its reply, changed by :meth:`fail_next` and
            :meth:`change_next`. Returns the reply to send. Called in the connection's thread, so it may block.
        :param on_call: receives every call just before its response is sent, in the connection's thread.
        :raises OSError: the port is in use or not permitted.
        :raises ValueError: ``page_size`` is less than 1, or ``streams`` is empty.
        """
        self.username = "sandbox@angus.example"
        self.streams = dict(_STREAMS if streams is None else streams)
        self.clock = clock or Clock()
        if page_size < 1 or not self.streams:
            raise ValueError(f"page_size={page_size}, {len(self.streams)} streams: expected at least 1 of each.")
        self._tokens = TokenIssuer(self.username, token_lifetime)
        limits = timedelta(seconds=lag), max_range
        self._api = Api(self.username, self.streams, self._tokens, self.clock, page_size, *limits)
        self._latency, self._on_request, self._on_call = latency, on_request, on_call
        self._lock = Lock()
        self._changes: list[tuple[Endpoint | None, Callable[[Reply], Reply]]] = []
        self._calls: list[Call] = []
        self._server = HttpServer(port, self._respond)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once and close all connections, even in the middle of a response. Idempotent."""
        self._server.stop()

    def connection(self, client_id: str | None = None) -> dict[str, Any]:
        """Return an Airflow connection to the sandbox, as a dictionary in Airflow's JSON format.

        :param client_id: the stream. Default: the first stream.
        :raises KeyError: the stream does not exist.
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
        """Return an Airflow connection to the sandbox, as JSON.

        :param client_id: the stream. Default: the first stream.
        :raises KeyError: the stream does not exist.
        """
        return json.dumps(self.connection(client_id))

    def expire_tokens(self) -> None:
        """Make all tokens issued so far expire: the API refuses them with 401 ``expired_jwt``."""
        self._tokens.expire_all()

    def fail_next(  # noqa: PLR0913 - keyword arguments with defaults
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
        """Simulate a failure of the next requests. Failures and changes apply in order, one per request.

        :param status: the HTTP status. 0 closes the connection without a response. 200 without ``body`` sends the
            API's own reply, for use with ``cut`` or ``drip``.
        :param times: number of requests.
        :param on: only requests to this endpoint, ``token`` or ``entities``. None: all requests.
        :param body: a dictionary or list is sent as JSON. Default: a body typical of the status.
        :param headers: additional headers, such as ``{"Retry-After": "1"}``.
        :param cut: close the connection after half of the body.
        :param drip: seconds between single bytes of the body.
        """

        def fail(reply: Reply) -> Reply:
            failed = reply if (status, body) == (200, None) else _failure(status, body)
            return replace(failed, headers={**failed.headers, **(headers or {})}, cut=cut, drip=drip)

        self._changes.extend([(on, fail)] * times)

    def change_next(self, function: Callable[[Any], Any], *, times: int = 1, on: Endpoint | None = None) -> None:
        """Change the JSON of the next replies. Failures and changes apply in order, one per request.

        :param function: receives the JSON of the API's own reply and returns the JSON to send.
        :param times: number of requests.
        :param on: only requests to this endpoint, ``token`` or ``entities``. None: all requests.
        """
        change = (on, lambda reply: Reply.from_json(reply.status, function(json.loads(reply.body))))
        self._changes.extend([change] * times)

    @property
    def calls(self) -> list[Call]:
        """All calls since the start or :meth:`forget_calls`, oldest first, as a copy."""
        return self._calls.copy()

    def count(self, endpoint: Endpoint | None = None) -> int:
        """Return the number of :attr:`calls`.

        :param endpoint: only calls to this endpoint, ``token``, ``entities`` or ``other``. None: all calls.
        """
        return sum(endpoint in (None, call.endpoint) for call in self.calls)

    def forget_calls(self) -> None:
        """Clear :attr:`calls`."""
        self._calls.clear()

    def _respond(self, incoming: Incoming) -> Reply:
        with self._lock:
            change = next((change for change in self._changes if change[0] in (None, incoming.endpoint)), None)
            if change:
                self._changes.remove(change)
        reply = self._api.respond(incoming)
        client_id = reply.client_id
        if change:
            reply = replace(change[1](reply), client_id=client_id)
        if self._on_request:
            reply = self._on_request(incoming, reply)
        if self._server.stopping.wait(self._latency):
            return Reply(0)
        call = Call(incoming.endpoint, incoming.method, incoming.path, incoming.query, client_id, reply.status)
        self._calls.append(call)
        if self._on_call:
            self._on_call(call)
        return reply


def _failure(status: int, body: bytes | str | dict[str, Any] | list[Any] | None) -> Reply:
    if body is None and status < 500:  # noqa: PLR2004 - server errors
        code = "invalid_jwt" if status == 401 else "simulated"  # noqa: PLR2004
        body = {"code": code, "message": f"The sandbox simulates status {status}."}
    elif body is None:
        # Server errors usually come from a gateway, which sends HTML.
        body = f"<html><body><h1>{status}</h1></body></html>"
    if isinstance(body, dict | list):
        return Reply.from_json(status, body)
    return Reply(status, body.encode() if isinstance(body, str) else body, {"Content-Type": "text/html"})
