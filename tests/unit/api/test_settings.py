from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_angus.api.settings import Credentials, Settings, is_remote, read_settings
from airflow_provider_angus.exceptions import AngusAuthError

SECRET = "543eb007-1bfe-89d7"


def read(extra: dict[str, Any] | None = None, **fields: Any) -> Settings:
    """Return the settings of a complete connection with changed fields and extras."""
    defaults = {"conn_id": "shop", "login": "me@example.com", "password": SECRET, "host": None, "port": None}
    connection: Any = SimpleNamespace(**defaults | fields)
    return read_settings(connection, {"client_id": "3bd1"} | (extra or {}))


def read_error(extra: dict[str, Any] | None = None, **fields: Any) -> str:
    """Return the message of the error, which contains no secret."""
    with pytest.raises(AngusAuthError) as raised:
        read(extra, **fields)
    message = str(raised.value)
    assert message.startswith("Connection 'shop' is ")
    assert SECRET not in f"{message}{raised.value.__cause__!r}"
    return message


def test_read_settings_uses_every_field() -> None:
    extra = {
        "client_id": "9f00",
        "console_url": "https://console.example/angus/",
        "timeout": 2.5,
        "verify": "/etc/ssl/own.pem",
        "proxy": "http://proxy.example:3128",
        "concurrency": 7,
    }
    assert read(extra, login="you@example.com", password="S", host="https://data.example", port=8443) == Settings(
        Credentials("you@example.com", "9f00", "S"),
        data_url="https://data.example:8443",
        console_url="https://console.example/angus",
        timeout=2.5,
        verify="/etc/ssl/own.pem",
        proxy="http://proxy.example:3128",
        concurrency=7,
    )


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_read_settings_empty_field_is_its_default(empty: str | None) -> None:
    extra = dict.fromkeys(["console_url", "timeout", "verify", "proxy", "concurrency"], empty)
    assert read(extra, host=empty, port=0) == Settings(
        Credentials("me@example.com", "3bd1", SECRET),
        data_url="https://data.angus.ai",
        console_url="https://console.angus.ai",
        timeout=30.0,
        verify=True,
        proxy=None,
        concurrency=4,
    )
    assert read(extra, host=empty) == read() == Settings(Credentials("me@example.com", "3bd1", SECRET))


def test_read_settings_accepts_text_under_both_names() -> None:
    """Airflow 2.11's Test button sends extras like this."""
    extra = {"client_id": "9f00", "console_url": "http://127.0.0.1:1", "timeout": "7", "verify": "n", "proxy": ""}
    settings = read(extra | {f"extra__angus__{name}": value for name, value in extra.items()})
    assert settings.credentials.client_id == "9f00"
    assert settings.console_url == "http://127.0.0.1:1"
    assert (settings.timeout, settings.verify, settings.proxy) == (7.0, False, None)


@pytest.mark.parametrize("empty", [{}, {"client_id": None}, {"client_id": ""}, {"client_id": " "}])
def test_read_settings_long_name_replaces_empty_plain_name(empty: dict[str, Any]) -> None:
    settings = read({"client_id": None, "extra__angus__client_id": "9f00", "extra__angus__timeout": "7", **empty})
    assert (settings.credentials.client_id, settings.timeout) == ("9f00", 7.0)


def test_read_settings_plain_name_wins_over_long_name() -> None:
    assert read({"timeout": 5, "extra__angus__timeout": "7"}).timeout == 5.0


# Required fields


@pytest.mark.parametrize("empty", [None, "", "  "])
@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("login", "Login (the console login)"),
        ("password", "Password (the stream's access token)"),
        ("client_id", "the extra client_id (the stream's client ID)"),
    ],
)
def test_read_settings_missing_field_raises_with_label(field: str, label: str, empty: str | None) -> None:
    message = read_error({field: empty}) if field == "client_id" else read_error(**{field: empty})
    assert message == f"Connection 'shop' is incomplete. Fill in {label}."


def test_read_settings_missing_fields_are_all_named_in_order() -> None:
    message = read_error({"client_id": None}, login="", password=None)
    positions = [message.index(label) for label in ("Login", "Password", "client_id")]
    assert positions == sorted(positions)


