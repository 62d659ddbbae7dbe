"""The HTTP messages that flows exchange with their drivers. Pure: no HTTP library.

A *flow* is a generator: it yields a :class:`Request`, receives its :class:`Response`, and returns its result. Each rule
of the API (tokens, 401, pages) is a flow. The drivers ``client.py`` and ``async_client.py`` run flows in a loop.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union

from airflow_provider_angus.api.redaction import NotPicklable

T = TypeVar("T")
Flow = Generator[Union["Request", "SingleFlight"], Any, T]


@dataclass(frozen=True)
class Request(NotPicklable):
    """An HTTP request.

    :param params: the query, not encoded.
    :param body: sent as JSON; None: no body.
    :param token: the JWT of the Authorization header; None: no header.
    :param hint: advice for error messages of a refused or timed-out request, one sentence or empty.
    """

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    hint: str = field(default="", repr=False)

    @property
    def secrets(self) -> list[str]:
        """Return the secrets that the request contains and a server may echo."""
        return [secret for secret in (self.token, (self.body or {}).get("access_token")) if secret]

    def __str__(self) -> str:
        """Return method and URL, the only parts that may appear in a message."""
        return f"{self.method} {self.url}"


@dataclass(frozen=True)
class Response:
    """A complete HTTP response.

    :param headers: a case-insensitive mapping.
    :param body: decompressed.
    :param secrets: secrets that the server may have echoed; messages redact them.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: Collection[str] = field(default=(), repr=False)


@dataclass(frozen=True)
class SingleFlight:
    """A flow for a token that runs once for all concurrent callers with an equal key; they share its result."""

    key: str
    flow: Flow[str] = field(repr=False)
