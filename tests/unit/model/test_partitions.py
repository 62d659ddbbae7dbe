"""The hours or days that a load changed and of which it has all buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.partitions import MAX_PARTITIONS, ChangedPartitions, PartitionEvents

HOUR, NO_TIME = timedelta(hours=1), timedelta(0)
START = datetime(2017, 9, 3, tzinfo=UTC)
TWO_DAYS = Interval(START, START + 48 * HOUR)


def row(hour: int) -> dict[str, str]:
    return {"bucket_start": (START + hour * HOUR).isoformat()}


def load(partitions: ChangedPartitions, hours: list[int], changed: list[int]) -> None:
    """Load a stream with these hours, of which some are changed."""
    assert list(partitions.observe(map(row, hours))) == list(map(row, hours))
    for hour in changed:
        partitions.mark(row(hour))
    partitions.keep()


def key(hour: int) -> str:
    return (START + hour * HOUR).strftime("%Y-%m-%dT%H:%M:%S")


def test_partitions_of_streams_are_united_if_all_are_complete() -> None:
    partitions = ChangedPartitions("by_hour", TWO_DAYS, "by_hour", NO_TIME)
    load(partitions, [0, 1, 2, 3], [0])
    load(partitions, [0, 1, 2], [2, 1])
    load(partitions, [0, 1, 2, 3], [3])
    assert partitions.keys() == [key(0), key(1), key(2)]


def test_partitions_of_stream_that_is_not_kept_are_dropped() -> None:
    partitions = ChangedPartitions("by_hour", TWO_DAYS, "by_hour", NO_TIME)
    list(partitions.observe([row(0), row(1)]))
    partitions.mark(row(0))
    load(partitions, [0, 1], [1])
    assert partitions.keys() == [key(1)]


def test_partitions_without_stream_are_none() -> None:
    assert ChangedPartitions("by_hour", TWO_DAYS, "by_hour", NO_TIME).keys() == []


def test_partitions_all_are_those_of_loaded_rows() -> None:
    partitions = ChangedPartitions("by_hour", TWO_DAYS, "by_hour", NO_TIME)
    load(partitions, [3, 4], [])
    assert partitions.keys() == []
    partitions.mark_all()
    assert partitions.keys() == [key(3), key(4)]


def test_partitions_announce_the_first_write_once() -> None:
    calls: list[str] = []
    partitions = ChangedPartitions("by_hour", TWO_DAYS, "by_hour", NO_TIME, lambda: calls.append("before"))
    load(partitions, [0, 1], [])
    assert calls == []
    load(partitions, [0, 1], [0, 1])
    partitions.prepare_write()
    assert calls == ["before"]


@given(
    st.sampled_from(["by_hour", "by_day"]),
    st.integers(0, 47 * 60),
    st.integers(1, 48 * 60),
    st.sets(st.integers(0, 47)),
    st.sets(st.integers(0, 47)),
)
def test_partitions_are_within_interval_and_have_all_buckets(
    length: PartitionEvents, start: int, minutes: int, missing: set[int], changed: set[int]
) -> None:
    interval = Interval(START + timedelta(minutes=start), START + timedelta(minutes=min(start + minutes, 48 * 60)))
    loaded = [hour for hour in range(48) if START + hour * HOUR < interval.end and hour not in missing]
    loaded = [hour for hour in loaded if START + (hour + 1) * HOUR > interval.start]
    partitions = ChangedPartitions(length, interval, "by_hour", NO_TIME)
    load(partitions, loaded, [hour for hour in loaded if hour in changed])
    hours = 1 if length == "by_hour" else 24
    expected = [
        key(first)
        for first in range(0, 48, hours)
        if interval.start <= START + first * HOUR and START + (first + hours) * HOUR <= interval.end
        if set(range(first, first + hours)) <= set(loaded) and set(range(first, first + hours)) & changed
    ]
    assert partitions.keys() == expected


def test_partitions_that_have_not_settled_are_omitted() -> None:
    """The third of these hours ended less than an hour ago."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    interval = Interval(now - 3 * HOUR, now + HOUR)
    for settle, settled in ((NO_TIME, 3), (HOUR, 2), (5 * HOUR, 0)):
        partitions = ChangedPartitions("by_hour", interval, "by_hour", settle)
        hours = [round((interval.start - START) / HOUR) + hour for hour in range(4)]
        load(partitions, hours, hours)
        assert partitions.keys() == [key(hour) for hour in hours[:settled]]


def test_partitions_of_too_long_interval_are_refused() -> None:
    interval = Interval(START, START + MAX_PARTITIONS * HOUR)
    ChangedPartitions("by_hour", interval, "by_hour", NO_TIME)
    with pytest.raises(AngusRequestError, match="at most 2500 partitions by_hour, got 2501. Load a shorter"):
        ChangedPartitions("by_hour", Interval(START, interval.end + HOUR), "by_hour", NO_TIME)
