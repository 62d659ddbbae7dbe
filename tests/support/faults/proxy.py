"""A reverse proxy of the sandbox that replaces some responses by faults. It can also be the proxy of a connection."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from forward_proxy import send_on
from http_servers import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from http_servers import Exchange

    from airflow_provider_angus.exceptions import AngusError

    Send = Callable[[Exchange, "Original"], object]


@dataclass(frozen=True)
class Original:
    """The sandbox's response to a request."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """A new copy of the JSON body, to change and send."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Fault:
    """A fault of responses.

    :param send: receives the request and the sandbox's response, and sends the fault.
    :param error: the error that must follow; None: the rows must be correct.
    :param endpoint: ``entities`` or ``token``.
    :param page: the number of the affected page; None: all pages.
    :param times: the number of affected requests; None: all.
    """

    send: Send
    error: type[AngusError] | None
    endpoint: str = "entities"
    page: int | None = None
    times: int | None = None


class FaultProxy(HttpServer):
    """Forwards all requests to a sandbox, and sends the fault instead of the responses that it affects.

    :param upstream: the sandbox's URL.
    :param fault: None: forward all responses.
    :param certificate: a PEM file with a certificate and its key, for TLS.
    """

    def __init__(self, upstream: str, fault: Fault | None = None, *, certificate: Path | None = None) -> None:
        self._upstream, self._fault = urlsplit(upstream).netloc, fault
        self._remaining = fault.times if fault else 0
        self._lock = threading.Lock()
        super().__init__(self._respond, certificate=certificate)

    @property
    def authorizations(self) -> list[str]:
        """The ``Authorization`` headers received so far."""
        return [value for exchange in self.requests if (value := exchange.headers["Authorization"])]

    def _respond(self, exchange: Exchange) -> None:
        original = Original(*send_on(exchange, self._upstream))
        if self._fault and self._is_affected(exchange):
            self._fault.send(exchange, original)
        else:
            exchange.send(original.body, original.status)

    def _is_affected(self, exchange: Exchange) -> bool:
        """Return whether the fault affects a request, and count the affected requests."""
        fault = self._fault
        endpoint = "token" if "token" in exchange.path else "entities"
        if not fault or endpoint != fault.endpoint or fault.page not in {None, int(exchange.query.get("page", 0))}:
            return False
        with self._lock:
            if self._remaining == 0:
                return False
            self._remaining = None if self._remaining is None else self._remaining - 1
        return True
