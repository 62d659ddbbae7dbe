"""A server that does to answers whatever can happen to them on a real network, byte by byte.

It stands before a sandbox and hands on what that answers, but for the requests that a fault is for.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Does = Callable[["Exchange"], None]


@dataclass(frozen=True)
class Exchange:
    """One request, the true answer to it, and the ways to send something else."""

    handler: BaseHTTPRequestHandler
    page: int | None
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The true answer's JSON, to be changed and sent."""
        return json.loads(self.body)

    def send(self, body: object, status: int = 200, **headers: str) -> None:
        """Send a whole answer; what is not bytes goes as JSON. ``Content_Length`` in headers may lie."""
        self.send_bytes(body if isinstance(body, bytes) else json.dumps(body).encode(), status, **headers)

    def send_bytes(self, body: bytes, status: int, **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | names).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.raw(body)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def close(self) -> None:
        """End the connection after what has been sent."""
        self.handler.close_connection = True

    def reset(self) -> None:
        """End it as a crash does: with a reset."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()
        self.close()

    def wait(self, seconds: float) -> bool:
        """Wait; return whether the server is to stop, or the client has gone away."""
        if self.handler.server.stopping.wait(seconds):  # type: ignore[attr-defined]
            return True
        with suppress(BlockingIOError, OSError):
            return self.handler.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        return False


@dataclass
class Trouble:
    """What a wire does, to which requests.

    :param does: is handed each exchange that is meant.
    :param on: ``entities`` or ``token``.
    :param page: only to the requests for this page.
    :param times: to so many of them; None: to all.
    """

    does: Does
    on: str = "entities"
    page: int | None = None
    times: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_for(self, endpoint: str, page: int | None) -> bool:
        """Return whether this request is meant, and count it."""
        with self._lock:
            if endpoint != self.on or (self.page is not None and page != self.page) or self.times == 0:
                return False
            self.times = None if self.times is None else self.times - 1
            return True


class Wire:
    """The server; it serves until it is closed.

    :param upstream: the sandbox's URL.
    :param trouble: what it does; None: it hands on.
    :param certificate: a PEM file with a certificate and its key: it speaks TLS.
    """

    def __init__(self, upstream: str, trouble: Trouble | None = None, certificate: Path | None = None) -> None:
        self._server = _Server(upstream, trouble)
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def asked(self) -> int:
        """How many requests came."""
        return self._server.asked

    @property
    def authorizations(self) -> list[str]:
        """The Authorization headers that came."""
        return list(self._server.authorizations)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, upstream: str, trouble: Trouble | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.trouble = trouble
        self.stopping = threading.Event()
        self.asked = 0
        self.authorizations: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients go away in the middle here, and TLS that is refused is what is tried."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        self.server.asked += 1
        if authorization := self.headers.get("Authorization"):
            self.server.authorizations.append(authorization)
        # A proxy is asked for a whole URL.
        url = urlsplit(self.path)
        target = url._replace(scheme="", netloc="").geturl()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with closing(HTTPConnection(url.netloc or self.server.upstream, timeout=30)) as upstream:
            headers = {"Authorization": authorization} if authorization else {}
            upstream.request(self.command, target, body or None, headers)
            answer = upstream.getresponse()
            page = parse_qs(url.query).get("page")
            exchange = Exchange(self, int(page[0]) if page else None, answer.status, answer.read())
        endpoint = "token" if "token" in url.path else "entities"
        trouble = self.server.trouble
        with suppress(ConnectionError):
            if trouble and trouble.is_for(endpoint, exchange.page):
                trouble.does(exchange)
            else:
                exchange.send(exchange.body, exchange.status)

    do_GET = do_POST = _handle  # noqa: N815 (the base class's names)

    def log_message(self, *_: object) -> None:
        """Stay silent."""
