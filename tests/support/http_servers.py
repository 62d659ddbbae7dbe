"""Small HTTP servers on 127.0.0.1 for responses that the sandbox does not send: raw bytes, TLS, lost connections.

Use the sandbox for everything that the API itself may send.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: A token response and an empty page in one, so that both endpoints may send it.
EMPTY_PAGE = {"token": "T", "entities": {}, "total_results": 0, "nb_of_pages": 0}


class Exchange:
    """One request, and the means to respond to it. Without a call of a method the connection stays open and silent.

    :param handler: of the connection.
    """

    def __init__(self, handler: _HttpHandler) -> None:
        self.handler = handler
        self.method = handler.command
        #: The request line's target: a path with a query, or a complete URL if the server is used as a proxy.
        self.target = handler.path
        parts = urlsplit(handler.path)
        self.path, self.query = parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
        #: Case-insensitive.
        self.headers: Mapping[str, str] = handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    def send(self, body: object = EMPTY_PAGE, status: int = 200, **headers: str) -> None:
        """Send a response; a body that is not bytes becomes JSON, ``Content_Length`` becomes ``Content-Length``."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.handler.send_response(status)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in ({"Content-Length": str(len(data))} | names).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.raw(data)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def raw_below_tls(self, data: bytes) -> None:
        """Send bytes without encryption, past TLS."""
        with socket.socket(fileno=socket.dup(self.handler.connection.fileno())) as connection:
            connection.sendall(data)

    def close(self) -> None:
        """Close the connection after the data sent so far."""
        self.handler.close_connection = True

    def reset(self) -> None:
        """Close the connection with a reset, like a crash."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()
        self.close()

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether the server stops or the client has closed the connection."""
        if self.handler.server.stopping.wait(seconds):
            return True
        with suppress(OSError, ValueError):
            # Of TLS the encrypted bytes, which is enough to notice the end.
            flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
            return socket.socket.recv(self.handler.connection, 1, flags) == b""
        return False


class SocketServer:
    """A server whose connections a function handles, each in its own thread. It serves until the end of ``with``.

    :param handle: receives each accepted connection, which is closed afterwards.
    :param certificate: a PEM file with a certificate and its key, for TLS.
    """

    def __init__(self, handle: Callable[[socket.socket], object], *, certificate: Path | None = None) -> None:
        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                handle(self.request)

        self._serve(_Server(Handler, certificate))

    def _serve(self, server: _Server) -> None:
        self._server = server
        self.port: int = server.server_address[1]
        self.url = f"http{'s' * bool(server.tls)}://127.0.0.1:{self.port}"
        threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()

    @property
    def accepted(self) -> int:
        """The number of connections so far."""
        return self._server.accepted

    @property
    def open(self) -> int:
        """The number of open connections."""
        return len(self._server.connections)

    @property
    def max_open(self) -> int:
        """The maximum of simultaneously open connections so far."""
        return self._server.max_open

    def wait_until_closed(self, seconds: float = 30.0) -> bool:
        """Wait until no connection is open, and return whether this happened in time."""
        with self._server.changed:
            return self._server.changed.wait_for(lambda: not self._server.connections, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


class HttpServer(SocketServer):
    """A server that passes each request to a function. Connections are kept alive. It serves until the end of ``with``.

    :param respond: receives each request and responds to it; None: a token response and an empty page in one.
    :param certificate: a PEM file with a certificate and its key, for TLS.
    """

    def __init__(self, respond: Callable[[Exchange], object] | None = None, *, certificate: Path | None = None) -> None:
        server = _Server(_HttpHandler, certificate)
        server.respond = respond or Exchange.send
        self._serve(server)

    @property
    def requests(self) -> list[Exchange]:
        """The requests so far."""
        return list(self._server.requests)


def raw_response(data: bytes) -> Callable[[Exchange], None]:
    """Return a function for :class:`HttpServer` that sends bytes as they are and closes the connection."""

    def respond(exchange: Exchange) -> None:
        exchange.raw(data)
        exchange.close()

    return respond


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    respond: Callable[[Exchange], object]

    def __init__(self, handler: type[BaseRequestHandler], certificate: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self.tls and certificate:
            self.tls.load_cert_chain(certificate)
        self.stopping = threading.Event()
        self.changed = threading.Condition()
        self.connections: set[socket.socket] = set()
        self.requests: list[Exchange] = []
        self.accepted = self.max_open = 0

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.tls:
            # The handshake follows in the connection's thread.
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self.changed:
            self.connections.add(connection)
            self.accepted += 1
            self.max_open = max(self.max_open, len(self.connections))
        return connection, address

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        with self.changed:
            self.connections.discard(request)
            self.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback, unless the client closed the connection or refused the certificate."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _HttpHandler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # One write per response.
    wbufsize = 2**16

    def _handle(self) -> None:
        exchange = Exchange(self)
        self.server.requests.append(exchange)
        self.server.respond(exchange)

    do_GET = do_POST = do_CONNECT = _handle  # noqa: N815 (names of the base class)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
