"""How a long range is cut: windows that join to the whole, and what makes them shorter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.entities import BUCKET_LENGTHS, bucket_at, bucket_starts
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.windows import SHORT, Windows, check_window, says_too_long

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def too_long() -> AngusError:
    error = AngusRequestError("At most 31 days.")
    error.range_too_long = True
    return error


def too_slow() -> AngusError:
    error = AngusUnavailableError("Not answered within 30 s.")
    error.timed_out = True
    return error


def all_of(windows: Windows) -> list[Interval]:
    found = [windows.now]
    while not windows.last:
        windows.go_on()
        found.append(windows.now)
    return found


times = st.sampled_from(["by_hour", "by_day"])
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001 (as asked)
intervals = st.builds(
    lambda start, length: Interval(start, start + length),
    moments,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=20)),
)
lengths = st.timedeltas(timedelta(minutes=1), timedelta(days=30))


def check_join(windows: list[Interval], interval: Interval, time: str) -> None:
    assert (windows[0].start, windows[-1].end) == interval
    assert all(one.start < one.end for one in windows)
    assert all(one.end == other.start == bucket_at(other.start, time).start for one, other in pairwise(windows))
    starts = [start for window in windows for start in bucket_starts(window, time)]
    assert starts == list(bucket_starts(interval, time))


@given(intervals, times, lengths)
def test_windows_join_to_the_whole_without_gap_or_double_and_meet_on_edges_of_buckets(
    interval: Interval, time: str, length: timedelta
) -> None:
    windows = all_of(Windows(interval, time, length))
    check_join(windows, interval, time)
    bucket = BUCKET_LENGTHS[time]
    assert bucket
    assert all(window.end - window.start <= max(length, bucket) for window in windows)


@given(intervals, times, lengths | st.none(), st.lists(st.integers(0, 5), max_size=10))
def test_windows_that_become_shorter_on_the_way_join_to_the_whole_as_well(
    interval: Interval, time: str, length: timedelta | None, refusals: list[int]
) -> None:
    windows, found = Windows(interval, time, length), []
    for accepted in refusals:
        windows.shorten(too_long())
        for _ in range(accepted):
            if not windows.last:
                found.append(windows.now)
                windows.go_on()
    check_join(found + all_of(windows), interval, time)


@given(intervals, lengths | st.none())
def test_global_is_never_cut(interval: Interval, length: timedelta | None) -> None:
    windows = Windows(interval, "global", length)
    assert not windows.shorten(too_long())
    assert not windows.shorten(too_slow())
    assert all_of(windows) == [interval]


def test_nothing_is_cut_where_nobody_asks_for_it() -> None:
    year = Interval(NOON, NOON + timedelta(days=365))
    assert all_of(Windows(year, "by_hour")) == [year]
    assert all_of(Windows(year, "by_hour", timedelta(days=366))) == [year]


def test_a_range_that_is_refused_is_halved_down_to_one_bucket_and_what_follows_is_no_longer() -> None:
    windows = Windows(Interval(NOON, NOON + timedelta(hours=10)), "by_hour")
    hours = []
    while windows.shorten(too_long()):
        hours.append((windows.now.end - windows.now.start) // timedelta(hours=1))
    assert hours == [5, 3, 2, 1]
    assert len(all_of(windows)) == 10


def test_a_bucket_that_the_interval_cuts_is_cut_nowhere_else() -> None:
    paris = Interval(datetime(2026, 11, 20, 23, tzinfo=UTC), datetime(2026, 11, 22, 23, tzinfo=UTC))
    edges = [window.start.isoformat()[:13] for window in all_of(Windows(paris, "by_day", timedelta(days=1)))]
    assert edges == ["2026-11-20T23", "2026-11-21T00", "2026-11-22T00"]


@pytest.mark.parametrize(("buckets", "halved"), [(SHORT, False), (SHORT + 1, True)])
def test_only_a_long_range_is_halved_when_the_time_is_up(buckets: int, halved: bool) -> None:  # noqa: FBT001
    assert Windows(Interval(NOON, NOON + timedelta(hours=buckets)), "by_hour").shorten(too_slow()) is halved


@pytest.mark.parametrize("kind", [AngusRequestError, AngusUnavailableError, AngusResponseError, AngusAuthError])
def test_no_other_error_makes_windows_shorter(kind: type[AngusError]) -> None:
    assert not Windows(Interval(NOON, NOON + timedelta(days=365)), "by_hour").shorten(kind("No."))


@pytest.mark.parametrize(
    "words",
    [
        "range_too_long: At most 31 days.",
        "date_range_exceeded: No.",
        "max_range: 31",
        "invalid_date: The period must not be longer than 31 days.",
        "The requested interval is too large.",
        "too_many_results: Narrow it down.",
        "bad: Maximum range is P1M.",
        "TOO MANY BUCKETS.",
    ],
)
def test_a_refusal_that_speaks_of_a_range_that_is_too_long_is_one(words: str) -> None:
    assert says_too_long(words)


@pytest.mark.parametrize(
    "words",
    [
        "missing_mandatory_param: These are mandatory: from_date.",
        "unexisting_metric: No metric 'x', only interested, passing_by.",
        "unexisting_time: No time 'by_year', only by_hour, by_day, global.",
        "page_not_existing: No page '9': there are pages 1 to 3.",
        "invalid_date: from_date is after to_date.",
        "ordered: This 400 was ordered from the sandbox.",
        "too_many_metrics: At most 3.",
        "rate_limit: At most 100 requests per hour.",
        "quota: The limit of the day; try again in more than 3 hours.",
        "invalid_date: from_date is more than to_date.",
        "at most 3 metrics per date",
    ],
)
def test_another_refusal_is_not(words: str) -> None:
    assert not says_too_long(words)


@pytest.mark.parametrize("window", [timedelta(0), timedelta(days=-1), 3600, "1 day", True])
def test_a_window_must_be_a_length_of_time(window: Any) -> None:
    with pytest.raises(AngusRequestError, match="window must be a timedelta longer than zero, got"):
        check_window(window)
