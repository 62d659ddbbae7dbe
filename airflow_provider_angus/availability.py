"""Is the data of an interval there yet? The one rule that poke, reschedule and deferrable mode ask. Pure.

"There" means, in this order: the interval is over and has settled; every bucket of it is there; the totals reach the
minimum, where one is given. Empty buckets come as zeros, so only the user knows whether a silent camera is news.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_angus.entities import MEANS, bucket_starts, columns, totals
from airflow_provider_angus.exceptions import AngusRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import Interval

_BUCKETS_NAMED = 3


def check_minimum(minimum: Mapping[str, float] | None, metrics: Iterable[str]) -> None:
    """Refuse a minimum that no total can be held against.

    :param minimum: ``{column: number}``: the column's total over the interval must reach the number. None: no minimum.
    :param metrics: the metrics that are asked for, as ``entities.check_metrics`` returns them.
    :raises AngusRequestError: a column belongs to no metric asked for or does not add up, or a number is none.
    """
    if minimum is not None and not isinstance(minimum, Mapping):
        raise AngusRequestError(f"minimum must be a dict of columns and numbers, got {minimum!r}.")
    allowed = [column for column in columns(metrics)[3:] if column not in MEANS]
    for column, least in (minimum or {}).items():
        if column not in allowed:
            raise AngusRequestError(
                f"minimum names {column!r}, but of the metrics asked for only these add up over an interval: "
                f"{', '.join(allowed) or 'none'}."
            )
        if isinstance(least, bool) or not isinstance(least, int | float) or least != least:  # noqa: PLR0124 (NaN)
            raise AngusRequestError(f"minimum[{column!r}] must be a number, got {least!r}.")


def settled_at(interval: Interval, settle: timedelta) -> datetime:
    """Return the instant (UTC) before which asking the API is of no use.

    :param interval: half-open, in UTC.
    :param settle: how long after its end the data may still change; the vendor's dashboard says about one minute.
    """
    return interval.end + settle


def why_not_yet(rows: Sequence[Row], interval: Interval, time: str, minimum: Mapping[str, float] | None) -> str | None:
    """Return None where the data of the interval is there, else a clause that says what is missing.

    :param rows: the rows that the API has for the interval.
    :param interval: half-open, in UTC, over and settled.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :param minimum: see :func:`check_minimum`.
    """
    missing = missing_buckets(rows, interval, time)
    if missing:
        return f"{describe(missing)} missing"
    sums = totals(rows)
    short = [
        f"{column} is {sums.get(column, 0)}, {least - sums.get(column, 0)} short of {least}"
        for column, least in (minimum or {}).items()
        if sums.get(column, 0) < least
    ]
    return "; ".join(short) or None


def missing_buckets(rows: Iterable[Row], interval: Interval, time: str) -> list[datetime]:
    """Return the starts (UTC) of the interval's buckets that no row is of.

    :param rows: rows of this interval, as the API has them or cut to it.
    :param interval: half-open, in UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    """
    there = {row["bucket_start"] for row in rows}
    # Where the interval cuts the first bucket, a row that is cut to it begins later than its bucket.
    cut = interval.start.isoformat() in there
    return [
        start
        for start in bucket_starts(interval, time)
        if start.isoformat() not in there and not (cut and start < interval.start)
    ]


def describe(starts: Sequence[datetime]) -> str:
    """Return bucket starts as the subject of a sentence that goes on with an adjective.

    :param starts: at least one start of a bucket.
    """
    named = ", ".join(start.isoformat() for start in starts[:_BUCKETS_NAMED])
    more = f" and {len(starts) - _BUCKETS_NAMED} more" if len(starts) > _BUCKETS_NAMED else ""
    return f"{len(starts)} bucket{'s' * (len(starts) != 1)} ({named}{more}) {'are' if len(starts) != 1 else 'is'}"
