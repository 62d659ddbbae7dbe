"""What an Airflow connection says: its fields -> checked settings. Pure: reads attributes, imports no Airflow.

Empty fields of a saved connection are explicit nulls or empty texts; 2.11's Test button posts every extra as text,
under its plain name and as ``extra__angus__<name>``. Both mean what they look like.
"""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_angus.exceptions import AngusAuthError
from airflow_provider_angus.hiding import in_urls
from airflow_provider_angus.protocol import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_URL = "https://data.angus.ai"
CONSOLE_URL = "https://console.angus.ai"
TIMEOUT = 30.0
LONGEST_TIMEOUT = 86_400.0
CONCURRENCY = 4
LARGEST_CONCURRENCY = 32

_TRUE = {"true", "yes", "y", "on", "1"}
_PROXY_SCHEMES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}
_FALSE = {"false", "no", "n", "off", "0"}


class AirflowConnection(Protocol):
    """The attributes of an Airflow ``Connection`` that say something here, each possibly None or empty."""

    conn_id: str
    host: str | None
    port: int | None
    login: str | None
    password: str | None


@dataclass(frozen=True)
class Settings:
    """All that a client needs to know; the repr shows no secret.

    :param credentials: of one stream.
    :param data_url: of the data API, without a slash at the end.
    :param console_url: of the console, the same.
    :param timeout: seconds that one whole answer may take from when it is asked for, and connecting before that.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle to verify them with.
    :param proxy: the URL of an HTTP proxy, or None: as the environment says.
    :param concurrency: how many pages of one question are asked for at once at most.
    """

    credentials: Credentials
    data_url: str = DATA_URL
    console_url: str = CONSOLE_URL
    timeout: float = TIMEOUT
    verify: bool | str = True
    proxy: str | None = None
    concurrency: int = CONCURRENCY

    @property
    def proxy_secrets(self) -> list[str]:
        """What a proxy may echo and nobody else may see: its password."""
        password = urlsplit(self.proxy or "").password
        return [unquote(password)] if password else []

    @property
    def to_mask(self) -> set[str]:
        """What Airflow does not mask by itself, and debug logs of HTTP libraries show where a server echoes it.

        The proxy's password, also as the proxy is told it, and what URLs write otherwise of the access token.
        """
        token, user = self.credentials.access_token, unquote(urlsplit(self.proxy or "").username or "")
        texts = in_urls(token) - {token}
        for password in self.proxy_secrets:
            texts |= {password, b64encode(f"{user}:{password}".encode()).decode()} | in_urls(password)
        return texts

    def __repr__(self) -> str:
        """Return the settings without the proxy, whose URL may hold a password."""
        return f"Settings({self.credentials!r}, {self.data_url!r}, {self.console_url!r})"


def read_settings(connection: AirflowConnection, extra: Mapping[str, Any]) -> Settings:
    """Return what a connection says, with the documented defaults.

    :param connection: an Airflow connection of type ``angus``: Login, Password, Host and Port.
    :param extra: its extra as a mapping: ``client_id``, ``console_url``, ``timeout``, ``verify``, ``proxy``,
        ``concurrency``.
    :raises AngusAuthError: a required field is missing, or a field holds what cannot be used; the message names it.
    """

    def text(name: str) -> str:
        values = (extra.get(name), extra.get(f"extra__angus__{name}"))
        return next(filter(None, (str(value).strip() for value in values if value is not None)), "")

    def wrong(what: str) -> AngusAuthError:
        return AngusAuthError(f"Connection {connection.conn_id!r} {what}.")

    username, access_token = (connection.login or "").strip(), (connection.password or "").strip()
    client_id = text("client_id")
    required = {
        "Login (the console login)": username,
        "Password (the stream's access token)": access_token,
        "the extra client_id (the stream's client ID)": client_id,
    }
    if missing := [label for label, value in required.items() if not value]:
        raise wrong(f"is incomplete, fill in: {', '.join(missing)}")
    try:
        settings = Settings(
            credentials=Credentials(username, client_id, access_token),
            data_url=_with_port(_url("Host", (connection.host or "").strip() or DATA_URL), connection.port),
            console_url=_url("console_url", text("console_url") or CONSOLE_URL),
            timeout=_seconds(text("timeout")),
            verify=_verify(text("verify")),
            proxy=_proxy(text("proxy")),
            concurrency=_concurrency(text("concurrency")),
        )
    except ValueError as error:
        raise wrong(f"cannot be used: {error}") from error
    if settings.proxy and is_elsewhere(settings.proxy) and "http:" in settings.data_url + settings.console_url:
        raise wrong("cannot be used: a URL is http, which is for this machine alone, and the proxy is on another")
    return settings


def is_elsewhere(url: str) -> bool:
    """Return whether a URL leads to another machine, where what travels in clear must not go."""
    parts = _split(url if "://" in url else f"http://{url}")
    return parts is not None and not _is_loopback(parts.hostname or "")


def _url(name: str, value: str) -> str:
    url = value.strip()
    parts = _split(url if "://" in url else f"https://{url}")
    if not parts or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{name} is not a URL of the form https://host[:port]")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ValueError(f"{name} is {parts.geturl()!r}, but credentials travel over https only (http: loopback only)")
    return parts._replace(path=parts.path.rstrip("/"), query="", fragment="").geturl()


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None where it has no host or no port that one could call."""
    try:
        parts = urlsplit(url)
        callable_ = parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if callable_ else None


def _with_port(url: str, port: int | None) -> str:
    parts = urlsplit(url)
    if not port or port == parts.port:
        return url
    if parts.port:
        raise ValueError(f"Host names port {parts.port} and Port says {port}")
    if not 0 < port < 2**16:
        raise ValueError(f"Port must be between 1 and 65535, got {port}")
    return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _seconds(value: str) -> float:
    try:
        seconds = float(value or TIMEOUT)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ValueError(f"timeout must be a number of seconds above zero and at most a day, got {value!r}")
    return seconds


def _concurrency(value: str) -> int:
    try:
        pages = int(value or CONCURRENCY)
    except ValueError:
        pages = 0
    if not 0 < pages <= LARGEST_CONCURRENCY:
        raise ValueError(f"concurrency must be a whole number from 1 to {LARGEST_CONCURRENCY}, got {value!r}")
    return pages


def _proxy(value: str) -> str | None:
    if not value:
        return None
    url = value if "://" in value else f"http://{value}"
    parts = _split(url)
    if not (parts and parts.scheme in _PROXY_SCHEMES):
        # Without the value, which may hold a password.
        raise ValueError("proxy is not a URL of the form http://[user:password@]host[:port]")
    return url


def _verify(value: str) -> bool | str:
    if value.lower() in _FALSE:
        return False
    return True if not value or value.lower() in _TRUE else value