# URLs


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://data.example", "https://data.example"),
        ("https://data.example/", "https://data.example"),
        (" https://data.example// ", "https://data.example"),
        ("HTTPS://data.example", "https://data.example"),
        ("data.example", "https://data.example"),
        ("data.example:8443", "https://data.example:8443"),
        ("https://data.example/proxied/angus/", "https://data.example/proxied/angus"),
        ("https://data.example/?", "https://data.example"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("https://data.example.", "https://data.example"),
        ("https://data.example.:8443/angus", "https://data.example:8443/angus"),
        ("https://my_host", "https://my_host"),
        ("https://bücher.example", "https://bücher.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
    ],
)
def test_read_settings_url_is_https_or_loopback(value: str, url: str) -> None:
    assert read(host=value).data_url == url
    assert read({"console_url": value}).console_url == url


def url_error(name: str, url: str) -> str:
    return read_error(host=url) if name == "Host" else read_error({"console_url": url})


@pytest.mark.parametrize("name", ["Host", "console_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://data.example",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://192.168.0.1",
        "http://[::2]",
        "ftp://data.example",
        "ftp://127.0.0.1",
    ],
)
def test_read_settings_unencrypted_url_raises(name: str, url: str) -> None:
    expected = f"is invalid: {name} is {url!r}; credentials need https (http: loopback only)."
    assert url_error(name, url).endswith(expected)


@pytest.mark.parametrize("name", ["Host", "console_url"])
@pytest.mark.parametrize(
    "url",
    [
        f"https://me:{SECRET}@data.example",
        "https://me@data.example",
        f"http://me:{SECRET}@127.0.0.1",
        "https://data.example?page=2",
        "https://data.example/#there",
        "https://",
        "https:///api",
        "https://[data",
        "https://data.example:port",
        "https://data.example:0",
        "https://data.example:99999",
        "https://data..example",
        "https://.data.example",
        "https://my host",
        "https://my%20host",
        "https://127.0.0.256",
        "https://[::g]",
        "https://xn--a.example",
        f"https://{'a' * 64}.example",
        f"https://{'a.' * 127}example",
        "file:///etc/passwd",
    ],
)
def test_read_settings_invalid_url_raises_with_name(name: str, url: str) -> None:
    assert f"is invalid: {name} is not a URL of the form https://host[:port]." in url_error(name, url)


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("https://data.example", 8443, "https://data.example:8443"),
        ("https://data.example:8443", 8443, "https://data.example:8443"),
        ("https://data.example:8443", None, "https://data.example:8443"),
        ("https://data.example/angus", 8443, "https://data.example:8443/angus"),
        ("data.example", 443, "https://data.example:443"),
        (None, 8443, "https://data.angus.ai:8443"),
        ("http://[::1]", 8765, "http://[::1]:8765"),
        ("https://data.example", 0, "https://data.example"),
    ],
)
def test_read_settings_port_changes_data_url_only(host: str | None, port: int | None, url: str) -> None:
    assert read(host=host, port=port).data_url == url
    assert read(host=host, port=port).console_url == "https://console.angus.ai"


def test_read_settings_different_ports_raise() -> None:
    message = read_error(host="https://data.example:8443", port=443)
    assert message.endswith("is invalid: Host has port 8443 and Port is 443.")


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_read_settings_port_out_of_range_raises(port: int) -> None:
    message = read_error(host="https://data.example", port=port)
    assert message.endswith(f"Port must be between 1 and 65535, got {port}.")


# Timeout, concurrency, verify, proxy


@pytest.mark.parametrize(
    ("value", "seconds"), [(7, 7.0), ("7", 7.0), (" 0.5 ", 0.5), (1e-3, 0.001), ("1e2", 100.0), (86_400, 86_400.0)]
)
def test_read_settings_timeout_is_seconds(value: float | str, seconds: float) -> None:
    assert read({"timeout": value}).timeout == seconds


@pytest.mark.parametrize("value", [0, "0", -1, "30s", "nan", "inf", True, "1e400", [30], 86_401, 1e10])
def test_read_settings_invalid_timeout_raises(value: object) -> None:
    message = read_error({"timeout": value})
    expected = f"timeout must be a number of seconds greater than 0 and at most 86400, got {str(value)!r}."
    assert message.endswith(expected)


@pytest.mark.parametrize(("value", "pages"), [(1, 1), ("8", 8), (" 32 ", 32), (None, 4), ("", 4)])
def test_read_settings_concurrency_is_pages(value: object, pages: int) -> None:
    assert read({"concurrency": value}).concurrency == pages


