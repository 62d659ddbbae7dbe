"""The proxy for a URL: from the connection, then from the environment. No HTTP library."""

from __future__ import annotations

import ipaddress
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_provider_angus.api.redaction import NotPicklable
from airflow_provider_angus.api.settings import Settings, basic_credentials, is_remote, parse_proxy, proxy_secrets
from airflow_provider_angus.exceptions import AngusAuthError

_DEFAULT_PORTS = {"http": 80, "https": 443}

#: Packages that requests and httpx need for SOCKS, by module.
_SOCKS_PACKAGES = {"socks": "PySocks", "socksio": "socksio"}


@dataclass(frozen=True)
class Proxy(NotPicklable):
    """A proxy. The repr shows no secret.

    :param url: for the HTTP libraries. Without user and password, except SOCKS.
    :param origin: the setting that the proxy comes from.
    :param headers: the headers of requests to the proxy.
    :param secrets: the secrets that the proxy may echo.
    """

    url: str = field(repr=False)
    origin: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def socks(self) -> bool:
        """Whether the proxy is a SOCKS proxy, which has no headers and no TLS."""
        return self.url.startswith("socks")

    def __str__(self) -> str:
        """Return URL and origin for messages, without user and password."""
        return f"{_without_credentials(urlsplit(self.url))} ({self.origin})"


def find_proxy(settings: Settings, parts: SplitResult) -> Proxy | None:
    """Return the proxy for a URL; None: connect to the server.

    :raises AngusAuthError: the URL of the proxy is invalid, or a package for SOCKS is missing.
    """
    if settings.proxy:
        return _create_proxy(settings.proxy, "proxy of the connection")
    proxies = getproxies()
    scheme = next((name for name in (parts.scheme, "all") if proxies.get(name)), None)
    if not scheme or _is_direct(parts):
        return None
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    variable = next((name for name in names if os.environ.get(name)), None)
    proxy = _create_proxy(proxies[scheme], f"environment variable {variable}" if variable else "the system's proxy")
    # Unencrypted requests go to this machine only, so not through a proxy on another.
    return None if parts.scheme == "http" and is_remote(proxy.url) else proxy


def _create_proxy(value: str, origin: str) -> Proxy:
    try:
        url = parse_proxy(value)
    except ValueError as error:
        raise AngusAuthError(f"{origin}: {error}. Check the connection's proxy and the environment's.") from None
    parts, secrets = urlsplit(url), tuple(proxy_secrets(url))
    if parts.scheme.startswith("socks"):
        if missing := [package for module, package in _SOCKS_PACKAGES.items() if not find_spec(module)]:
            raise AngusAuthError(
                f"{origin}: a SOCKS proxy needs the packages PySocks (for workers) and socksio (for triggerers), "
                f"missing: {', '.join(missing)}. Install them, or check the connection's proxy and the environment's."
            )
        return Proxy(url, origin, secrets=secrets)
    has_credentials = parts.username or parts.password
    headers = (("Proxy-Authorization", f"Basic {basic_credentials(url)}"),) if has_credentials else ()
    return Proxy(_without_credentials(parts), origin, headers, secrets)


def _without_credentials(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path="").geturl()


def _is_direct(parts: SplitResult) -> bool:
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    # proxy_bypass knows the exceptions in the settings of macOS and Windows.
    return bypasses_proxy(no_proxy, host, port) or bool(proxy_bypass(host))


def bypasses_proxy(no_proxy: str, host: str, port: int) -> bool:
    """Return whether ``NO_PROXY`` contains a host: as a name, a domain, an address, a network, or ``*``.

    :param no_proxy: entries separated by commas or spaces. Each may end in ``:port``, except networks.
    :param host: a host name or IP address in lower case.
    """
    return any(_is_match(entry, host, port) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _is_match(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
        with suppress(ValueError):
            return ipaddress.ip_address(host) in network
        return False
    with suppress(ValueError):
        parts = urlsplit(f"//{entry}")
        domain = (parts.hostname or "").removeprefix("*").strip(".")
        return parts.port in {None, port} and bool(domain) and (host == domain or host.endswith(f".{domain}"))
    return False
