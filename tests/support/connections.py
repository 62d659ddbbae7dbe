"""Airflow connections to a sandbox, with some fields changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from airflow_provider_angus.sandbox import Sandbox


def changed_connection(sandbox: Sandbox, extra: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return the connection to the sandbox's first stream with some of its extras and fields changed."""
    connection = sandbox.connection() | fields
    return connection | {"extra": connection["extra"] | (extra or {})}


def set_connection(monkeypatch: pytest.MonkeyPatch, value: str | dict[str, Any]) -> None:
    """Set the connection ``angus_default`` to a URI, or to fields as JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", text)
