"""Split a long interval into windows, for APIs that limit the range of a request. Pure.

Windows end on bucket edges, so each bucket belongs to one window and the rows of all windows are those of the interval.
``global`` is never split: its means do not add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.arguments import describe_argument
from airflow_provider_angus.model.buckets import BUCKET_LENGTHS, Time, bucket_at
from airflow_provider_angus.model.intervals import Interval

# Longer than any interval. The seconds of timedelta.max are rounded up to more than it.
_LONGEST = timedelta(days=366 * 10_000)


def check_window(window: object) -> None:
    """Reject a value that is neither None nor a positive timedelta.

    :raises AngusRequestError: any other value.
    """
    if window is not None and (not isinstance(window, timedelta) or window <= timedelta(0)):
        raise AngusRequestError(f"window: expected a positive timedelta, got {describe_argument(window)}.")


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
