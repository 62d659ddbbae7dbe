"""The sandbox's HTTP server: sockets and threads, independent of the API."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socket import SHUT_RDWR, socket
from socketserver import ThreadingTCPServer
from threading import Event
from typing import Any
from urllib.parse import parse_qsl
from weakref import WeakSet

from airflow_provider_angus.sandbox.api import Incoming, Reply


class HttpServer(ThreadingTCPServer):
    """An HTTP server on 127.0.0.1. It calls ``respond`` in one daemon thread per connection."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int, respond: Callable[[Incoming], Reply]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.respond = respond
        self.stopping = Event()
        self._connections: WeakSet[socket] = WeakSet()

    def stop(self) -> None:
        """Close the port and all connections. Idempotent."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        # Otherwise the threads would continue to serve connections that are kept alive.
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def get_request(self) -> tuple[socket, Any]:
        """Accept a connection and register it for :meth:`stop`."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback, unless the client closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    server_version = "AngusSandbox"
    # Send headers and body in one write, without delay.
    wbufsize = 2**16
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        headers = {name.title(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("Content-Length") or 0))
        reply = self.server.respond(Incoming(self.command, path, parameters, headers, body))
        self.close_connection |= reply.cut or reply.status == 0
        if reply.status == 0:
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        sent = reply.body[: len(reply.body) // 2] if reply.cut else reply.body
        for part in [sent] if reply.drip is None else [bytes([byte]) for byte in sent]:
            self.wfile.write(part)
            self.wfile.flush()
            if reply.drip and self.server.stopping.wait(reply.drip):
                self.close_connection = True
                return

    def do_OPTIONS(self) -> None:
        """Accept a CORS preflight. It is not a call: browsers send it on their own, so it must not use up a failure."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        # The asterisk does not include Authorization. GET and POST are always allowed.
        self.send_header("Access-Control-Allow-Headers", "*, Authorization")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def end_headers(self) -> None:
        """Let pages of any origin read the response."""
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - names of the base class

    def log_message(self, *_: object) -> None:
        """Print nothing: ``Sandbox.calls`` records the requests."""
