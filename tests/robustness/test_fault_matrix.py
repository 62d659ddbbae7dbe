"""Each fault on each path: correct rows, or an error of the right class within seconds. Targets never get a part."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from faults import Fault, FaultProxy, affects_test_button, all_faults, send_response
from faults.transport import head, send_slowly
from forward_proxy import send_on
from network_cases import NETWORK_CASES
from network_lab import NetworkLab
from paths import PATHS, QUERY, Paths

from airflow_provider_angus import _backoff
from airflow_provider_angus.api.auth import SHARED_TOKENS
from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import AngusResponseError, AngusUnavailableError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.model.intervals import explicit_interval
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import databases
    from faults.proxy import Original
    from http_servers import Exchange
    from outcome_table import Record

#: Seconds. The time-out of a response.
TIMEOUT = 0.5
FAULTS = all_faults()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Sandbox]:
    """A sandbox with the day on nine pages."""
    with Sandbox(page_size=3) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def expected_rows(upstream: Sandbox) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", upstream.connection_json())
        rows: list[dict[str, Any]] = AngusEntitiesOperator(task_id="expected", **QUERY).execute({})
        return rows


@pytest.fixture
def paths(expected_rows: list[dict[str, Any]], tmp_path: Path, sqlite: databases.Database) -> Paths:
    return Paths(expected_rows, tmp_path, sqlite)


@pytest.fixture(autouse=True)
def _no_tokens_and_no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    SHARED_TOKENS.clear()
    monkeypatch.setattr(AngusHook, "retry_policy", RetryPolicy(backoff=tenacity.wait_none()))
    # Triggers do not wait for an hour.
    monkeypatch.setattr(_backoff, "MAX_RETRY_AFTER", timedelta(seconds=0.01))


@contextmanager
def connection_to(upstream: Sandbox, url: str, **extra: Any) -> Iterator[None]:
    """Set ``angus_default`` to a connection with the sandbox's credentials and another URL."""
    connection = upstream.connection() | {"host": url}
    connection["extra"] |= {"console_url": url, "timeout": TIMEOUT} | extra
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", json.dumps(connection))
        yield


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", FAULTS)
def test_fault_gives_correct_rows_or_its_error(
    name: str, path: str, upstream: Sandbox, paths: Paths, record: Record
) -> None:
    fault = FAULTS[name]
    if path == "test_connection" and not affects_test_button(name, fault):
        pytest.skip("the fault does not affect the query of the Test button")
    with FaultProxy(upstream.url, fault) as proxy, connection_to(upstream, proxy.url):
        record(name, path, paths.check(path, fault.error))
        # The client follows no redirect and has a limit of attempts.
        assert len(proxy.requests) <= 60


def test_endless_slow_headers_time_out_in_triggerer(upstream: Sandbox, record: Record) -> None:
    """The asynchronous client limits the complete response, also while the headers arrive."""

    def send(exchange: Exchange, original: Original) -> None:
        send_slowly(exchange, head(original.body, "X: x\r\n" * 1000))

    async def fetch() -> None:
        client = await AngusHook("angus_default").get_async_conn()
        interval = explicit_interval(QUERY["from_date"], QUERY["to_date"])
        await client.get_entities(QUERY["metrics"], interval, QUERY["time"])

    started = time.monotonic()
    with FaultProxy(upstream.url, Fault(send, AngusUnavailableError)) as proxy, connection_to(upstream, proxy.url):
        with pytest.raises(AngusUnavailableError, match=r"no complete response within 0.5 s"):
            asyncio.run(fetch())
        assert time.monotonic() - started < 10
    record("endless slow headers", "asynchronous client", "AngusUnavailableError")


@contextmanager
def full_backlog() -> Iterator[str]:
    """A port on which connections are never accepted."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 (a method of the standard library)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def closed_port() -> Iterator[str]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def unknown_host() -> Iterator[str]:
    yield "https://angus.invalid"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("server", [closed_port, unknown_host, full_backlog])
def test_unreachable_server_is_unavailable(
    server: Any, path: str, upstream: Sandbox, paths: Paths, record: Record
) -> None:
    with server() as url, connection_to(upstream, url):
        record(server.__name__.replace("_", " "), path, paths.check(path, AngusUnavailableError))


@pytest.fixture(scope="module")
def lab(upstream: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkLab]:
    """Servers and proxies with and without TLS, which forward all requests to the sandbox."""

    def respond(exchange: Exchange) -> None:
        status, body = send_on(exchange, upstream.url.removeprefix("http://"))
        exchange.send(body, status)

    with NetworkLab(tmp_path_factory.mktemp("tls"), respond) as lab:
        yield lab


@pytest.mark.filterwarnings("ignore:Unverified")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", NETWORK_CASES)
def test_certificates_and_proxies_are_equal_on_all_paths(
    name: str, path: str, lab: NetworkLab, upstream: Sandbox, paths: Paths, record: Record
) -> None:
    """A server or proxy that is not part of the expected route receives no request."""
    case = NETWORK_CASES[name]
    with lab.setting(case, upstream.connection()), lab.record_route() as route:
        record(f"network: {name}", path, paths.check(path, case.error))
    assert tuple(route) == case.route


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("endpoint", ["token", "entities"])
def test_redirect_to_another_host_is_not_followed(
    endpoint: str, path: str, upstream: Sandbox, paths: Paths, record: Record
) -> None:
    """The other host receives neither the token nor the credentials."""
    with FaultProxy(upstream.url) as other:
        redirect = send_response(307, Location=f"{other.url}/api/1/entities")
        fault = Fault(redirect, AngusResponseError, endpoint)
        with FaultProxy(upstream.url, fault) as server, connection_to(upstream, server.url):
            outcome = paths.check(path, AngusResponseError)
        record("redirect to another host" + " (token)" * (endpoint == "token"), path, outcome)
        assert other.requests == []
