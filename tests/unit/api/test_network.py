"""Routes: which hosts NO_PROXY contains, TLS contexts, and CA certificates that are replaced while a client runs."""

from __future__ import annotations

import asyncio
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from certificates import write_certificate
from clients import read_all, run
from http_servers import HttpServer
from samples import CREDENTIALS, DAY

from airflow_provider_angus.api.async_client import AngusAsyncClient
from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.client import AngusClient
from airflow_provider_angus.api.network import TlsSource, find_route
from airflow_provider_angus.api.proxies import bypasses_proxy
from airflow_provider_angus.api.settings import Settings
from airflow_provider_angus.exceptions import AngusAuthError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clients import ClientKind

SETTINGS = Settings(CREDENTIALS)


@pytest.mark.parametrize(
    ("no_proxy", "host", "port"),
    [
        ("*", "data.angus.ai", 443),
        ("data.angus.ai", "data.angus.ai", 443),
        ("Data.Angus.AI", "data.angus.ai", 443),
        ("angus.ai", "data.angus.ai", 443),
        (".angus.ai", "data.angus.ai", 443),
        (".angus.ai", "angus.ai", 443),
        ("*.angus.ai", "data.angus.ai", 443),
        ("data.angus.ai:443", "data.angus.ai", 443),
        (".angus.ai:443", "data.angus.ai", 443),
        ("a.example, data.angus.ai", "data.angus.ai", 443),
        ("a.example data.angus.ai", "data.angus.ai", 443),
        (",,data.angus.ai,", "data.angus.ai", 443),
        ("10.1.2.3", "10.1.2.3", 443),
        ("10.1.2.3:8443", "10.1.2.3", 8443),
        ("10.0.0.0/8", "10.1.2.3", 443),
        ("10.1.2.3/8", "10.99.0.1", 443),
        ("10.1.2.3/32", "10.1.2.3", 443),
        ("::1", "::1", 443),
        ("[::1]", "::1", 443),
        ("[::1]:8443", "::1", 8443),
        ("0:0:0:0:0:0:0:1", "::1", 443),
        ("fd00::/8", "fd12::1", 443),
    ],
)
def test_bypasses_proxy_matching_entry_is_true(no_proxy: str, host: str, port: int) -> None:
    assert bypasses_proxy(no_proxy, host, port)


@pytest.mark.parametrize(
    ("no_proxy", "host", "port"),
    [
        ("", "data.angus.ai", 443),
        (" , ", "data.angus.ai", 443),
        (".", "data.angus.ai", 443),
        ("gus.ai", "data.angus.ai", 443),
        ("data.angus.ai.example", "data.angus.ai", 443),
        ("data.angus.ai:8443", "data.angus.ai", 443),
        ("data.angus.ai:port", "data.angus.ai", 443),
        ("console.angus.ai", "data.angus.ai", 443),
        ("10.0.0.0/8", "11.0.0.1", 443),
        ("10.0.0.0/8", "data.angus.ai", 443),
        ("10.0.0.0/99", "10.0.0.1", 443),
        ("10.1.2.3:1", "10.1.2.3", 443),
        ("127.0.0.0/8", "localhost", 443),
        ("127.0.0.1", "::1", 443),
        ("fd00::/8", "10.0.0.1", 443),
    ],
)
def test_bypasses_proxy_other_entry_is_false(no_proxy: str, host: str, port: int) -> None:
    assert not bypasses_proxy(no_proxy, host, port)


def test_find_route_equal_settings_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients with equal routes share connections."""
    monkeypatch.setenv("https_proxy", "http://me:secret@127.0.0.1:3128")
    monkeypatch.setenv("no_proxy", "console.angus.ai")
    data, console = find_route(SETTINGS, SETTINGS.data_url), find_route(SETTINGS, SETTINGS.console_url)
    assert data == find_route(replace(SETTINGS, timeout=7.0), f"{SETTINGS.data_url}/api/1/entities")
    assert hash(data) == hash(find_route(SETTINGS, SETTINGS.data_url))
    assert data != console
    assert (console.proxy, data.tls) == (None, console.tls)
    assert "secret" not in f"{data} {data!r}"


def test_create_context_is_strict_and_equal_without_verification(certificate: Path) -> None:
    strict = TlsSource(str(certificate), "verify").create_context()
    lenient = TlsSource(None, "verify").create_context()
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lenient.verify_mode, lenient.check_hostname) == (ssl.CERT_NONE, False)
    for context in (strict, lenient):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert not context.hostname_checks_common_name
    # Python's own default is not stricter.
    default = ssl.create_default_context(cafile=certificate)
    assert strict.verify_flags & default.verify_flags == default.verify_flags
    assert strict.options & default.options == default.options


def test_context_sets_the_same_protocols_once(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The HTTP libraries set them for each connection, while other threads open connections."""
    context, calls = TlsSource(str(certificate), "verify").create_context(), []
    monkeypatch.setattr(ssl.SSLContext, "set_alpn_protocols", lambda _, protocols: calls.append(list(protocols)))
    context.set_alpn_protocols(["http/1.1"])
    assert calls == []
    context.set_alpn_protocols(["h2"])
    assert calls == [["h2"]]


