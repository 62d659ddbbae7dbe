"""What the API's entities mean: metrics, buckets, rows, the half-open cut. Pure: knows neither Airflow nor HTTP.

The rules come from the API page: buckets are cut at the UTC hour or UTC midnight whatever offset was asked for, a
requested metric may be missing from a bucket, a metric may have keys nobody wrote down, and a request up to midnight
may also return the bucket that starts at midnight.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.exceptions import AngusRequestError, AngusResponseError
from airflow_provider_angus.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    Row = dict[str, Any]

#: Every metric of the API with the keys its object is documented to have, each with the row's column for it.
METRICS: dict[str, dict[str, str]] = {
    "passing_by": {"value": "passing_by"},
    "interested": {"value": "interested"},
    "stop_time": {"value": "stop_time"},
    "attention_time": {"value": "attention_time"},
    "gender": {"female": "gender_female", "male": "gender_male", "?": "gender_unknown"},
    "category": {
        "senior_female": "category_senior_female",
        "senior_male": "category_senior_male",
        "young_female": "category_young_female",
        "young_male": "category_young_male",
    },
    "satisfaction": {},
}

#: The metrics that are means over people, in seconds. They do not add up over buckets; all others do.
MEANS = ("stop_time", "attention_time")

#: The values of ``time`` with the length of their buckets; the one bucket of ``global`` is the whole interval.
BUCKET_LENGTHS: dict[str, timedelta | None] = {
    "by_hour": timedelta(hours=1),
    "by_day": timedelta(days=1),
    "global": None,
}


#: The columns that say whose row it is and what time it covers.
KEY_COLUMNS = ("stream", "bucket_start", "bucket_end")
_NUMBERS = {int, float}
_NUMBER_OR_NULL = {*_NUMBERS, type(None)}
_TAKEN_COLUMNS = {*KEY_COLUMNS, *(column for keys in METRICS.values() for column in keys.values())}


def check_metrics(metrics: str | Iterable[str]) -> list[str]:
    """Return the metrics as a list without repetitions, in the order that rows have them.

    :param metrics: names, or one text with commas between them.
    :raises AngusRequestError: there is none, or one is not a metric of the API.
    """
    names = metrics.split(",") if isinstance(metrics, str) else metrics if isinstance(metrics, Iterable) else [metrics]
    asked = [name.strip() if isinstance(name, str) else name for name in names]
    unknown = [name for name in asked if not isinstance(name, str) or name not in METRICS]
    if unknown or not asked:
        wrong = f"Unknown metric {', '.join(map(repr, unknown))}" if unknown else "No metrics are asked for"
        raise AngusRequestError(f"{wrong}: metrics must be one or more of {', '.join(METRICS)}.")
    return [name for name in METRICS if name in asked]


def check_time(time: str) -> str:
    """Return ``time`` where it is a bucket size of the API.

    :param time: ``by_hour``, ``by_day`` or ``global``.
    :raises AngusRequestError: it is something else.
    """
    if not isinstance(time, str) or time not in BUCKET_LENGTHS:
        raise AngusRequestError(f"Unknown time {time!r}: time must be one of {', '.join(BUCKET_LENGTHS)}.")
    return time


def columns(metrics: Iterable[str]) -> list[str]:
    """Return the names of the columns that every row of these metrics has, in the order that rows have them.

    :param metrics: names, as :func:`check_metrics` returns them.
    """
    documented = (column for metric in metrics for column in METRICS[metric].values())
    return [*KEY_COLUMNS, *documented]


def bucket_starts(interval: Interval, time: str) -> Iterator[datetime]:
    """Yield the start of every bucket that overlaps the interval, in UTC; for ``global`` the interval's own start.

    :param interval: half-open, in UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    """
    length = BUCKET_LENGTHS[time]
    start = interval.start if length is None else _floor(interval.start, time)
    while start < interval.end:
        yield start
        if length is None:
            return
        start += length


def count_buckets(interval: Interval, time: str) -> int:
    """Return how many buckets overlap the interval.

    :param interval: half-open, in UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    """
    length = BUCKET_LENGTHS[time]
    return 1 if length is None else -((_floor(interval.start, time) - interval.end) // length)


def bucket_at(moment: datetime, time: str) -> Interval:
    """Return the bucket that holds an instant, in UTC.

    :param moment: in UTC.
    :param time: ``by_hour`` or ``by_day``.
    :raises AngusRequestError: ``time`` has no buckets of a length of their own.
    """
    length = BUCKET_LENGTHS[check_time(time)]
    if length is None:
        raise AngusRequestError(f"time must be by_hour or by_day here, got {time!r}.")
    start = _floor(moment, time)
    return Interval(start, start + length)


def partial_buckets(interval: Interval, time: str) -> list[datetime]:
    """Return the starts of the buckets that the interval cuts, so that their rows hold only a part: none, one or two.

    :param interval: half-open, in UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    """
    if BUCKET_LENGTHS[time] is None:
        return []
    cut = (_floor(edge, time) for edge in interval if edge != _floor(edge, time))
    return sorted(set(cut))


def read_bucket_key(key: str, interval: Interval, time: str) -> Interval:
    """Return the time that the bucket with this key covers, whole, in UTC.

    :param key: the bucket's key in the answer: its start in ISO 8601, or ``global``, whose bucket is the interval.
    :param interval: what was asked for: half-open, in UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :raises AngusResponseError: the key is not the start of such a bucket.
    """
    length = BUCKET_LENGTHS[time]
    if length is None:
        if key != "global":
            raise AngusResponseError(f"Asked for time=global, got a bucket {key[:50]!r}.")
        return interval
    try:
        start = datetime.fromisoformat(key)
        if start.tzinfo is not UTC:
            start = start.astimezone(UTC) if start.tzinfo else start
        end = start + length
    except (ValueError, OverflowError) as error:
        raise AngusResponseError(f"Asked for time={time}, got a bucket {key[:50]!r}, which is not a date.") from error
    cut = start.minute or start.second or start.microsecond or (time == "by_day" and start.hour)
    if start.tzinfo is None or cut:
        raise AngusResponseError(
            f"Asked for time={time}, got a bucket {key[:50]!r}, which starts at no UTC {time[3:]}."
        )
    return Interval(start, end)


def read_row(stream: str, metrics: Iterable[str], bucket: Interval, values: object) -> Row:
    """Return one bucket of the answer as a row.

    :param stream: the stream's client ID.
    :param metrics: the metrics that were asked for, as :func:`check_metrics` returns them.
    :param bucket: the time it covers, half-open, in UTC.
    :param values: the bucket itself, ``{metric: {key: number}}``.
    :returns: one flat, JSON-ready dict: ``stream``, ``bucket_start`` and ``bucket_end`` (ISO 8601, UTC), then every
        documented column of every metric asked for, null where the answer had nothing, then what nobody documented
        as ``<metric>_<key>``.
    :raises AngusResponseError: the bucket is not what the API documents.
    """
    start = bucket.start.isoformat()
    if not isinstance(values, dict):
        raise AngusResponseError(f"Bucket {start} holds {_shown(values)} where an object of metrics is documented.")
    row = _empty_row(tuple(metrics)).copy()
    row["stream"], row["bucket_start"], row["bucket_end"] = stream, start, bucket.end.isoformat()
    for metric, numbers in values.items():
        if numbers is None:
            continue
        if not isinstance(numbers, dict):
            raise AngusResponseError(
                f"Bucket {start}: {metric[:50]!r} is {_shown(numbers)} where an object is documented."
            )
        documented = METRICS.get(metric, {})
        for key, value in numbers.items():
            column = documented.get(key)
            if column is None:
                column = f"{metric}_{key}"
                if column in row or column in _TAKEN_COLUMNS:
                    raise AngusResponseError(
                        f"Bucket {start}: {key[:50]!r} of {metric[:50]!r} comes as {column[:50]!r}, which is taken."
                    )
            elif type(value) not in _NUMBER_OR_NULL or (value is not None and value < 0):
                raise AngusResponseError(
                    f"Bucket {start}: {key!r} of {metric} is {_shown(value)} where a number of zero or more is "
                    "documented."
                )
            row[column] = value
    return row


@cache
def _empty_row(metrics: tuple[str, ...]) -> Row:
    return dict.fromkeys(columns(metrics))


def totals(rows: Iterable[Row]) -> dict[str, int | float]:
    """Return the sums over rows of every column that adds up; the two means and what is not a number are left out.

    :param rows: rows as :func:`read_row` returns them.
    """
    sums: defaultdict[str, int | float] = defaultdict(int)
    for row in rows:
        for column, value in row.items():
            if type(value) in _NUMBERS:
                try:
                    sums[column] += value
                except OverflowError:
                    # A whole number of hundreds of digits, and a fraction.
                    sums[column] = math.inf
    # Of thousands of digits they could not even be written.
    largest = sys.float_info.max
    return {column: total if total <= largest else math.inf for column, total in sums.items() if column not in MEANS}


def _floor(moment: datetime, time: str) -> datetime:
    return moment.replace(hour=moment.hour if time == "by_hour" else 0, minute=0, second=0, microsecond=0)


def _shown(value: object) -> str:
    return f"{type(value).__name__} {str(value)[:50]!r}" if value is not None else "null"
