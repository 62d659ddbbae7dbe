"""The columns of loaded rows: fixed by the metrics, whatever a response contains. Pure.

Undocumented keys differ between responses, and a table cannot, so they go into one JSON column, ``other``. If the
interval cuts a bucket, the loaded row covers only its part. So the next run's part is a row of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from airflow_provider_angus.exceptions import AngusResponseError
from airflow_provider_angus.model.entities import KEY_COLUMNS, MEANS, Row, metric_columns
from airflow_provider_angus.model.intervals import Interval

#: The column of undocumented keys: ``{"<metric>_<key>": value}``, null if there are none.
OTHER = "other"

_MAX_INT64 = 2**63 - 1


class Column(NamedTuple):
    """A column of loaded rows.

    ``type`` is ``str``, ``datetime`` (UTC; ISO 8601 text in the row), ``int`` (64 bits), ``float`` or ``dict`` (JSON).
    """

    name: str
    type: type


def table_columns(metrics: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of loaded rows, in order, for metrics as ``check_metrics`` returns them."""
    stream, *dates = KEY_COLUMNS
    return (
        Column(stream, str),
        *(Column(name, datetime) for name in dates),
        *(Column(name, float if name in MEANS else int) for name in metric_columns(metrics)[len(KEY_COLUMNS) :]),
        Column(OTHER, dict),
    )


def normalize_row(row: Row, columns: tuple[Column, ...], interval: Interval) -> Row:
    """Return a row of ``read_row`` with exactly these columns, in order, cut to the interval.

    :raises AngusResponseError: a count is not an integer of 64 bits, or undocumented text is not valid Unicode.
    """
    normalized: Row = {}
    for name, kind in columns[:-1]:
        value = row[name]
        if value is not None and kind in {int, float}:
            value = _to_number(row, name, kind, value)
        normalized[name] = value
    # ISO 8601 texts of the same form and offset sort like their instants.
    normalized["bucket_start"] = max(normalized["bucket_start"], interval.start.isoformat())
    normalized["bucket_end"] = min(normalized["bucket_end"], interval.end.isoformat())
    if other := {name: value for name, value in row.items() if name not in normalized}:
        try:
            json.dumps(other, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            # JSON can escape half a surrogate pair; UTF-8 cannot encode it.
            names = ascii(", ".join(other))[:100]
            raise AngusResponseError(f"Bucket {row['bucket_start']}: {names}: text is not valid Unicode.") from error
    normalized[OTHER] = other or None
    return normalized


def _to_number(row: Row, name: str, kind: type, value: float) -> float:
    if kind is int and (value != value // 1 or value > _MAX_INT64):
        raise AngusResponseError(
            f"Bucket {row['bucket_start']}: {name}: expected a 64-bit integer, got {str(value)[:50]}."
        )
    try:
        return kind(value)  # type: ignore[no-any-return]
    except OverflowError as error:
        raise AngusResponseError(f"Bucket {row['bucket_start']}: {name} does not fit into a float.") from error