def fetch_repeatedly(kind: ClientKind, settings: Settings, between: list[Callable[[], object]]) -> list[Any]:
    """Fetch with one client, call the functions in between, and return the rows and errors."""
    tokens, outcomes = TokenCache(), []
    if kind == "sync":
        with AngusClient(settings, tokens=tokens) as client:
            for function in between:
                function()
                try:
                    outcomes.append(read_all(client))
                except AngusAuthError as error:
                    outcomes.append(type(error))
        return outcomes

    async def main() -> None:
        client = AngusAsyncClient(settings, tokens=tokens)
        for function in between:
            function()
            try:
                outcomes.append(await client.get_entities("passing_by", DAY, "by_day"))
            except AngusAuthError as error:
                outcomes.append(type(error))

    run(main())
    return outcomes


def test_running_client_uses_replaced_ca_certificates(
    client_kind: ClientKind, certificate: Path, tmp_path: Path
) -> None:
    """Replaced by another file, as a package manager does, or rewritten."""
    bundle, other = tmp_path / "ca.pem", write_certificate(tmp_path / "other.pem").read_bytes()

    def replace_by(content: bytes) -> None:
        new = tmp_path / "new.pem"
        new.write_bytes(content)
        new.replace(bundle)

    own = certificate.read_bytes()
    with HttpServer(certificate=certificate) as server:
        settings = replace(SETTINGS, data_url=server.url, console_url=server.url, verify=str(bundle))
        between: list[Callable[[], object]] = [
            lambda: None,
            lambda: replace_by(other),
            lambda: replace_by(own),
            lambda: replace_by(other),
            lambda: bundle.write_bytes(own),
            bundle.unlink,
        ]
        outcomes = fetch_repeatedly(client_kind, settings, between)
        assert outcomes == [AngusAuthError, AngusAuthError, [], AngusAuthError, [], AngusAuthError]
        assert server.wait_until_closed()


def test_running_client_keeps_its_tls_connection(client_kind: ClientKind, certificate: Path) -> None:
    with HttpServer(certificate=certificate) as server:
        settings = replace(SETTINGS, data_url=server.url, console_url=server.url, verify=str(certificate))
        assert fetch_repeatedly(client_kind, settings, [lambda: None] * 9) == [[]] * 9
        # A token request, and nine queries.
        assert (server.accepted, len(server.requests)) == (1, 10)


def test_threads_share_a_tls_context(certificate: Path) -> None:
    """Page threads open connections at the same time."""
    with HttpServer(certificate=certificate) as server:
        settings = replace(SETTINGS, data_url=server.url, console_url=server.url, verify=str(certificate))
        outcomes: list[Any] = []
        with AngusClient(settings, tokens=TokenCache()) as client:
            threads = [threading.Thread(target=lambda: outcomes.append(read_all(client))) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        assert outcomes == [[]] * 16


def test_ca_certificates_of_requests_are_not_added(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``HTTPAdapter.cert_verify`` would trust its default CA certificates, too."""
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    with HttpServer(certificate=certificate) as server:
        settings = replace(SETTINGS, console_url=server.url, verify=certifi.where())
        assert fetch_repeatedly("sync", settings, [lambda: None]) == [AngusAuthError]


def test_async_clients_of_replaced_certificates_close_alone(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new connections stay open when the old ones are closed."""
    monkeypatch.setattr(AngusAsyncClient, "idle_timeout", 0.5)
    bundle, tokens, content = tmp_path / "ca.pem", TokenCache(), certificate.read_bytes()
    bundle.write_bytes(content)

    async def main(server: HttpServer) -> None:
        settings = replace(SETTINGS, data_url=server.url, console_url=server.url, verify=str(bundle))
        client = AngusAsyncClient(settings, tokens=tokens)
        await client.get_entities("passing_by", DAY, "by_day")
        bundle.write_bytes(content * 2)
        await client.get_entities("passing_by", DAY, "by_day")
        async with asyncio.timeout(30):
            while server.open > 1:
                await client.get_entities("passing_by", DAY, "by_day")
        await client.get_entities("passing_by", DAY, "by_day")
        assert server.accepted == 2

    with HttpServer(certificate=certificate) as server:
        run(main(server))
