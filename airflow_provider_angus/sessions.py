"""How a worker's connections differ from those of ``requests``: another thread can break them off, time-outs are whole.

What stands here goes into ``requests`` where it lets one: its adapter, and the class of a pool's connections.
"""

from __future__ import annotations

import io
import socket
import time
from contextlib import suppress
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter

from airflow_provider_angus.connection import is_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_angus.answers import Request
    from airflow_provider_angus.connection import Settings

#: How much is read at once, in bytes: most answers, for at each turn at the socket another thread may take over.
READ_SIZE = 1 << 16


class Session:
    """A connection or two, used by one thread at a time, which another one can break off.

    What ``requests.Session`` adds of its own accord is not wanted: cookies of earlier answers, an entry of a ``.netrc``
    in place of our header, redirects whose bodies it reads without our limit.
    """

    def __init__(self) -> None:
        self._adapter = _Adapter()
        self._ways: dict[str, dict[str, Any]] = {}

    def ask(self, asked: Request, headers: dict[str, str], settings: Settings) -> requests.Response:
        """Send a request, as it is, and return its answer, whose body has not been read.

        :param headers: besides those of its body.
        :param settings: the same for all requests of a session.
        :raises requests.RequestException: it cannot be sent, or no answer came.
        """
        prepared = requests.PreparedRequest()
        prepared.prepare(asked.method, asked.url, headers, params=dict(asked.params), json=asked.body)
        if asked.url not in self._ways:
            self._ways[asked.url] = _way(str(prepared.url), settings)
        return self._adapter.send(prepared, timeout=settings.timeout, **self._ways[asked.url])

    def break_off(self) -> None:
        """End what another thread waits for: to it, the other side is gone."""
        self._adapter.break_off()

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()


def _way(url: str, settings: Settings) -> dict[str, Any]:
    """Return proxies and certificates of a URL, also those of the environment.

    Once, for looking for proxies in the environment takes a tenth of a request's time.
    """
    own = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else {}
    way: dict[str, Any] = {}
    way |= requests.Session().merge_environment_settings(url, dict(own), stream=True, verify=settings.verify, cert=None)
    if url.startswith("http:"):
        # To this machine, in clear: not by way of another.
        way["proxies"] = {
            name: proxy for name, proxy in way["proxies"].items() if name in own or not is_elsewhere(proxy)
        }
    return way


class _Adapter(HTTPAdapter):
    """An adapter that knows the sockets of its connections."""

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._broken_off = False
        super().__init__()

    def break_off(self) -> None:
        """End all that is sent or received, also over connections that are only being made."""
        self._broken_off = True
        for connected in list(self._sockets):
            _shut(connected)

    def add(self, connected: socket.socket) -> None:
        """Know a socket more."""
        self._sockets.add(connected)
        if self._broken_off:
            _shut(connected)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for a URL, whose connections tell their sockets."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Connection):
            pool.ConnectionCls = type("Connection", (_Connection, pool.ConnectionCls), {"told": self.add})
        return pool


class _Response(HTTPResponse):
    """An answer that has come, headers and body, within the socket's time-out as a whole.

    The time-out by itself begins anew with each byte.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(sock, self.fp), READ_SIZE)


class _UntilDeadline(io.RawIOBase):
    def __init__(self, sock: socket.socket, file: io.BufferedReader) -> None:
        self._socket, self._file = sock, file
        self._timeout = sock.gettimeout() or 0.0
        self._deadline = time.monotonic() + self._timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The time is up.")
        # Setting it is a turn at the socket, too, and a hundredth of the time no matter.
        if left < 0.99 * self._timeout:
            self._socket.settimeout(left)
        # Not through its buffer, which would wait for more than has come.
        return self._file.raw.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Connection:
    response_class = _Response
    told: Callable[[socket.socket], None]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.told(self.sock)  # type: ignore[attr-defined]


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        # The plain socket's own way: an SSLSocket would forget first that what is sent must be encrypted, and TLS to a
        # proxy is no socket at all.
        socket.socket.shutdown(getattr(connected, "socket", connected), socket.SHUT_RDWR)
