"""Decide whether the data of an interval is available. Pure; sensor, trigger, operator and transfers share this rule.

Available means, in this order: the interval is over and has settled; every bucket is present; the totals reach the
minimum, if one is given. Empty buckets are present and contain zeros, so only a minimum detects a silent camera.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from datetime import datetime, timedelta
from typing import Literal, Protocol

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.arguments import describe_argument
from airflow_provider_angus.model.buckets import Time, bucket_starts, count_buckets, describe_buckets
from airflow_provider_angus.model.entities import KEY_COLUMNS, MEANS, Row, metric_columns, totals
from airflow_provider_angus.model.intervals import Interval, later

#: Whether an operator fails, or logs a warning, if the data of its interval is not available.
OnIncomplete = Literal["fail", "warn"]


class Rows(Iterable[Row], Sized, Protocol):
    """Rows of one stream, at most one for each bucket of an interval."""


def check_minimum(minimum: object, metrics: Iterable[str]) -> None:
    """Reject a minimum that no total can be compared with.

    :param minimum: ``{column: number}``: the column's total over the interval must reach the number. None: no minimum.
    :param metrics: the requested metrics, as ``check_metrics`` returns them.
    :raises AngusRequestError: a column is not requested or does not add up, or a value is not a number.
    """
    if minimum is not None and not isinstance(minimum, Mapping):
        raise AngusRequestError(f"minimum: expected a dict of columns and numbers, got {describe_argument(minimum)}.")
    allowed = [column for column in metric_columns(metrics)[len(KEY_COLUMNS) :] if column not in MEANS]
    for column, least in (minimum or {}).items():
        if column not in allowed:
            raise AngusRequestError(
                f"minimum: expected requested columns that add up over an interval ({', '.join(allowed) or 'none'}), "
                f"got {describe_argument(column)}."
            )
        # Not NaN, nor an integer that Python refuses to format.
        if isinstance(least, bool) or not isinstance(least, int | float) or not abs(least) <= sys.float_info.max:
            raise AngusRequestError(f"minimum[{column!r}]: expected a finite number, got {describe_argument(least)}.")


def settled_at(interval: Interval, settle: timedelta | float) -> datetime:
    """Return the moment from which the data of an interval does not change. Before it, a request is useless.

    :param settle: A ``timedelta`` or seconds: the time after the interval's end in which its data may still change.
    """
    return later(interval.end, settle)


def unsettled_reason(interval: Interval, settle: timedelta | float, now: datetime) -> str | None:
    """Return None if the interval has ended and settled, otherwise the reason.

    :param settle: A ``timedelta`` or seconds: the time after the interval's end in which its data may still change.
    """
    if now < interval.end:
        return f"the interval ends at {interval.end.isoformat()}"
    settled = settled_at(interval, settle)
    return f"the data settles at {settled.isoformat()}" if now < settled else None


def unavailable_reason(
    rows: Rows, interval: Interval, time: Time, minimum: Mapping[str, float] | None = None
) -> str | None:
    """Return None if the data of an interval is available, otherwise the reason.

    :param rows: the rows that the API has for the interval, which is over and settled.
    :param minimum: as :func:`check_minimum` accepts it.
    """
    # Buckets are unique, so the number of rows tells how many are missing. An interval may have millions of buckets.
    if (missing := count_buckets(interval, time) - len(rows)) > 0:
        return f"missing {describe_buckets(missing_buckets(rows, interval, time), missing)}"
    if not minimum:
        return None
    sums = totals(rows)
    low = [(column, least, sums.get(column, 0)) for column, least in minimum.items() if sums.get(column, 0) < least]
    return "; ".join(f"{column}: expected at least {least}, got {total}" for column, least, total in low) or None


def missing_buckets(rows: Iterable[Row], interval: Interval, time: Time) -> Iterator[datetime]:
    """Yield the starts (UTC) of the interval's buckets that have no row.

    :param rows: rows of this interval, as the API has them or cut to the interval.
    """
    present = {row["bucket_start"] for row in rows}
    # A row that was cut to the interval starts later than its bucket.
    cut = interval.start.isoformat() in present
    for start in bucket_starts(interval, time):
        if start.isoformat() not in present and not (cut and start < interval.start):
            yield start
