"""The buckets that the API cuts time into: by the hour or the day in UTC, whatever offset a request has. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal

from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError, AngusResponseError
from airflow_provider_angus.model.arguments import describe_argument
from airflow_provider_angus.model.intervals import Interval

Time = Literal["by_hour", "by_day", "global"]

#: The length of a bucket by the API's parameter ``time``. The one bucket of ``global`` is the whole interval.
BUCKET_LENGTHS: dict[Time, timedelta | None] = {
    "by_hour": timedelta(hours=1),
    "by_day": timedelta(days=1),
    "global": None,
}


def check_time(time: object) -> Time:
    """Return ``time`` if the API knows it.

    :raises AngusRequestError: any other value.
    """
    if not isinstance(time, str) or time not in BUCKET_LENGTHS:
        raise AngusRequestError(f"time: expected one of {', '.join(BUCKET_LENGTHS)}, got {describe_argument(time)}.")
    return time


def bucket_starts(interval: Interval, time: Time) -> Iterator[datetime]:
    """Yield the start of every bucket that overlaps the interval, in UTC; for ``global`` the interval's start."""
    start, length = _floor(interval.start, time), BUCKET_LENGTHS[time] or interval.end - interval.start
    # Not start += length until the end, which may overflow.
    for number in range(count_buckets(interval, time)):
        yield start + number * length


def count_buckets(interval: Interval, time: Time) -> int:
    """Return the number of buckets that overlap the interval."""
    length = BUCKET_LENGTHS[time]
    return 1 if length is None else -((_floor(interval.start, time) - interval.end) // length)


def bucket_at(moment: datetime, time: str) -> Interval:
    """Return the bucket that contains an instant.

    :param moment: UTC.
    :raises AngusRequestError: ``time`` is ``global`` or unknown.
    :raises AngusIntervalError: the bucket ends after the year 9999.
    """
    length = BUCKET_LENGTHS[check_time(time)]
    if length is None:
        raise AngusRequestError(f"time: expected by_hour or by_day, got {describe_argument(time)}.")
    start = _floor(moment, time)
    try:
        return Interval(start, start + length)
    except OverflowError as error:
        raise AngusIntervalError(f"The bucket that starts at {start.isoformat()} ends after the year 9999.") from error


def whole_buckets(interval: Interval, time: Time) -> Interval:
    """Return the interval of all buckets that overlap an interval: longer if an edge of the interval cuts a bucket."""
    first, last, length = _floor(interval.start, time), _floor(interval.end, time), BUCKET_LENGTHS[time]
    return Interval(first, interval.end if length is None or last == interval.end else last + length)


def partial_buckets(interval: Interval, time: Time) -> list[datetime]:
    """Return the starts of the buckets that an edge of the interval cuts: none, one or two. Their rows are partial."""
    return sorted({_floor(edge, time) for edge in interval if edge != _floor(edge, time)})


def read_bucket_key(key: str, interval: Interval, time: Time) -> Interval:
    """Return the bucket that a key of the response's ``entities`` names, uncut, in UTC.

    :param key: ISO 8601 with an offset, or ``global``.
    :param interval: the requested interval. It is the bucket of ``global``.
    :raises AngusResponseError: the key is not the start of such a bucket.
    """
    length = BUCKET_LENGTHS[time]
    if length is None:
        if key != "global":
            raise AngusResponseError(f"bucket: expected 'global', got {key[:50]!r}.")
        return interval
    try:
        start = datetime.fromisoformat(key)
        if start.tzinfo not in (None, UTC):
            start = start.astimezone(UTC)
        end = start + length
    except (ValueError, OverflowError) as error:
        raise AngusResponseError(f"bucket: expected an ISO 8601 date for time={time}, got {key[:50]!r}.") from error
    if start.tzinfo is None or start != _floor(start, time):
        raise AngusResponseError(f"bucket: expected the start of a UTC {time[3:]} for time={time}, got {key[:50]!r}.")
    return Interval(start, end)


def describe_buckets(starts: Iterable[datetime], count: int) -> str:
    """Return a noun phrase that counts buckets, at least one, and names the first three, for logs.

    :param starts: at most three are read.
    :param count: the number of ``starts``.
    """
    named = [start.isoformat() for start in islice(starts, 3)]
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return f"{count} bucket{'s' * (count != 1)} ({', '.join(named)}{more})"


def _floor(moment: datetime, time: str) -> datetime:
    if time == "global":
        return moment
    return moment.replace(hour=moment.hour if time == "by_hour" else 0, minute=0, second=0, microsecond=0)
