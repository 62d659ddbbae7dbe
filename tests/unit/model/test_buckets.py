from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import DAY, MIDNIGHT
from strategies import bucket_times, instants, intervals

from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError, AngusResponseError
from airflow_provider_angus.model.buckets import (
    BUCKET_LENGTHS,
    Time,
    bucket_at,
    bucket_starts,
    check_time,
    count_buckets,
    describe_buckets,
    partial_buckets,
    read_bucket_key,
    whole_buckets,
)
from airflow_provider_angus.model.intervals import Interval

some_days = intervals(timedelta(days=4))


def length_of(time: Time) -> timedelta:
    length = BUCKET_LENGTHS[time]
    assert length
    return length


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_check_time_known_time_is_returned(time: str) -> None:
    assert check_time(time) == time


@pytest.mark.parametrize("time", ["hour", "BY_DAY", "", None, 3600, ["by_day"]])
def test_check_time_unknown_time_raises_with_known_times(time: Any) -> None:
    with pytest.raises(AngusRequestError, match="time: expected one of by_hour, by_day, global, got "):
        check_time(time)


@given(some_days, bucket_times)
def test_bucket_starts_cover_the_interval_exactly(interval: Interval, time: Time) -> None:
    length, starts = length_of(time), list(bucket_starts(interval, time))
    assert starts[0] <= interval.start < starts[0] + length
    assert starts[-1] < interval.end <= starts[-1] + length
    assert {after - before for before, after in pairwise(starts)} <= {length}
    assert all((start - datetime(1970, 1, 1, tzinfo=UTC)) % length == timedelta(0) for start in starts)


@given(instants, st.lists(st.integers(1, 50), min_size=2, max_size=5), bucket_times)
def test_bucket_starts_of_consecutive_intervals_add_up(moment: datetime, counts: list[int], time: Time) -> None:
    length = length_of(time)
    edges = [next(bucket_starts(Interval(moment, moment + length), time))]
    for count in counts:
        edges.append(edges[-1] + count * length)
    parts = [list(bucket_starts(Interval(*edge), time)) for edge in pairwise(edges)]
    assert list(map(len, parts)) == counts
    assert list(chain.from_iterable(parts)) == list(bucket_starts(Interval(edges[0], edges[-1]), time))


@given(some_days, st.sampled_from(["by_hour", "by_day", "global"]))
def test_count_buckets_is_the_number_of_starts(interval: Interval, time: Time) -> None:
    assert count_buckets(interval, time) == len(list(bucket_starts(interval, time)))


@given(some_days, bucket_times)
def test_partial_buckets_are_those_an_edge_cuts(interval: Interval, time: Time) -> None:
    length = length_of(time)
    cut = [start for start in bucket_starts(interval, time) if start < interval.start or start + length > interval.end]
    assert partial_buckets(interval, time) == cut
    starts = list(bucket_starts(interval, time))
    assert whole_buckets(interval, time) == (starts[0], starts[-1] + length)


@given(some_days)
def test_global_bucket_is_the_interval(interval: Interval) -> None:
    assert list(bucket_starts(interval, "global")) == [interval.start]
    assert partial_buckets(interval, "global") == []
    assert whole_buckets(interval, "global") == interval
    assert read_bucket_key("global", interval, "global") == interval


@given(instants, bucket_times)
def test_bucket_at_contains_the_instant(moment: datetime, time: Time) -> None:
    bucket = bucket_at(moment, time)
    assert bucket.start <= moment < bucket.end
    assert list(bucket_starts(bucket, time)) == [bucket.start]


@pytest.mark.parametrize(
    ("time", "problem"),
    [("global", "expected by_hour or by_day, got str 'global'"), ("by_week", "expected one of by_hour")],
)
def test_bucket_at_other_time_raises(time: str, problem: str) -> None:
    with pytest.raises(AngusRequestError, match=problem):
        bucket_at(MIDNIGHT, time)


@pytest.mark.parametrize("time", ["by_hour", "by_day"])
def test_buckets_at_the_end_of_9999(time: Time) -> None:
    last = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    starts = list(bucket_starts(Interval(last - timedelta(days=1), last), time))
    assert starts[-1] <= last < last.max.replace(tzinfo=UTC)
    with pytest.raises(AngusIntervalError, match="ends after the year 9999"):
        bucket_at(last, time)


@given(some_days, bucket_times, st.sampled_from(["Z", "+00:00", "+0000", "+02:00"]))
def test_read_bucket_key_accepts_any_utc_offset(interval: Interval, time: Time, offset: str) -> None:
    start = next(bucket_starts(interval, time))
    zone = datetime.fromisoformat(f"2017-01-01T00:00{offset}").tzinfo
    key = start.astimezone(zone).replace(tzinfo=None).isoformat() + offset
    bucket = read_bucket_key(key, interval, time)
    assert bucket == (start, start + length_of(time))
    assert bucket.start.tzinfo is UTC


@pytest.mark.parametrize(
    ("key", "time", "problem"),
    [
        ("2017-09-03T10:30:00+00:00", "by_hour", "expected the start of a UTC hour for time=by_hour"),
        ("2017-09-03T10:00:01+00:00", "by_hour", "expected the start of a UTC hour"),
        ("2017-09-03T10:00:00.000001+00:00", "by_hour", "expected the start of a UTC hour"),
        ("2017-09-03T10:00:00+05:45", "by_hour", "expected the start of a UTC hour"),
        ("2017-09-03T10:00:00+00:00", "by_day", "expected the start of a UTC day for time=by_day"),
        ("2017-09-03T00:00:00+02:00", "by_day", "expected the start of a UTC day"),
        ("2017-09-03T00:00:00", "by_day", "expected the start of a UTC day"),
        ("2017-09-03", "by_day", "expected the start of a UTC day"),
        ("global", "by_day", "expected an ISO 8601 date for time=by_day"),
        ("", "by_hour", "expected an ISO 8601 date for time=by_hour"),
        ("2017-09-03T00:00:00+00:00", "global", "expected 'global'"),
        ("0001-01-01T00:00:00+05:00", "by_day", "expected an ISO 8601 date"),
        ("9999-12-31T00:00:00+00:00", "by_day", "expected an ISO 8601 date"),
        ("9999-12-31T23:00:00+00:00", "by_hour", "expected an ISO 8601 date"),
    ],
)
def test_read_bucket_key_other_key_raises(key: str, time: Time, problem: str) -> None:
    with pytest.raises(AngusResponseError) as raised:
        read_bucket_key(key, DAY, time)
    assert str(raised.value).startswith(f"bucket: {problem}")
    assert str(raised.value).endswith(f", got {key!r}.")


@pytest.mark.parametrize(
    ("count", "description"),
    [
        (1, "1 bucket (2017-09-03T00:00:00+00:00)"),
        (2, "2 buckets (2017-09-03T00:00:00+00:00, 2017-09-03T01:00:00+00:00)"),
        (
            5,
            "5 buckets (2017-09-03T00:00:00+00:00, 2017-09-03T01:00:00+00:00, 2017-09-03T02:00:00+00:00 and 2 more)",
        ),
    ],
)
def test_describe_buckets_names_the_first_three(count: int, description: str) -> None:
    starts = (MIDNIGHT + timedelta(hours=hour) for hour in range(count))
    assert describe_buckets(starts, count) == description
    assert len(list(starts)) == max(0, count - 3), "at most three are read"
