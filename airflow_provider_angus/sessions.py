"""How a worker's connections differ from those of ``requests``: another thread can break them off, time-outs are whole.

What stands here goes into ``requests`` where it lets one: a session, its adapter, the class of a pool's connections.
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


class Session(requests.Session):
    """A connection or two, used by one thread at a time, which another one can break off."""

    def __init__(self) -> None:
        super().__init__()
        self._adapter = _Adapter()
        self.mount("http://", self._adapter)
        self.mount("https://", self._adapter)
        self._environment: dict[tuple[object, ...], Any] = {}

    def ask(self, asked: Request, headers: dict[str, str], settings: Settings) -> requests.Response:
        """Send a request and return its answer, whose body has not been read.

        As it is: what requests adds of its own accord, cookies of earlier answers and an entry of a ``.netrc`` in place
        of our header, is not wanted.

        :param headers: besides those of its body.
        :raises requests.RequestException: it cannot be sent, or no answer came.
        """
        prepared = requests.PreparedRequest()
        prepared.prepare(asked.method, asked.url, headers, params=dict(asked.params), json=asked.body)
        proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else {}
        how = self.merge_environment_settings(prepared.url, proxies, stream=True, verify=settings.verify, cert=None)
        return self.send(prepared, timeout=settings.timeout, allow_redirects=False, **how)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Look into the environment once: requests looks for proxies twice a request, which is a tenth of its time."""
        asked = (url.partition("?")[0], str(proxies), verify)
        if asked not in self._environment:
            own = dict(proxies or {})
            found = super().merge_environment_settings(url, proxies, stream, verify, cert)
            if url.startswith("http:"):
                # To this machine, in clear: not by way of another.
                found["proxies"] = {
                    name: proxy for name, proxy in found["proxies"].items() if name in own or not is_elsewhere(proxy)
                }
            self._environment[asked] = found
        return self._environment[asked].copy()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Name none: else requests reads a redirect's body without our deadline, and fails on a strange Location."""

    def break_off(self) -> None:
        """End what another thread waits for: to it, the other side is gone."""
        self._adapter.break_off()


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
        self.fp = io.BufferedReader(_UntilDeadline(sock, self.fp))


class _UntilDeadline(io.RawIOBase):
    def __init__(self, sock: socket.socket, file: io.BufferedReader) -> None:
        self._socket, self._file = sock, file
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The time is up.")
        self._socket.settimeout(left)
        return self._file.readinto1(buffer)

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
