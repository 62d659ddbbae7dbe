"""No message, cause or context of an error shows a secret, control characters or much text of a server."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from clients import visible_texts
from http_servers import HttpServer, raw_response

from airflow_provider_angus.exceptions import AngusAuthError, AngusError, AngusResponseError

if TYPE_CHECKING:
    from clients import Fetcher

    from airflow_provider_angus.sandbox import Sandbox


def shown_error(fetcher: Fetcher) -> str:
    """Return everything that a log may show of the error of a fetch."""
    with pytest.raises(AngusError) as raised:
        fetcher.fetch()
    return "".join(visible_texts(raised.value))


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize("status", [200, 400, 401, 404, 503])
@pytest.mark.parametrize("form", ["{}", '{{"message": "{}"}}', '["{}"]', '{{"time": "{}", "entities": {{}}}}'])
def test_error_hides_secret_that_the_server_echoes(
    form: str, status: int, endpoint: Any, fetcher: Fetcher, sandbox: Sandbox
) -> None:
    fetcher.fetch()
    secret = fetcher.settings.credentials.access_token if endpoint == "token" else fetcher.tokens[0]
    fetcher.now += 18_000 if endpoint == "token" else 0
    sandbox.fail_next(status, on=endpoint, body=form.format(secret), times=4)
    assert secret not in shown_error(fetcher)


@pytest.mark.parametrize("escaped", ["{0}\\u00{1:02x}", "{0}\\u00{1:02X}"])
def test_error_hides_secret_in_json_escapes(escaped: str, fetcher: Fetcher, sandbox: Sandbox) -> None:
    fetcher.fetch()
    token = fetcher.tokens[0]
    body = f'{{"message": "You sent {escaped.format(token[:-1], ord(token[-1]))}"}}'
    sandbox.fail_next(404, on="entities", body=body)
    assert "You sent ***" in fetcher.fail(AngusResponseError)


@pytest.mark.parametrize(
    "data",
    [
        "SSH {}\r\n\r\n",
        # Some texts of urllib3 are shortened at ">: ".
        "SSH {}>: hello\r\n\r\n",
        "HTTP/1.1 200 {}\r\nContent-Length: 9\r\n\r\n{{}}",
        "HTTP/1.1 200 OK\r\nContent-Encoding: {}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n",
        "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/{}\r\n\r\n",
    ],
    ids=["status line", "cut", "reason", "encoding", "chunk", "location"],
)
def test_error_hides_secret_in_broken_http(data: str, create_fetcher: Any, sandbox: Sandbox) -> None:
    secret = sandbox.connection()["password"]
    with HttpServer(raw_response(data.format(secret).encode())) as server:
        assert secret not in shown_error(create_fetcher(sandbox, console_url=server.url))


@pytest.mark.parametrize("data", [b"\x1b[31mred\r\rAll is well\r\n\r\n", b"X" * 5000 + b"\r\n\r\n"])
def test_error_is_short_and_printable(data: bytes, create_fetcher: Any, sandbox: Sandbox) -> None:
    with HttpServer(raw_response(data)) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url)
        with pytest.raises(AngusError) as raised:
            fetcher.fetch()
    assert len(str(raised.value)) < 600
    traceback = visible_texts(raised.value)
    assert {char for char in "".join(traceback) if not char.isprintable()} == {"\n"}
    assert "X" * 1000 not in "".join(traceback)


def test_error_hides_password_that_the_proxy_echoes(create_fetcher: Any, sandbox: Sandbox) -> None:
    """The password, and the exact value of its Basic header."""
    basic = base64.b64encode(b"me:p/assword").decode()
    sandbox.fail_next(407, body=f"Not p/assword, {basic}!")
    fetcher = create_fetcher(sandbox, proxy=sandbox.url.replace("//", "//me:p%2Fassword@"))
    assert "(proxy of the connection): status 407: text/html: Not ***, ***!" in fetcher.fail(AngusAuthError)


def test_error_hides_password_of_refused_tunnel(create_fetcher: Any, sandbox: Sandbox) -> None:
    """The proxy's reason phrase is part of the errors of both libraries."""
    with HttpServer(raw_response(b"HTTP/1.1 407 Not p/assword\r\n\r\n")) as proxy:
        url = proxy.url.replace("//", "//me:p%2Fassword@")
        shown = shown_error(create_fetcher(sandbox, proxy=url, console_url="https://console.invalid"))
    assert "407 Not ***" in shown
    assert "p/assword" not in shown


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:hunter2@127.0.0.1:99999",
        "http://user:hunter2/22@127.0.0.1:3128",
        "http://user:a@hunter2@127.0.0.1:99999",
        "ftp://user:hunter2@127.0.0.1",
    ],
    ids=["port", "slash", "at", "scheme"],
)
def test_error_hides_password_of_invalid_environment_proxy(
    proxy: str, create_fetcher: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    fetcher = create_fetcher(sandbox)
    shown = shown_error(fetcher)
    assert "hunter2" not in shown
    assert "22@" not in shown
    assert "environment variable http_proxy: not a URL" in fetcher.fail(AngusAuthError)
    assert fetcher.waits == []


def test_error_hides_password_of_environment_proxy(
    create_fetcher: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy echoes it in the reason phrase, plain and as the value of its Basic header."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    basic = base64.b64encode(b"me:p/assword").decode()
    with HttpServer(raw_response(f"HTTP/1.1 407 Not p/assword, {basic}\r\n\r\n".encode())) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//me:p%2Fassword@"))
        shown = shown_error(create_fetcher(sandbox, console_url="https://console.invalid"))
    assert "407 Not ***, ***" in shown
    assert not any(secret in shown for secret in ("p/assword", "p%2Fassword", basic))
