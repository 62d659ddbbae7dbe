"""Read the fields of a connection into validated settings. Pure: reads attributes, imports no Airflow.

The connection form saves empty fields as null or empty text. Airflow 2.11's Test button sends every extra as text,
under its plain name and as ``extra__angus__<name>``. All of these forms are accepted.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_angus.api.redaction import NotPicklable, percent_encoded
from airflow_provider_angus.exceptions import AngusAuthError

DATA_URL = "https://data.angus.ai"
CONSOLE_URL = "https://console.angus.ai"
DEFAULT_TIMEOUT, MAX_TIMEOUT = 30.0, 86_400.0
DEFAULT_CONCURRENCY, MAX_CONCURRENCY = 4, 32

N = TypeVar("N", int, float)

_TRUE, _FALSE = {"true", "yes", "y", "on", "1"}, {"false", "no", "n", "off", "0"}
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_IPV4_STYLE = re.compile(r"\d+(\.\d+){3}")
_MAX_HOST_LENGTH = 253


@dataclass(frozen=True)
class Credentials(NotPicklable):
    """The credentials of one stream. The repr shows no secret.

    :param username: the console login, an e-mail address.
    :param client_id: the stream's ID; the console calls it "Login".
    :param access_token: the stream's secret; the console calls it "Password".
    """

    username: str
    client_id: str
    access_token: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """The settings of a client. The repr shows no secret.

    :param credentials: who sends the requests, and for which stream.
    :param data_url: URL of the data API, without a slash at the end.
    :param console_url: URL of the console, without a slash at the end.
    :param timeout: seconds for connecting, and again for the complete response.
    :param verify: whether to verify TLS certificates, or the path of a PEM file or of a folder of CA certificates.
    :param proxy: URL of a proxy; None: the proxy of the environment, if any.
    :param concurrency: the maximum of concurrent page requests of one query.
    """

    credentials: Credentials
    data_url: str = DATA_URL
    console_url: str = CONSOLE_URL
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)
    concurrency: int = DEFAULT_CONCURRENCY

    @property
    def proxy_secrets(self) -> list[str]:
        """Return the secrets that the connection's proxy may echo."""
        return proxy_secrets(self.proxy or "")

    @property
    def masked_values(self) -> set[str]:
        """Return the values to mask in logs besides the connection's password, which Airflow masks itself."""
        token = self.credentials.access_token
        encoded = {form for secret in self.proxy_secrets for form in percent_encoded(secret)}
        return encoded | (percent_encoded(token) - {token}) | set(self.proxy_secrets)


def read_settings(connection: Any, extra: Mapping[str, Any]) -> Settings:
    """Return the settings of a connection, with the documented defaults.

    :param connection: an Airflow connection of type ``angus``: Login, Password, Host and Port.
    :param extra: the connection's extra: ``client_id``, ``console_url``, ``timeout``, ``verify``, ``proxy``,
        ``concurrency``.
    :raises AngusAuthError: a required field is missing or a field is invalid; the message names it.
    """

    def text(name: str) -> str:
        values = (extra.get(name), extra.get(f"extra__angus__{name}"))
        return next(filter(None, (str(value).strip() for value in values if value is not None)), "")

    required = {
        "Login (the console login)": (connection.login or "").strip(),
        "Password (the stream's access token)": (connection.password or "").strip(),
        "the extra client_id (the stream's client ID)": text("client_id"),
    }
    if missing := [label for label, value in required.items() if not value]:
        raise AngusAuthError(f"Connection {connection.conn_id!r} is incomplete. Fill in {', '.join(missing)}.")
    username, access_token, client_id = required.values()
    try:
        data_url = _add_port(_read_url("Host", (connection.host or "").strip() or DATA_URL), connection.port)
        console_url = _read_url("console_url", text("console_url") or CONSOLE_URL)
        return Settings(
            credentials=Credentials(username, client_id, access_token),
            data_url=data_url,
            console_url=console_url,
            timeout=_read_number("timeout", text("timeout"), float, DEFAULT_TIMEOUT, MAX_TIMEOUT),
            verify=_read_verify(text("verify")),
            proxy=_read_proxy(text("proxy"), encrypted="http:" not in data_url + console_url),
            concurrency=_read_number("concurrency", text("concurrency"), int, DEFAULT_CONCURRENCY, MAX_CONCURRENCY),
        )
    except ValueError as error:
        raise AngusAuthError(f"Connection {connection.conn_id!r} is invalid: {error}.") from error


