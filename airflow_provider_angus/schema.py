"""Which columns landed rows have, in which order and of which type, whatever an answer held or lacked. Pure.

A row as :func:`~airflow_provider_angus.entities.read_row` makes it ends with the keys that nobody documented, and they
may differ from answer to answer. A table cannot: here they go into one column more, ``other``. And where the interval
cuts a bucket, so that the row holds only a part of it, a landed row covers that part: the next run's part of the same
bucket is then a row of its own, none replaces the other, and sums over a table are right.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_angus.entities import KEY_COLUMNS, MEANS, columns
from airflow_provider_angus.exceptions import AngusResponseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import Interval

#: The column of what nobody documented: ``{"<metric>_<key>": value}``, null where there is nothing.
OTHER = "other"

_LARGEST = 2**63 - 1


class Column(NamedTuple):
    """One column of landed rows.

    ``type`` is ``str``, ``datetime`` (UTC; ISO 8601 text in the row itself), ``int`` (64 bits), ``float`` or ``dict``
    (JSON).
    """

    name: str
    type: type


def schema(metrics: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of landed rows; the metrics alone decide them.

    :param metrics: names, as ``entities.check_metrics`` returns them.
    """
    stream, *edges = KEY_COLUMNS
    numbers = columns(metrics)[len(KEY_COLUMNS) :]
    return (
        Column(stream, str),
        *(Column(name, datetime) for name in edges),
        *(Column(name, float if name in MEANS else int) for name in numbers),
        Column(OTHER, dict),
    )


def landed(row: Row, of: tuple[Column, ...], interval: Interval) -> Row:
    """Return a row with the columns of a schema, in their order, covering no more than the interval.

    :param row: as ``entities.read_row`` returns it.
    :param of: the schema of the metrics asked for.
    :param interval: half-open, in UTC.
    :raises AngusResponseError: a count is no whole number of 64 bits, so that a table would have to change it, or
        what nobody documented is text that cannot be written.
    """
    fit: Row = {}
    for name, kind in of[:-1]:
        value = row[name]
        if kind is int and value is not None:
            value = _whole(row, name, value)
        elif kind is float and value is not None:
            value = _number(row, name, value)
        fit[name] = value
    # Texts of one form, in UTC, order as their instants do.
    fit["bucket_start"] = max(fit["bucket_start"], interval.start.isoformat())
    fit["bucket_end"] = min(fit["bucket_end"], interval.end.isoformat())
    other = {name: value for name, value in row.items() if name not in fit}
    if other:
        _check_text(row, other)
    fit[OTHER] = other or None
    return fit


def _number(row: Row, name: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise AngusResponseError(f"Bucket {row['bucket_start']}: {name} is larger than any number.") from error


def _check_text(row: Row, other: Row) -> None:
    try:
        json.dumps(other, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        # Half a surrogate pair, which JSON can escape and nobody can write.
        names = ascii(", ".join(other))[:100]
        raise AngusResponseError(f"Bucket {row['bucket_start']}: {names} hold what is no text.") from error


def _whole(row: Row, name: str, value: float) -> int:
    if value != value // 1 or value > _LARGEST:
        raise AngusResponseError(
            f"Bucket {row['bucket_start']}: {name} is {str(value)[:50]} where a count is documented."
        )
    return int(value)
