"""Split a long interval into windows, for APIs that limit the range of a request, or extend it by a lookback. Pure.

Windows end on bucket edges, so each bucket belongs to one window and the rows of all windows are those of the interval.
``global`` is never split: its means do not add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.arguments import check_positive, describe_argument
from airflow_provider_angus.model.buckets import BUCKET_LENGTHS, Time, bucket_at
from airflow_provider_angus.model.intervals import Interval

# Longer than any interval. The seconds of timedelta.max are rounded up to more than it.
_LONGEST = timedelta(days=366 * 10_000)


def check_window(window: object) -> None:
    """Reject a value that is neither None nor a positive timedelta.

    :raises AngusRequestError: any other value.
    """
    check_positive("window", window)


def check_lookback(lookback: object, time: Time | None) -> None:
    """Reject a value that is neither None nor a positive timedelta, and any lookback of ``global``.

    :param time: None: known only in a run.
    :raises AngusRequestError: any other value.
    """
    check_positive("lookback", lookback)
    if lookback is not None and time == "global":
        raise AngusRequestError(
            f"lookback: expected None for time='global', got {describe_argument(lookback)}. Use by_hour or by_day."
        )


def look_back(interval: Interval, time: Time, lookback: timedelta | None) -> Interval:
    """Return an interval with the ``lookback`` before it, from the start of a bucket.

    :raises AngusRequestError: ``lookback`` is invalid, or the start is before the year 1.
    """
    check_lookback(lookback, time)
    if lookback is None:
        return interval
    try:
        # A plain timedelta: a pendulum Duration would return a pendulum DateTime.
        start = interval.start - timedelta(seconds=lookback.total_seconds())
    except OverflowError as error:
        raise AngusRequestError(
            f"lookback: expected a start in the years 1 to 9999, got {describe_argument(lookback)} "
            f"before {interval.start.isoformat()}."
        ) from error
    return Interval(bucket_at(start, time).start, interval.end)


def split_windows(interval: Interval, time: Time, window: timedelta | None) -> Iterator[Interval]:
    """Yield the windows of an interval, in order. ``global`` has one window.

    :param window: the length of a window, rounded down to whole buckets, at least one bucket. None: one window.
    :raises AngusRequestError: ``window`` is not a positive timedelta.
    """
    check_window(window)
    start, bucket = interval.start, BUCKET_LENGTHS[time]
    if window is not None and bucket is not None:
        # Not window // bucket: a pendulum Duration cannot be divided by a timedelta.
        length = max(1, timedelta(seconds=min(window, _LONGEST).total_seconds()) // bucket) * bucket
        while interval.end - (first := bucket_at(start, time).start) > length:
            yield Interval(start, first + length)
            start = first + length
    yield Interval(start, interval.end)
