"""The API's entities: metrics, and one bucket's values as a flat row. Pure.

The API documentation sets these rules: a requested metric may be missing from a bucket, and a metric may have
undocumented keys. No value is dropped.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any, TypedDict

from airflow_provider_angus.exceptions import AngusRequestError, AngusResponseError
from airflow_provider_angus.model.arguments import as_list, describe_argument
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.text import describe_value

Row = dict[str, Any]


class RowKey(TypedDict):
    """The columns that identify a row. Dates are ISO 8601 text in UTC, half-open."""

    stream: str
    bucket_start: str
    bucket_end: str


#: Every metric with its documented keys, and the row's column for each key.
METRICS: dict[str, dict[str, str]] = {
    "passing_by": {"value": "passing_by"},
    "interested": {"value": "interested"},
    "stop_time": {"value": "stop_time"},
    "attention_time": {"value": "attention_time"},
    "gender": {"female": "gender_female", "male": "gender_male", "?": "gender_unknown"},
    "category": {key: f"category_{key}" for key in ("senior_female", "senior_male", "young_female", "young_male")},
    "satisfaction": {},
}

#: Metrics that are means over people, in seconds. They do not add up over buckets; all other metrics do.
MEANS = ("stop_time", "attention_time")

KEY_COLUMNS = tuple(RowKey.__annotations__)

_NUMBERS = {int, float}
_NUMBER_OR_NULL = {*_NUMBERS, type(None)}
_RESERVED_COLUMNS = {*KEY_COLUMNS, *(column for keys in METRICS.values() for column in keys.values())}


def check_metrics(metrics: object) -> list[str]:
    """Return the metrics as a list without duplicates, in the order of a row's columns.

    :param metrics: any iterable of names, or one text of names separated by commas.
    :raises AngusRequestError: no metric is given, or a name is not a metric of the API.
    """
    names = metrics.split(",") if isinstance(metrics, str) else as_list(metrics)
    requested = [name.strip() if isinstance(name, str) else name for name in names or ()]
    unknown = [name for name in requested if not isinstance(name, str) or name not in METRICS]
    if unknown or not requested:
        details = f" Unknown: {', '.join(map(describe_argument, unknown[:3]))}." if unknown else ""
        raise AngusRequestError(
            f"metrics: expected one or more of {', '.join(METRICS)}, got {describe_argument(metrics)}.{details}"
        )
    return [name for name in METRICS if name in requested]


def metric_columns(metrics: Iterable[str]) -> list[str]:
    """Return the columns that every row of these metrics has, in order, the key columns first."""
    return [*KEY_COLUMNS, *(column for metric in metrics for column in METRICS[metric].values())]


def read_row(stream: str, metrics: Iterable[str], bucket: Interval, values: object) -> Row:
    """Return one bucket of a response as a row.

    :param metrics: the requested metrics, as :func:`check_metrics` returns them.
    :param values: the bucket's value in ``entities``: ``{metric: {key: number}}``.
    :returns: a flat, JSON-ready dict: ``stream``, ``bucket_start``, ``bucket_end`` (ISO 8601, UTC), every documented
        column of every requested metric (null if the response lacks it), then ``<metric>_<key>`` for each
        undocumented key.
    :raises AngusResponseError: the bucket is not what the API documents.
    """
    start = bucket.start.isoformat()
    if not isinstance(values, dict):
        raise AngusResponseError(f"Bucket {start}: expected an object of metrics, got {describe_value(values)}.")
    row = _empty_row(tuple(metrics)).copy()
    row["stream"], row["bucket_start"], row["bucket_end"] = stream, start, bucket.end.isoformat()
    for metric, numbers in values.items():
        if numbers is None:
            continue
        if not isinstance(numbers, dict):
            raise AngusResponseError(
                f"Bucket {start}: {metric[:50]!r}: expected an object, got {describe_value(numbers)}."
            )
        documented = METRICS.get(metric, {})
        for key, value in numbers.items():
            column = documented.get(key)
            if column is None:
                column = f"{metric}_{key}"
                if column in row or column in _RESERVED_COLUMNS:
                    raise AngusResponseError(
                        f"Bucket {start}: {key[:50]!r} of {metric[:50]!r} collides with column {column[:50]!r}."
                    )
            elif type(value) not in _NUMBER_OR_NULL or (value is not None and value < 0):
                raise AngusResponseError(
                    f"Bucket {start}: {key!r} of {metric}: expected a number of at least 0 or null, "
                    f"got {describe_value(value)}."
                )
            row[column] = value
    return row


@cache
def _empty_row(metrics: tuple[str, ...]) -> Row:
    return dict.fromkeys(metric_columns(metrics))


def totals(rows: Iterable[Row]) -> dict[str, int | float]:
    """Return the sum of every numeric column over rows, without the two means."""
    sums: defaultdict[str, int | float] = defaultdict(int)
    for row in rows:
        for column, value in row.items():
            if type(value) in _NUMBERS:
                try:
                    sums[column] += value
                except OverflowError:
                    # An integer of hundreds of digits plus a float.
                    sums[column] = math.inf
    # Python refuses to format integers of thousands of digits.
    largest = sys.float_info.max
    return {column: total if total <= largest else math.inf for column, total in sums.items() if column not in MEANS}
