"""Explain what is wrong with a connection that Airflow cannot read. No part of its value appears in an error."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow_provider_angus.exceptions import AngusAuthError

_FORMS = "a connection as JSON or as a URI (angus://...)"


def missing_connection(conn_id: str) -> AngusAuthError:
    """Return the error of a connection for which Airflow raises ``AirflowNotFoundException``.

    Airflow raises it also if it cannot parse the value of a secrets backend or an environment variable.
    """
    variable = f"AIRFLOW_CONN_{str(conn_id).upper()}"
    if (value := os.environ.get(variable)) is None:
        return AngusAuthError(
            f"Connection {conn_id!r} does not exist. Create it with the type Angus.ai. "
            "If a secrets backend has it, its value may be invalid: expected JSON or a URI."
        )
    problem = "a URI that Airflow cannot parse. Percent-encode special characters, or use JSON"
    if not value.strip():
        problem = "an empty text"
    elif value.lstrip().startswith("{"):
        problem = _json_problem(value) or "JSON with an unknown field or a value of a wrong type"
    return AngusAuthError(f"Connection {conn_id!r}: {variable}: expected {_FORMS}, got {problem}.")


def check_connection(conn_id: str, connection: Any) -> None:
    """Reject a connection whose ``extra_dejson`` would be empty or no dict, or that is not a connection at all.

    :param connection: an Airflow connection.
    :raises AngusAuthError: ``extra`` is not a JSON object, or Airflow has read a text without a scheme as a URI.
    """
    if not (connection.conn_type or connection.login or connection.password or connection.extra):
        raise AngusAuthError(f"Connection {conn_id!r}: expected {_FORMS}, got neither.")
    if problem := _json_problem(connection.extra or "{}"):
        raise AngusAuthError(
            f'Connection {conn_id!r}: extra: expected a JSON object such as {{"client_id": "..."}}, got {problem}.'
        )


def _json_problem(text: str) -> str | None:
    """Return why a text is not a JSON object, or None if it is."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return f"text that is not JSON ({error.msg}: line {error.lineno}, column {error.colno})"
    return None if isinstance(value, dict) else f"a JSON {type(value).__name__}"
