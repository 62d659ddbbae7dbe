"""Sample values of tests: a day of the API documentation, credentials, tokens, and settings of a sandbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jwt

from airflow_provider_angus.api.settings import Credentials, Settings, read_settings
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from airflow_provider_angus.sandbox import Sandbox

#: The first day of the API documentation's sample response.
MIDNIGHT = datetime(2017, 9, 3, tzinfo=UTC)
DAY = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=1))
TWO_DAYS = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=2))

ACCESS_TOKEN = "543eb007-1bfe-89d7-b092-e127a78fe91c"
CREDENTIALS = Credentials("shop@example.com", "3bd15f50", ACCESS_TOKEN)

#: The sample token of the API documentation. Its payload is not JSON.
UNREADABLE_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImF1cmVsaWVuLm1vcmVhdUBhbmd1cy5haSIsIm9yaWdfaWF0IjoxNTA1Mzk4"
    "MDM4LCJleHAiOjE1D8DU0MTYwMzgsImNsaWVudF9pZCI6IjNiZDk1ZjIwLWM2OWYtMTFlNS1hZWVjLTAyNDJhYzExMDAwMiIsInVzZXJfaWQiOjgy"
    "NiwiZW1haWwiOiJhdXJlbGllbi5tb3JlYXVAYW5ndXMuYWkifQ.K70YXQYMAcdeW7dfscFGxUhenoXXGBAQTiWhNv-9cVc"
)


def token(exp: object = 2_000_000_000) -> str:
    """Return a JWT with this ``exp``; None: without ``exp``."""
    return jwt.encode({} if exp is None else {"exp": exp}, "k" * 32)


def sandbox_settings(sandbox: Sandbox, client_id: str | None = None, **changes: Any) -> Settings:
    """Return the settings of a sandbox's stream, by default its first stream, with some of them changed."""
    fields = sandbox.connection(client_id)
    connection: Any = SimpleNamespace(**{"conn_id": "shop", "port": None, **fields})
    return replace(read_settings(connection, fields["extra"]), **changes)
