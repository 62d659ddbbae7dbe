"""The proxy and the TLS certificates for a URL: from the connection, then from the environment. No HTTP library.

Both clients use the result, so that a connection means the same on a worker and in a triggerer.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import certifi

from airflow_provider_angus.api.messages import Request, Response
from airflow_provider_angus.api.proxies import Proxy, find_proxy
from airflow_provider_angus.api.redaction import quote_untrusted
from airflow_provider_angus.api.responses import error_message
from airflow_provider_angus.api.settings import Settings, split_url
from airflow_provider_angus.exceptions import AngusAuthError, AngusError, AngusUnavailableError
from airflow_provider_angus.model.text import sanitize_line

#: The environment variables with the path of CA certificates. The first that is not empty applies.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

# Codes of OpenSSL: certificate not yet valid; expired; for another host, e-mail or IP address.
_NOT_YET_VALID = 9
_UNUSABLE_CERTIFICATE = {10, 62, 63, 64}
_RETRYABLE_REFUSALS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
#: The start of the text of an error of a proxy that refuses a tunnel, before its status.
REFUSED_TUNNEL = "Tunnel connection failed: "


class _SharedContext(ssl.SSLContext):
    """A TLS context for connections of several threads."""

    _alpn: tuple[str, ...] = ()

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Set the protocols, unless they are set already.

        HTTP libraries do so for each connection. OpenSSL would free the list that another thread may be reading.
        """
        if self._alpn != (protocols := tuple(alpn_protocols)):
            super().set_alpn_protocols(protocols)
            self._alpn = protocols


@dataclass(frozen=True)
class TlsSource:
    """The source of the trusted CA certificates.

    :param path: a PEM file, or a folder with hashed file names (in ``SSL_CERT_DIR`` several); None: trust any server.
    :param origin: the setting that the path comes from.
    """

    path: str | None
    origin: str

    def stamp(self) -> Hashable:
        """Return a value that changes when a file or folder is replaced."""
        stamps = []
        for path in self._paths:
            with suppress(OSError, ValueError):
                status = os.stat(path)  # noqa: PTH116 (SSL_CERT_DIR may contain any text)
                stamps.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return tuple(stamps)

    def create_context(self) -> ssl.SSLContext:
        """Return a new TLS context. This may take tens of milliseconds.

        :raises AngusAuthError: the path does not exist or is not readable, or the file is not PEM.
        """
        context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        context.set_alpn_protocols(["http/1.1"])
        if self.path is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if sys.version_info >= (3, 13):
            # As in ssl.create_default_context.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        try:
            is_folder = not Path(self.path).is_file() and any(map(os.path.isdir, self._paths))
            context.load_verify_locations(**{"capath" if is_folder else "cafile": self.path})
        except (OSError, ValueError) as error:
            not_pem = isinstance(error, ssl.SSLError)
            reason = "no certificate in PEM format" if not_pem else getattr(error, "strerror", None) or error
            raise AngusAuthError(
                f"{self.origin}: expected a PEM file or a folder of CA certificates, got {self.path!r}: "
                f"{sanitize_line(str(reason))}."
            ) from error
        return context

    @property
    def _paths(self) -> list[str]:
        return [self.path, *self.path.split(os.pathsep)] if self.path else []

    def __str__(self) -> str:
        """Return path and origin for messages."""
        return f"{self.path!r} ({self.origin})"


@dataclass(frozen=True)
class Route:
    """How to connect: equal routes may share connections."""

    tls: TlsSource
    proxy: Proxy | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that a proxy may echo."""
        return self.proxy.secrets if self.proxy else ()

    def raise_if_refused(self, request: Request, response: Response) -> None:
        """Raise if the proxy refused its credentials.

        :raises AngusAuthError: status 407.
        """
        if self.proxy and response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            text = f"status {response.status}: {error_message(response)}"
            raise self._refused(request, response.status, text)

    def no_response(self, request: Request, error: BaseException, reason: str) -> AngusError:
        """Return the error of a request without a response: whether a retry helps depends on the cause.

        :param error: of the HTTP library.
        :param reason: the innermost text of the error, not redacted.
        """
        secrets = [*request.secrets, *self.secrets]
        via = f" Proxy: {self.proxy}." if self.proxy else ""
        for each in _causes(error):
            if isinstance(each, ssl.SSLCertVerificationError) and each.verify_code != _NOT_YET_VALID:
                fix = "The server needs another certificate."
                if each.verify_code not in _UNUSABLE_CERTIFICATE:
                    fix = (
                        f"Trusted CA certificates: {self.tls}. To trust another CA, set the connection's verify to its "
                        "PEM file, or to a folder prepared with 'openssl rehash'."
                    )
                problem = _sentence(each.verify_message, secrets)
                return AngusAuthError(f"{request}: the certificate is not trusted: {problem}{via} {fix}")
        if refused := re.match(rf"{REFUSED_TUNNEL}(\d\d\d)\b", reason):
            status = int(refused[1])
            if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _RETRYABLE_REFUSALS:
                return self._refused(request, status, _sentence(reason.removeprefix(REFUSED_TUNNEL), secrets))
        return AngusUnavailableError(f"{request}: no response: {_sentence(reason, secrets)}{via}")

    def _refused(self, request: Request, status: int, text: str) -> AngusAuthError:
        fix = "its URL is the URL of a proxy, and that the proxy allows this host"
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            fix = "its URL has a valid user and password"
        return AngusAuthError(f"{request}: refused by the proxy {self.proxy}: {text} Check that {fix}.")


def find_route(settings: Settings, url: str) -> Route:
    """Return how to connect to a URL: from the connection's settings, then from the environment.

    :raises AngusAuthError: the URL, or the URL of its proxy, is invalid.
    """
    parts = split_url(url)
    if not parts:
        raise AngusAuthError(f"Host and console_url: expected https://host[:port], got {sanitize_line(url)!r}.")
    proxy = find_proxy(settings, parts)
    if parts.scheme == "https" or (proxy and proxy.url.startswith("https:")):
        return Route(_find_tls(settings.verify), proxy)
    # Reading CA certificates takes time.
    return Route(TlsSource(None, "no TLS"), proxy)


def _find_tls(verify: bool | str) -> TlsSource:  # noqa: FBT001 (the value of a setting)
    origin = "verify of the connection"
    if verify is False:
        return TlsSource(None, origin)
    if isinstance(verify, str):
        return TlsSource(verify, origin)
    for name in CA_VARIABLES:
        if path := os.environ.get(name):
            return TlsSource(path, f"environment variable {name}")
    return TlsSource(certifi.where(), "the package certifi")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that it contains or that caused it."""
    seen: list[BaseException] = [error]
    for each in seen:
        yield each
        inner = (*each.args, getattr(each, "reason", None), each.__cause__, each.__context__)
        seen += [new for new in inner if isinstance(new, BaseException) and new not in seen]


def _sentence(text: str, secrets: Iterable[str]) -> str:
    return quote_untrusted(text.strip().rstrip("."), secrets) + "."
