"""Turn any value into plain JSON, as which Airflow stores the arguments of triggers. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from airflow_provider_angus.model.arguments import as_list, describe_argument


def to_json(value: object) -> Any:
    """Return any value as plain JSON that is equal after a round trip. Never raises.

    A date becomes ISO 8601 text, a ``timedelta`` its seconds, an iterable a list (a set in a stable order), a mapping
    a dict. A value that JSON cannot hold, or a calendar month, becomes its description.
    """
    try:
        return _to_json(value)
    except Exception:  # noqa: BLE001 (subclasses of built-in types and recursive lists raise any error)
        return describe_argument(value)


def _to_json(value: object) -> Any:
    plain: Any = describe_argument(value)
    if value is None or isinstance(value, bool):
        plain = value
    elif isinstance(value, str):
        plain = str.__str__(value)
    elif isinstance(value, int):
        # The text of an integer of thousands of digits is a ValueError here, as it is for JSON.
        plain = int(str(int(value)))
    elif isinstance(value, float) and math.isfinite(value):
        plain = float(value)
    elif isinstance(value, date):
        plain = value.isoformat()
    elif isinstance(value, timedelta) and not getattr(value, "months", 0) and not getattr(value, "years", 0):
        # The months of a pendulum duration have no length.
        plain = value.total_seconds()
    elif isinstance(value, Mapping):
        plain = {
            to_json(key) if isinstance(key, str) else describe_argument(key): _to_json(each)
            for key, each in value.items()
        }
    elif (values := as_list(value)) is not None:
        plain = [_to_json(each) for each in values]
    return plain
