"""Explain what is wrong with a connection that Airflow cannot read. No part of its value appears in a message."""

from __future__ import annotations

import json
import os
from typing import Any

_FORMS = "a connection as JSON or as a URI"


def describe_missing(conn_id: str) -> str:
    """Return the message for a connection for which Airflow raises ``AirflowNotFoundException``.

    Airflow raises it also if it cannot parse the value of a secrets backend or an environment variable.
    """
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if (value := os.environ.get(variable)) is None:
        return (
            f"Connection {conn_id!r} does not exist. Create it. "
            "If a secrets backend has it, its value may be invalid: expected JSON or a URI."
        )
    problem = "a URI that Airflow cannot parse. Percent-encode special characters, or use JSON"
    if not value.strip():
        problem = "an empty text"
    elif value.lstrip().startswith("{"):
        problem = _json_problem(value) or "JSON with an unknown field or a value of a wrong type"
    return f"Connection {conn_id!r}: {variable}: expected {_FORMS}, got {problem}."


def describe_problem(conn_id: str, connection: Any) -> str | None:
    """Return the message for a connection whose fields make no sense, or None.

    Airflow reads a text without a scheme as a URI without fields, and an extra that is no JSON object as empty.

    :param connection: an Airflow connection.
    """
    if not (connection.conn_type or connection.login or connection.password or connection.extra):
        return f"Connection {conn_id!r}: expected {_FORMS}, got neither."
    if problem := _json_problem(connection.extra or "{}"):
        return f"Connection {conn_id!r}: extra: expected a JSON object, got {problem}."
    return None


def _json_problem(text: str) -> str | None:
    """Return why a text is not a JSON object, or None if it is."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return f"text that is not JSON ({error.msg}: line {error.lineno}, column {error.colno})"
    return None if isinstance(value, dict) else f"a JSON {type(value).__name__}"
