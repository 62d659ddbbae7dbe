from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import MIDNIGHT
from strategies import bucket_times, intervals

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.buckets import BUCKET_LENGTHS, Time, bucket_at, bucket_starts
from airflow_provider_angus.model.intervals import Interval, explicit_interval
from airflow_provider_angus.model.windows import check_window, look_back, split_windows

YEAR = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=365))

some_days = intervals(timedelta(days=20))
lengths = st.timedeltas(timedelta(minutes=1), timedelta(days=30))


@given(some_days, bucket_times, lengths)
def test_split_windows_add_up_to_the_interval(interval: Interval, time: Time, length: timedelta) -> None:
    windows = list(split_windows(interval, time, length))
    assert (windows[0].start, windows[-1].end) == interval
    assert all(window.start < window.end for window in windows)
    assert [bucket for window in windows for bucket in bucket_starts(window, time)] == list(
        bucket_starts(interval, time)
    )


@given(some_days, bucket_times, lengths)
def test_split_windows_meet_on_bucket_edges(interval: Interval, time: Time, length: timedelta) -> None:
    windows = list(split_windows(interval, time, length))
    assert all(before.end == after.start == bucket_at(after.start, time).start for before, after in pairwise(windows))
    bucket = BUCKET_LENGTHS[time]
    assert bucket
    assert all(window.end - window.start <= max(length, bucket) for window in windows)


@pytest.mark.parametrize(("time", "count"), [("by_hour", 365 * 4), ("by_day", 365), ("global", 1)])
def test_split_windows_rounds_length_to_whole_buckets(time: Time, count: int) -> None:
    """Six hours and a half become six hours, or one day."""
    assert len(list(split_windows(YEAR, time, timedelta(hours=6, minutes=30)))) == count


@given(some_days, lengths | st.none())
def test_split_windows_global_is_one_window(interval: Interval, length: timedelta | None) -> None:
    assert list(split_windows(interval, "global", length)) == [interval]


@pytest.mark.parametrize("window", [None, timedelta(days=365), timedelta(days=366)])
def test_split_windows_without_need_is_one_window(window: timedelta | None) -> None:
    assert list(split_windows(YEAR, "by_hour", window)) == [YEAR]


def test_split_windows_unaligned_interval_starts_short() -> None:
    days = Interval(datetime(2026, 11, 20, 23, tzinfo=UTC), datetime(2026, 11, 22, 23, tzinfo=UTC))
    edges = [window.start.isoformat()[:13] for window in split_windows(days, "by_day", timedelta(days=1))]
    assert edges == ["2026-11-20T23", "2026-11-21T00", "2026-11-22T00"]


@pytest.mark.parametrize("window", [pendulum.duration(days=1), pendulum.duration(hours=30)])
def test_split_windows_accepts_pendulum_duration(window: timedelta) -> None:
    assert len(list(split_windows(YEAR, "by_day", window))) == 365


@pytest.mark.parametrize("window", [timedelta.max, pendulum.duration(years=9999), timedelta(days=1)])
def test_split_windows_reaches_first_and_last_year(window: timedelta) -> None:
    for interval in (explicit_interval("0001-01-01", "0001-01-03"), explicit_interval("9999-12-29", "9999-12-31")):
        windows = list(split_windows(interval, "by_day", window))
        assert len(windows) == (2 if window == timedelta(days=1) else 1)
        assert (windows[0].start, windows[-1].end) == interval


@pytest.mark.parametrize("window", [timedelta(0), timedelta(days=-1), 3600, "1 day", True])
def test_window_without_positive_length_raises(window: Any) -> None:
    with pytest.raises(AngusRequestError, match="window: expected a positive timedelta, got "):
        check_window(window)
    with pytest.raises(AngusRequestError, match="window: expected a positive timedelta, got "):
        list(split_windows(YEAR, "by_day", window))


@given(some_days, bucket_times, lengths)
def test_look_back_moves_the_start_to_a_bucket(interval: Interval, time: Time, length: timedelta) -> None:
    extended = look_back(interval, time, length)
    assert extended.end == interval.end
    assert bucket_at(extended.start, time).start == extended.start
    bucket = BUCKET_LENGTHS[time]
    assert bucket
    assert extended.start <= interval.start - length < extended.start + bucket


def test_look_back_without_lookback_is_the_interval() -> None:
    interval = Interval(MIDNIGHT + timedelta(minutes=20), MIDNIGHT + timedelta(minutes=50))
    assert look_back(interval, "by_hour", None) == interval


@pytest.mark.parametrize(
    ("time", "lookback", "problem"),
    [
        ("by_hour", timedelta(0), "expected a positive timedelta, got timedelta 0:00:00."),
        ("by_day", "a week", "expected a positive timedelta, got str 'a week'."),
        ("global", timedelta(days=1), "expected None for time='global', got timedelta 1 day, 0:00:00."),
        ("by_day", timedelta.max, "expected a start in the years 1 to 9999, got timedelta 999999999 days"),
        ("by_day", pendulum.duration(years=9000), "expected a start in the years 1 to 9999, got Duration "),
    ],
)
def test_look_back_other_value_raises_with_name(time: Time, lookback: Any, problem: str) -> None:
    with pytest.raises(AngusRequestError) as raised:
        look_back(YEAR, time, lookback)
    assert str(raised.value).startswith(f"lookback: {problem}")