@pytest.mark.parametrize("value", [0, -1, 33, "0", "2.5", "many", True, "∞"])
def test_read_settings_invalid_concurrency_raises(value: object) -> None:
    message = read_error({"concurrency": value})
    assert message.endswith(f"concurrency must be an integer greater than 0 and at most 32, got {str(value)!r}.")


@pytest.mark.parametrize(
    ("value", "verify"),
    [
        *[(value, True) for value in (True, "true", "True", "YES", "y", "on", 1, "1")],
        *[(value, False) for value in (False, "false", "False", "No", "n", "off", 0, "0")],
        ("/etc/ssl/own.pem", "/etc/ssl/own.pem"),
        (" own.pem ", "own.pem"),
    ],
)
def test_read_settings_verify_is_bool_or_path(value: object, verify: bool | str) -> None:  # noqa: FBT001
    found = read({"verify": value}).verify
    assert (found, type(found)) == (verify, type(verify))


@pytest.mark.parametrize(
    "proxy", ["http://proxy.example:3128", f"http://me:{SECRET}@proxy.example", "socks5://proxy.example", "proxy:3128"]
)
def test_read_settings_proxy_may_have_credentials(proxy: str) -> None:
    assert read({"proxy": proxy}).proxy == (proxy if "://" in proxy else f"http://{proxy}")


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://me:{SECRET}@",
        f"http://me:{SECRET}@[proxy",
        f"http://me:{SECRET}/@proxy:1",
        f"http://me:1234/{SECRET}@proxy:1",
        f"http://me:1234?{SECRET}@proxy:1",
        f"http://me:1234#{SECRET}@proxy:1",
        "http://proxy..example",
        "http://proxy:0",
        "socks4://proxy:1080",
        "ftp://proxy",
        "http://",
    ],
)
def test_read_settings_invalid_proxy_raises_without_password(proxy: str) -> None:
    assert "is invalid: proxy is not a URL of the form " in read_error({"proxy": proxy})


@pytest.mark.parametrize("url", ["host", "console_url"])
def test_read_settings_http_url_needs_local_proxy(url: str) -> None:
    fields = {"host": "http://127.0.0.1:9"} if url == "host" else {}
    extra = {} if fields else {"console_url": "http://localhost:9"}
    message = read_error(extra | {"proxy": "http://proxy.example:3128"}, **fields)
    assert message.endswith("an http URL (loopback only) cannot go through a proxy on another machine.")
    assert read(extra | {"proxy": "http://127.0.0.1:3128"}, **fields).proxy == "http://127.0.0.1:3128"


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        *[(url, True) for url in ("http://proxy.example:3128", "proxy.example:3128", "socks5://10.0.0.1", "[::2]:9")],
        *[(url, False) for url in ("http://127.0.0.1:9", "localhost:9", "http://me:p@localhost", "[::1]", "http://[")],
    ],
)
def test_is_remote_loopback_or_invalid_is_false(url: str, remote: bool) -> None:  # noqa: FBT001
    assert is_remote(url) is remote


# Secrets


def test_settings_repr_shows_no_secret() -> None:
    settings = read({"proxy": f"http://me:{SECRET}@proxy.example"})
    assert SECRET not in f"{settings} {settings!r} {settings.credentials} {settings.credentials!r}"
    assert "me@example.com" in repr(settings)


@pytest.mark.parametrize(
    ("proxy", "secrets"),
    [
        ("http://me:p%2Fw@proxy.example", ["p/w", "bWU6cC93"]),
        ("http://tok%2Fen@proxy.example", ["tok/en", "dG9rL2VuOg=="]),
        ("http://proxy.example", []),
        ("", []),
    ],
)
def test_proxy_secrets_are_decoded_password_and_basic_value(proxy: str, secrets: list[str]) -> None:
    assert read({"proxy": proxy}).proxy_secrets == secrets


@pytest.mark.parametrize(
    ("password", "proxy", "masked"),
    [
        (SECRET, "", set()),
        (SECRET, "http://me:p%2Fw@proxy.example", {"p/w", "p%2Fw", "p%2fw", "bWU6cC93"}),
        ("a/b", "", {"a%2Fb", "a%2fb"}),
    ],
)
def test_masked_values_are_encoded_secrets(password: str, proxy: str, masked: set[str]) -> None:
    """Airflow itself masks the connection's password."""
    assert read({"proxy": proxy}, password=password).masked_values == masked
