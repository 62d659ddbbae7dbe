"""What an Airflow connection says: its fields, empty ones and those that cannot be used."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_angus.connection import Settings, read_settings
from airflow_provider_angus.exceptions import AngusAuthError
from airflow_provider_angus.protocol import Credentials

SECRET = "543eb007-1bfe-89d7"


def read(extra: dict[str, Any] | None = None, **fields: Any) -> Settings:
    """Return the settings of a complete connection in which these fields and extras are changed."""
    given = {"conn_id": "shop", "login": "me@example.com", "password": SECRET, "host": None, "port": None, **fields}
    connection: Any = SimpleNamespace(**given)
    return read_settings(connection, {"client_id": "3bd1"} | (extra or {}))


def refused(extra: dict[str, Any] | None = None, **fields: Any) -> str:
    """Return what is said of a connection that cannot be used; it never shows a secret."""
    with pytest.raises(AngusAuthError) as error:
        read(extra, **fields)
    message = str(error.value)
    assert message.startswith("Connection 'shop' ")
    assert SECRET not in f"{message}{error.value.__cause__!r}"
    return message


def test_every_field_says_what_its_name_says() -> None:
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
def test_an_empty_field_means_its_default(empty: str | None) -> None:
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
    assert read(extra, host=empty) == read()


def test_the_text_that_airflow_2_posts_under_two_names_is_read_as_what_it_looks_like() -> None:
    given = {"client_id": "9f00", "console_url": "http://127.0.0.1:1", "timeout": "7", "verify": "n", "proxy": ""}
    settings = read(given | {f"extra__angus__{name}": value for name, value in given.items()})
    assert settings.credentials.client_id == "9f00"
    assert settings.console_url == "http://127.0.0.1:1"
    assert (settings.timeout, settings.verify, settings.proxy) == (7.0, False, None)


@pytest.mark.parametrize("empty", [{}, {"client_id": None}, {"client_id": ""}, {"client_id": " "}])
def test_the_long_name_of_an_extra_counts_where_the_plain_one_is_empty(empty: dict[str, Any]) -> None:
    settings = read({"client_id": None, "extra__angus__client_id": "9f00", "extra__angus__timeout": "7", **empty})
    assert (settings.credentials.client_id, settings.timeout) == ("9f00", 7.0)


def test_the_plain_name_of_an_extra_wins_over_the_long_one() -> None:
    assert read({"timeout": 5, "extra__angus__timeout": "7"}).timeout == 5.0


# What must be there


@pytest.mark.parametrize("empty", [None, "", "  "])
@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("login", "Login (the console login)"),
        ("password", "Password (the stream's access token)"),
        ("client_id", "the extra client_id (the stream's client ID)"),
    ],
)
def test_a_required_field_that_is_empty_is_named(field: str, named: str, empty: str | None) -> None:
    message = refused({field: empty}) if field == "client_id" else refused(**{field: empty})
    assert message == f"Connection 'shop' is incomplete, fill in: {named}."


def test_all_required_fields_that_are_empty_are_named_at_once() -> None:
    message = refused({"client_id": None}, login="", password=None)
    assert [message.index(name) for name in ("Login", "Password", "client_id")] == sorted(
        message.index(name) for name in ("Login", "Password", "client_id")
    )


# URLs


@pytest.mark.parametrize(
    ("given", "url"),
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
    ],
)
def test_a_url_is_https_or_loopback_and_ends_without_a_slash(given: str, url: str) -> None:
    assert read(host=given).data_url == url
    assert read({"console_url": given}).console_url == url


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
        "file:///etc/passwd",
    ],
)
def test_credentials_do_not_travel_in_clear(name: str, url: str) -> None:
    message = refused(host=url) if name == "Host" else refused({"console_url": url})
    assert f"cannot be used: {name} is " in message
    assert "https" in message


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
    ],
)
def test_what_is_no_url_of_a_host_is_refused_by_name(name: str, url: str) -> None:
    message = refused(host=url) if name == "Host" else refused({"console_url": url})
    assert f"cannot be used: {name} is not a URL of the form https://host[:port]." in message


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
def test_the_port_goes_into_the_data_url_and_not_into_the_consoles(
    host: str | None, port: int | None, url: str
) -> None:
    assert read(host=host, port=port).data_url == url
    assert read(host=host, port=port).console_url == "https://console.angus.ai"


def test_two_ports_that_differ_are_refused() -> None:
    assert "Host names port 8443 and Port says 443" in refused(host="https://data.example:8443", port=443)


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_there_is_not_is_refused(port: int) -> None:
    assert "Port" in refused(host="https://data.example", port=port)


# Timeout, verify, proxy


@pytest.mark.parametrize(("given", "seconds"), [(7, 7.0), ("7", 7.0), (" 0.5 ", 0.5), (1e-3, 0.001), ("1e2", 100.0)])
def test_a_timeout_is_a_number_of_seconds(given: float | str, seconds: float) -> None:
    assert read({"timeout": given}).timeout == seconds


@pytest.mark.parametrize(("given", "pages"), [(1, 1), ("8", 8), (" 32 ", 32), (None, 4), ("", 4)])
def test_concurrency_is_a_number_of_pages(given: object, pages: int) -> None:
    assert read({"concurrency": given}).concurrency == pages


@pytest.mark.parametrize("given", [0, -1, 33, "0", "2.5", "many", True, "∞"])
def test_a_concurrency_that_is_no_number_of_pages_is_refused(given: object) -> None:
    assert "cannot be used: concurrency must be a whole number from 1 to 32" in refused({"concurrency": given})


@pytest.mark.parametrize("given", [0, "0", -1, "30s", "nan", "inf", True, "1e400", [30], 1e10])
def test_a_timeout_that_nobody_can_wait_for_is_refused(given: object) -> None:
    assert "cannot be used: timeout must be a number of seconds above zero" in refused({"timeout": given})


@pytest.mark.parametrize(
    ("given", "verify"),
    [
        *[(yes, True) for yes in (True, "true", "True", "YES", "y", "on", 1, "1")],
        *[(no, False) for no in (False, "false", "False", "No", "n", "off", 0, "0")],
        ("/etc/ssl/own.pem", "/etc/ssl/own.pem"),
        (" own.pem ", "own.pem"),
    ],
)
def test_verify_is_yes_or_no_or_a_path(given: object, verify: bool | str) -> None:  # noqa: FBT001
    found = read({"verify": given}).verify
    assert (found, type(found)) == (verify, type(verify))


@pytest.mark.parametrize(
    "proxy", ["http://proxy.example:3128", f"http://me:{SECRET}@proxy.example", "socks5://proxy.example", "proxy:3128"]
)
def test_a_proxy_may_have_a_user(proxy: str) -> None:
    assert read({"proxy": proxy}).proxy == (proxy if "://" in proxy else f"http://{proxy}")


@pytest.mark.parametrize(
    "proxy",
    [f"http://me:{SECRET}@", f"http://me:{SECRET}@[proxy", f"http://me:{SECRET}/@proxy:1", "ftp://proxy", "http://"],
)
def test_a_proxy_that_cannot_be_called_is_refused_without_its_password(proxy: str) -> None:
    assert "cannot be used: proxy is not a URL of the form" in refused({"proxy": proxy})


def test_no_repr_shows_a_secret() -> None:
    settings = read({"proxy": f"http://me:{SECRET}@proxy.example"})
    assert SECRET not in f"{settings} {settings!r} {settings.credentials} {settings.credentials!r}"
    assert "me@example.com" in repr(settings)


def test_a_proxy_s_password_is_what_it_means_in_its_url() -> None:
    assert read({"proxy": "http://me:p%2Fw@proxy.example"}).proxy_secrets == ["p/w"]
    assert read({"proxy": "http://me:p%2Fw@proxy.example"}).to_mask == {"p/w", "p%2Fw", "p%2fw", "bWU6cC93"}
    assert read({"proxy": "http://proxy.example"}).proxy_secrets == read({}).proxy_secrets == []


@pytest.mark.parametrize("url", ["host", "console_url"])
def test_what_travels_in_clear_goes_by_no_proxy_on_another_machine(url: str) -> None:
    given = {"host": "http://127.0.0.1:9"} if url == "host" else {}
    extra = {"proxy": "http://proxy.example:3128"} | ({} if given else {"console_url": "http://localhost:9"})
    with pytest.raises(AngusAuthError, match="a URL is http"):
        read(extra, **given)
    assert read(extra | {"proxy": "http://127.0.0.1:3128"}, **given).proxy == "http://127.0.0.1:3128"
