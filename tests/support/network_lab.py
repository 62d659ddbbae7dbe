"""Servers and proxies on 127.0.0.1 with and without TLS, and the three paths to them: one outcome for each."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest
from certificates import write_ca_folder, write_certificate
from forward_proxy import forward
from http_servers import Exchange, HttpServer, SocketServer

from airflow_provider_angus.api.auth import SHARED_TOKENS
from airflow_provider_angus.api.network import CA_VARIABLES
from airflow_provider_angus.exceptions import AngusError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.model.intervals import explicit_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

DAY = ("2026-11-20", "2026-11-21")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

#: The statuses of proxies that refuse every request. Their names are ``proxy_407`` and so on.
REFUSALS = (302, 400, 403, 404, 405, 407, 408, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class NetworkCase:
    """A combination of environment and connection. Its texts may contain ``{names}`` of a lab.

    :param env: environment variables. All others of certificates and proxies are unset.
    :param extra: the connection's extra.
    :param error: the error that must follow; None: the request succeeds.
    :param route: the servers that must receive a request.
    :param url: of console and data API.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    error: type[AngusError] | None = None
    route: tuple[str, ...] = ("server",)
    url: str = "{server}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a path: the servers that received a request, and the error, if any."""

    error: type[AngusError] | None
    route: tuple[str, ...]
    message: str = ""


class NetworkLab:
    """Servers that run until the end of ``with``, by name.

    :param folder: for certificates.
    :param respond: responds to the requests that reach a server; None: an empty page.
    """

    def __init__(self, folder: Path, respond: Callable[[Exchange], object] | None = None) -> None:
        own, other = write_certificate(folder / "own.pem"), write_certificate(folder / "other.pem")
        expired = write_certificate(folder / "expired.pem", days=(-2, -1))
        future = write_certificate(folder / "future.pem", days=(1, 2))
        elsewhere = write_certificate(folder / "elsewhere.pem", hosts=("elsewhere.example",))
        (folder / "text.pem").write_text("not a certificate")
        (folder / "empty.pem").touch()
        (folder / "empty").mkdir()
        self._servers: dict[str, SocketServer] = {
            "server": HttpServer(respond, certificate=own),
            "plain": HttpServer(respond),
            "proxy": HttpServer(forward),
            "other_proxy": HttpServer(forward),
            "tls_proxy": HttpServer(forward, certificate=own),
            "expired_tls_proxy": HttpServer(forward, certificate=expired),
            "expired": HttpServer(respond, certificate=expired),
            "future": HttpServer(respond, certificate=future),
            "elsewhere": HttpServer(respond, certificate=elsewhere),
            "closing": SocketServer(lambda _: None),
            "resetting": SocketServer(lambda connection: connection.setsockopt(*_RESET)),
            "silent": SocketServer(lambda connection: connection.recv(1 << 16) and connection.recv(1 << 16)),
            **{f"proxy_{status}": HttpServer(_refuse(status)) for status in REFUSALS},
        }
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            closed = unused.getsockname()[1]
        #: The values of names in texts of cases.
        self.names: dict[str, Any] = {name: server.url for name, server in self._servers.items()}
        self.names |= {f"{name}_port": server.port for name, server in self._servers.items()}
        self.names |= {"closed": f"http://127.0.0.1:{closed}", "missing": folder / "missing.pem"}
        self.names |= {"ca": own, "other_ca": other, "expired_ca": expired, "future_ca": future}
        self.names |= {"elsewhere_ca": elsewhere, "text": folder / "text.pem", "empty": folder / "empty.pem"}
        self.names |= {"ca_folder": write_ca_folder(folder / "own", own), "empty_folder": folder / "empty"}
        self.names |= {"other_folder": write_ca_folder(folder / "other", other)}

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        for server in self._servers.values():
            self._stack.enter_context(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def setting(self, case: NetworkCase, connection: Mapping[str, Any]) -> Iterator[None]:
        """Set the environment and the connection ``angus_default`` of a case.

        :param connection: the fields of a connection, whose URLs the case replaces.
        """
        SHARED_TOKENS.clear()
        url = self._format(case.url)
        extra = {name: self._format(value) for name, value in case.extra.items()}
        fields = {**connection, "host": url, "extra": {**connection["extra"], "console_url": url, **extra}}
        with pytest.MonkeyPatch.context() as patch:
            for name in [*CA_VARIABLES, *PROXY_VARIABLES, *map(str.upper, PROXY_VARIABLES)]:
                patch.delenv(name, raising=False)
            for name, value in case.env.items():
                patch.setenv(name, self._format(value))
            patch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", json.dumps(fields))
            yield

    def _format(self, value: Any) -> Any:
        return value.format_map(self.names) if isinstance(value, str) else value

    @contextmanager
    def record_route(self) -> Iterator[list[str]]:
        """Record the names of the servers that receive a request, in the order of ``NetworkLab``."""
        before, route = self._count_requests(), []
        yield route
        route += [name for name, count in self._count_requests().items() if count > before[name]]

    def _count_requests(self) -> dict[str, int]:
        return {
            name: len(server.requests) if isinstance(server, HttpServer) else 0
            for name, server in self._servers.items()
        }

    def run(self, case: NetworkCase, connection: Mapping[str, Any]) -> dict[str, Outcome]:
        """Return the outcome of a case on a worker, in a triggerer and with the Test button."""
        paths = {"worker": _fetch_on_worker, "triggerer": _fetch_in_triggerer, "button": _press_button}
        outcomes = {}
        for name, path in paths.items():
            with self.setting(case, connection), self.record_route() as route:
                error, message = None, ""
                try:
                    path()
                except AngusError as raised:
                    error, message = type(raised), str(raised)
            outcomes[name] = Outcome(error, tuple(route), message)
        return outcomes


class ButtonError(AngusError):
    """The Test button's message of a failure."""


def _fetch_on_worker() -> None:
    hook = AngusHook()
    with hook.get_conn():
        hook.get_entities("passing_by", *DAY)


def _fetch_in_triggerer() -> None:
    async def fetch() -> None:
        client = await AngusHook().get_async_conn()
        await client.get_entities("passing_by", explicit_interval(*DAY), "global")

    asyncio.run(fetch())


def _press_button() -> None:
    success, message = AngusHook().test_connection()
    if not success:
        raise ButtonError(message)


def _refuse(status: int) -> Callable[[Exchange], None]:
    def respond(exchange: Exchange) -> None:
        exchange.close()
        exchange.send(b"", status, Connection="close")

    return respond


_RESET = (socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
