"""Read and describe arguments of any type: a template or another task's result may have any. Pure."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import PurePath

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.text import sanitize_line

#: The maximum number of values that are read of an iterable, which may never end.
MAX_VALUES = 10_000

#: The longest time that a trigger takes. The dates of longer waits do not fit into Airflow's database.
LONGEST = timedelta(days=3650)

_SHOWN = 50
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SAFE = (str, bytes, bytearray, int, float, complex, Decimal, range, type, type(None), date, timedelta, PurePath)
_COLLECTIONS = (list, tuple, set, frozenset, dict)


class _Repr(reprlib.Repr):
    """Describes values of known types. The ``repr`` of another type may contain a connection's password."""

    def repr_instance(self, x: object, level: int) -> str:  # noqa: ARG002 (the signature of reprlib)
        return repr(x) if isinstance(x, _SAFE) else f"<{type(x).__name__}>"


_repr = _Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 2 * _SHOWN


def describe_argument(value: object) -> str:
    """Return the type and the first 50 characters of any value, on one line: ``int 3``, ``list ['a']``, or ``None``."""
    if value is None:
        return "None"
    try:
        if isinstance(value, str | bytes):
            shown = repr(value[:_SHOWN])
        elif isinstance(value, date | timedelta | PurePath):
            shown = str(value)[:_SHOWN]
        else:
            shown = _repr.repr(value)[:_SHOWN] if isinstance(value, (*_SAFE, *_COLLECTIONS)) else ""
    except Exception:  # noqa: BLE001 (integers of 5,000 digits and subclasses of built-in types raise any error)
        shown = ""
    return sanitize_line(f"{type(value).__name__} {shown}")


def as_list(value: object) -> list[object] | None:
    """Return the values of an iterable, in order; those of a set are sorted, so that each process has the same order.

    :returns: None if the value is text, bytes, a mapping or not iterable, or has more than :data:`MAX_VALUES` values.
    """
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping) or not isinstance(value, Iterable):
        return None
    try:
        values = list(islice(value, MAX_VALUES + 1))
    except Exception:  # noqa: BLE001 (a lazy iterable raises any error)
        return None
    if isinstance(value, set | frozenset):
        values.sort(key=lambda each: (type(each).__name__, each if isinstance(each, str) else describe_argument(each)))
    return values if len(values) <= MAX_VALUES else None


def digits_as_text(value: object) -> object:
    """Return an ``int`` as text, any other value unchanged. Native rendering makes an ``int`` of text of digits."""
    try:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    except ValueError:
        # Python refuses to format integers of thousands of digits.
        return value


def has_control_characters(text: str) -> bool:
    """Return whether a text contains control characters, line separators or lone surrogates."""
    return bool(_CONTROL_CHARACTERS.search(text))


def is_name(value: object) -> bool:
    """Return whether a value is text that is not blank and contains no control characters or lone surrogates."""
    return isinstance(value, str) and bool(value.strip()) and not has_control_characters(value)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Reject a value that is not one of these texts.

    :param name: the parameter, for the message.
    :raises AngusRequestError: any other value.
    """
    if not isinstance(value, str) or value not in choices:
        raise AngusRequestError(f"{name}: expected {' or '.join(map(repr, choices))}, got {describe_argument(value)}.")


def check_flag(name: str, value: object) -> None:
    """Reject a value that is neither True nor False.

    :param name: the parameter, for the message.
    :raises AngusRequestError: any other value.
    """
    if not isinstance(value, bool):
        raise AngusRequestError(f"{name}: expected True or False, got {describe_argument(value)}.")


def check_positive(name: str, value: object) -> None:
    """Reject a value that is neither None nor a positive ``timedelta``.

    :param name: the parameter, for the message.
    :raises AngusRequestError: any other value.
    """
    if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
        raise AngusRequestError(f"{name}: expected a positive timedelta, got {describe_argument(value)}.")


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
