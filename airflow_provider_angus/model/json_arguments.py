"""Arguments of triggers, which Airflow stores as JSON: any value as plain JSON, and lengths of time. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.arguments import as_list, describe_argument

#: The longest time that a trigger takes. The dates of longer waits do not fit into Airflow's database.
LONGEST = timedelta(days=3650)


def to_json(value: object) -> Any:
    """Return any value as plain JSON that is equal after a round trip. Never raises.

    A date becomes ISO 8601 text, a ``timedelta`` its seconds, an iterable a list (a set in a stable order), a mapping
    a dict. A value that JSON cannot hold, or a calendar month, becomes its description.
    """
    try:
        return _to_json(value)
    except Exception:  # noqa: BLE001 (subclasses of built-in types and recursive lists raise any error)
        return describe_argument(value)


def read_seconds(name: str, value: object) -> float:
    """Return a length of time in seconds.

    :param name: the parameter, for the message.
    :param value: a ``timedelta`` or seconds, from 0 to :data:`LONGEST`.
    :raises AngusRequestError: any other value.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= LONGEST.total_seconds()  # False for NaN
    ):
        raise AngusRequestError(
            f"{name}: expected a timedelta or seconds, from 0 to {LONGEST.days} days, got {describe_argument(value)}."
        )
    return float(seconds)


def read_count(name: str, value: object, *, least: int) -> int:
    """Return a number of failures.

    :param name: the parameter, for the message.
    :param value: an integer from ``least`` to a million.
    :raises AngusRequestError: any other value.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 10**6:
        raise AngusRequestError(f"{name}: expected an integer from {least} to 1000000, got {describe_argument(value)}.")
    return value


def check_length(name: str, value: object) -> None:
    """Reject a value that is not a ``timedelta`` of at least 0.

    :param name: the parameter, for the message.
    :raises AngusRequestError: any other value.
    """
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise AngusRequestError(f"{name}: expected a timedelta of at least 0, got {describe_argument(value)}.")


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