def is_remote(url: str) -> bool:
    """Return whether a proxy's URL leads to another machine, so that unencrypted requests must not go through it."""
    parts = split_url(url if "://" in url else f"http://{url}")
    return parts is not None and not _is_loopback(parts.hostname or "")


def split_url(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None if its host or port is invalid."""
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts if parts.port != 0 and _is_host(parts.hostname or "") else None
    return None


def parse_proxy(value: str) -> str:
    """Return the URL of a proxy, by default with the scheme ``http``.

    :raises ValueError: not a URL of a proxy. The message does not contain the value, which may contain a password.
    """
    url = value.strip() if "://" in value else f"http://{value.strip()}"
    parts = split_url(url)
    # A path is the rest of a password with a slash.
    if not parts or parts.scheme not in _PROXY_SCHEMES or parts.path.strip("/") or parts.query or parts.fragment:
        schemes = ", ".join(_PROXY_SCHEMES)
        raise ValueError(f"not a URL of the form http://[user:password@]host[:port] (schemes: {schemes})")
    return url


def proxy_secrets(url: str) -> list[str]:
    """Return the secrets that a proxy may echo: its password, and the credentials of its Basic header.

    Without a password, the user may be a token.
    """
    parts = urlsplit(url)
    secret = parts.password or parts.username
    return [unquote(secret), basic_credentials(url)] if secret else []


def basic_credentials(url: str) -> str:
    """Return the value of a Basic header for the user and password of a URL."""
    parts = urlsplit(url)
    return b64encode(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()).decode()


def _read_url(name: str, value: str) -> str:
    url = value.strip()
    parts = split_url(url if "://" in url else f"https://{url}")
    if not parts or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{name} is not a URL of the form https://host[:port]")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ValueError(f"{name} is {parts.geturl()!r}; credentials need https (http: loopback only)")
    # Of the two HTTP libraries, only one ignores the dot of the DNS root when it compares certificates.
    netloc = re.sub(r"\.(?=:\d*$|$)", "", parts.netloc)
    return parts._replace(netloc=netloc, path=parts.path.rstrip("/"), query="", fragment="").geturl()


def _is_host(hostname: str) -> bool:
    """Return whether a host is one that both HTTP libraries accept: an address or a name for the DNS.

    :raises ValueError: it is not.
    """
    if ":" in hostname or _IPV4_STYLE.fullmatch(hostname):
        return bool(ipaddress.ip_address(hostname))
    if not hostname.isascii() or "xn--" in hostname:
        import idna

        hostname = idna.encode(hostname, uts46=True).decode()
    labels = hostname.removesuffix(".").split(".")
    return len(hostname) <= _MAX_HOST_LENGTH and all(map(_HOST_LABEL.fullmatch, labels))


def _add_port(url: str, port: int | None) -> str:
    parts = urlsplit(url)
    if not port or port == parts.port:
        return url
    if parts.port:
        raise ValueError(f"Host has port {parts.port} and Port is {port}")
    if not 0 < port < 2**16:
        raise ValueError(f"Port must be between 1 and 65535, got {port}")
    return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _read_number(name: str, value: str, kind: type[N], default: N, maximum: N) -> N:
    try:
        number = kind(value or default)
    except ValueError:
        number = kind(0)
    if not 0 < number <= maximum:
        noun = "an integer" if kind is int else "a number of seconds"
        raise ValueError(f"{name} must be {noun} greater than 0 and at most {maximum:g}, got {value!r}")
    return number


def _read_proxy(value: str, *, encrypted: bool) -> str | None:
    if not value:
        return None
    try:
        url = parse_proxy(value)
    except ValueError as error:
        raise ValueError(f"proxy is {error}") from None
    if not encrypted and is_remote(url):
        raise ValueError("an http URL (loopback only) cannot go through a proxy on another machine")
    return url


def _read_verify(value: str) -> bool | str:
    if value.lower() in _FALSE:
        return False
    return True if not value or value.lower() in _TRUE else value
