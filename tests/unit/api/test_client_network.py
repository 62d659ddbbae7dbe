"""TLS, proxies, cookies and the environment: each means for one client as for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from clients import Fetcher
from http_servers import HttpServer
from samples import sandbox_settings

from airflow_provider_angus.exceptions import AngusAuthError, AngusResponseError, AngusUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from clients import ClientKind

    from airflow_provider_angus.sandbox import Sandbox

PROXY_VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.filterwarnings("ignore:Unverified")
@pytest.mark.parametrize("environment", ["", "/missing.pem"])
@pytest.mark.parametrize("verify", [False, "the certificate"])
def test_verify_of_the_connection_wins_over_the_environment(
    verify: Any,
    environment: str,
    certificate: Path,
    create_fetcher: Any,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, environment)
    with HttpServer(certificate=certificate) as server:
        verify = verify and str(certificate)
        fetcher = create_fetcher(sandbox, console_url=server.url, data_url=server.url, verify=verify)
        assert fetcher.fetch() == []


def test_untrusted_certificate_raises_unavailable(certificate: Path, create_fetcher: Any, sandbox: Sandbox) -> None:
    with HttpServer(certificate=certificate) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url, verify=True)
        assert "CERTIFICATE_VERIFY_FAILED" in fetcher.fail(AngusUnavailableError)
        assert server.requests == []


def test_ca_bundle_of_the_environment_is_trusted(
    certificate: Path,
    client_kind: ClientKind,
    create_fetcher: Any,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE" if client_kind == "sync" else "SSL_CERT_FILE", str(certificate))
    with HttpServer(certificate=certificate) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url, data_url=server.url, verify=True)
        assert fetcher.fetch() == []


def test_proxy_of_the_connection_wins_over_the_environment(
    create_fetcher: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    fetcher = create_fetcher(sandbox, proxy=sandbox.url, console_url="http://console.invalid")
    assert "unexpected status 404" in fetcher.fail(AngusResponseError)
    assert [call.path for call in sandbox.calls] == ["http://console.invalid/api-token-authstream/"]


def test_proxy_of_the_environment_is_used(
    create_fetcher: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", sandbox.url)
    create_fetcher(sandbox, console_url="http://console.invalid").fail(AngusResponseError)
    assert [call.path for call in sandbox.calls] == ["http://console.invalid/api-token-authstream/"]


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_remote_proxy_of_the_environment_gets_no_unencrypted_request(
    name: str, create_fetcher: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://proxy.invalid:3128")
    assert len(create_fetcher(sandbox).fetch()) == 1


def test_no_proxy_of_the_environment_is_honoured(
    create_fetcher: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert len(create_fetcher(sandbox).fetch()) == 1


def test_proxy_credentials_are_sent_to_the_proxy(create_fetcher: Any, sandbox: Sandbox) -> None:
    with HttpServer() as proxy:
        create_fetcher(sandbox, proxy=proxy.url.replace("//", "//me:p%2Fassword@")).fetch()
        assert {each.headers["Proxy-Authorization"] for each in proxy.requests} == {"Basic bWU6cC9hc3N3b3Jk"}


def test_netrc_does_not_replace_the_token(
    create_fetcher: Any, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with HttpServer() as server:
        create_fetcher(sandbox, console_url=server.url, data_url=server.url).fetch()
        assert [each.headers["Authorization"] for each in server.requests] == [None, "Bearer T"]


def test_cookies_are_never_sent(create_fetcher: Any, sandbox: Sandbox) -> None:
    """Neither back to the server that set them, nor for another stream."""
    with HttpServer(lambda exchange: exchange.send(Set_Cookie="sessionid=secret; Path=/")) as server:
        for client_id in list(sandbox.streams)[:2]:
            fetcher: Fetcher = create_fetcher(sandbox, client_id, console_url=server.url, data_url=server.url)
            assert [fetcher.fetch(), fetcher.fetch()] == [[], []]
        assert [each.headers["Cookie"] for each in server.requests] == [None] * 6


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"console_url": "https://127.0.0.1:port"}, "URLs"),
        ({"proxy": "ftp://user:hunter2@127.0.0.1"}, "proxy"),
        ({"proxy": "gopher9://127.0.0.1"}, "proxy"),
        ({"proxy": "http://user:hunter2@127.0.0.1:port"}, "proxy"),
        ({"proxy": "socks5://user:hunter2@127.0.0.1:9"}, "proxy"),
        ({"verify": "/missing.pem"}, "verify"),
    ],
    ids=str,
)
def test_unusable_setting_raises_auth_error_without_request(
    changes: dict[str, Any], field: str, client_kind: ClientKind, sandbox: Sandbox
) -> None:
    # No server listens on that port: a client that connects raises another error.
    fetcher = Fetcher(client_kind, sandbox_settings(sandbox, **{"console_url": "https://127.0.0.1:1"} | changes))
    message = fetcher.fail(AngusAuthError)
    assert "heck the connection's" in message
    assert field in message
    assert "hunter2" not in message
    assert (fetcher.waits, sandbox.count()) == ([], 0)


@pytest.mark.parametrize(
    ("kind", "host"),
    [("sync", "console..example"), ("sync", f"{'a' * 64}.example"), ("async", "xn--a.invalid")],
)
def test_invalid_host_raises_auth_error(kind: ClientKind, host: str, sandbox: Sandbox) -> None:
    """Each library finds other hosts invalid, and does not find the rest in the DNS."""
    fetcher = Fetcher(kind, sandbox_settings(sandbox, console_url=f"https://{host}"))
    assert "check the connection's URLs" in fetcher.fail(AngusAuthError)
    assert fetcher.waits == []
