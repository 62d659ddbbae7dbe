"""A real HTTP proxy on 127.0.0.1: it forwards requests and opens tunnels."""

from __future__ import annotations

import selectors
import socket
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http_servers import Exchange


def forward(exchange: Exchange) -> None:
    """Respond to a request as a proxy, for :class:`http_servers.HttpServer`."""
    if exchange.method == "CONNECT":
        host, _, port = exchange.target.rpartition(":")
        exchange.close()
        with closing(socket.create_connection((host, int(port)))) as upstream:
            exchange.raw(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(exchange.handler.connection, upstream)
        return
    status, body = send_on(exchange)
    exchange.send(body, status)


def send_on(exchange: Exchange, upstream: str = "") -> tuple[int, bytes]:
    """Send a request to its server, and return status and body of the response.

    :param upstream: host and port of the server, if the request does not name it.
    """
    url = urlsplit(exchange.target)
    authorization = exchange.headers["Authorization"]
    headers = {"Authorization": authorization} if authorization else {}
    with closing(HTTPConnection(url.netloc or upstream, timeout=30)) as server:
        target = url._replace(scheme="", netloc="").geturl()
        server.request(exchange.method, target, exchange.body or None, headers)
        response = server.getresponse()
        return response.status, response.read()


def relay(client: Any, upstream: socket.socket) -> None:
    """Copy bytes in both directions until one side closes its connection."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, upstream)
        selector.register(upstream, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                source: Any = key.fileobj
                while True:
                    if not (data := source.recv(1 << 16)):
                        return
                    key.data.sendall(data)
                    # TLS may have decrypted more than it returned.
                    if not (hasattr(source, "pending") and source.pending()):
                        break
