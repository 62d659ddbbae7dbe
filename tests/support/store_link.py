"""A TCP connection to a local server that a test can break in the middle of an upload."""

from __future__ import annotations

import selectors
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

from http_servers import SocketServer

if TYPE_CHECKING:
    from collections.abc import Callable


class Link(SocketServer):
    """Forward connections to a port of this machine, until a client has sent a number of bytes.

    :param target: the port of the server.
    """

    def __init__(self, target: int) -> None:
        super().__init__(self._forward)
        self._target = target
        self._action: Callable[[], object] | None = None
        self._limit = 0
        #: The number of bytes that clients have sent.
        self.sent = 0

    def after(self, size: int, action: Callable[[], object]) -> None:
        """Call ``action`` once clients have sent ``size`` more bytes, and close their connection afterwards."""
        self._limit, self._action = self.sent + size, action

    def stop(self) -> None:
        """Close all connections, and refuse new ones."""
        self._server.stop()

    def _forward(self, client: socket.socket) -> None:
        with (
            closing(socket.create_connection(("127.0.0.1", self._target))) as server,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    source: Any = key.fileobj
                    if not (data := source.recv(1 << 16)):
                        return
                    if source is client:
                        self.sent += len(data)
                        if self._action and self.sent > self._limit:
                            action, self._action = self._action, None
                            action()
                            return
                    key.data.sendall(data)
