"""Headers, cookies and unusable settings: each means for one client as for the other.

``test_network_matrix.py`` has the combinations of certificates and proxies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from clients import Fetcher
from http_servers import HttpServer
from samples import sandbox_settings

from airflow_provider_angus.exceptions import AngusAuthError

if TYPE_CHECKING:
    from pathlib import Path

    from clients import ClientKind

    from airflow_provider_angus.sandbox import Sandbox


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
    ("changes", "name"),
    [
        ({"console_url": "https://127.0.0.1:port"}, "console_url"),
        ({"console_url": "https://console..example"}, "console_url"),
        ({"proxy": "ftp://user:hunter2@127.0.0.1"}, "proxy of the connection"),
        ({"proxy": "http://user:hunter2@127.0.0.1:port"}, "proxy of the connection"),
        ({"verify": "/missing.pem"}, "verify of the connection"),
        ({"verify": "/missing\0.pem"}, "verify of the connection"),
    ],
    ids=str,
)
def test_unusable_setting_raises_auth_error_without_request(
    changes: dict[str, Any], name: str, client_kind: ClientKind, sandbox: Sandbox
) -> None:
    """Also in settings that were not read from a connection."""
    # No server listens on that port: a client that connects raises another error.
    fetcher = Fetcher(client_kind, sandbox_settings(sandbox, **{"console_url": "https://127.0.0.1:1"} | changes))
    message = fetcher.fail(AngusAuthError)
    assert name in message
    assert "hunter2" not in message
    assert message.isprintable()
    assert (fetcher.waits, sandbox.count()) == ([], 0)
