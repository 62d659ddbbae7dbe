"""Simulated visitors: properties of every stream and interval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.sandbox.traffic import count_people

SUNDAY = datetime(2017, 9, 3, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

streams = st.uuids().map(str)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.timezones())  # noqa: DTZ001
lengths = st.timedeltas(timedelta(0), timedelta(days=3))


@given(streams, moments, lengths, lengths)
def test_adjacent_intervals_add_up(stream: str, start: datetime, first: timedelta, second: timedelta) -> None:
    start = start.astimezone(UTC)
    middle, end = start + first, start + first + second
    counts = count_people(stream, start, middle)
    counts.update(count_people(stream, middle, end))
    assert counts == count_people(stream, start, end)


@given(streams, moments, lengths)
def test_counts_of_any_interval_are_consistent(stream: str, start: datetime, length: timedelta) -> None:
    """Interested people stop for at least 3 seconds and look at the camera for more than 1."""
    people = count_people(stream, start, start.astimezone(UTC) + length)
    assert min(people.values(), default=0) >= 0
    assert people["interested"] <= people["passing_by"]
    assert people["female"] + people["male"] + people["unknown"] == people["interested"]
    assert people["senior_female"] + people["young_female"] <= people["female"]
    assert people["senior_male"] + people["young_male"] <= people["male"]
    assert people["stop"] >= 3 * people["interested"]
    assert 2 * people["interested"] <= people["attention"] <= people["stop"]


@given(streams, moments, lengths)
def test_counts_of_empty_interval_are_zero(stream: str, start: datetime, length: timedelta) -> None:
    assert count_people(stream, start, start.astimezone(UTC) - length).total() == 0


def test_counts_never_change() -> None:
    assert count_people("a stream", SUNDAY + 15 * HOUR, SUNDAY + 16 * HOUR) == {
        "passing_by": 15,
        "interested": 4,
        "stop": 67,
        "attention": 33,
        "female": 4,
        "senior_female": 2,
        "young_female": 1,
    }


@given(streams)
def test_afternoons_are_busy_and_nights_are_quiet(stream: str) -> None:
    days = [SUNDAY + number * DAY for number in range(28)]
    nights = [count_people(stream, day + hour * HOUR, day + (hour + 1) * HOUR) for day in days for hour in range(5)]
    assert sum(night.total() == 0 for night in nights) > len(nights) / 2
    afternoons = [count_people(stream, day + 15 * HOUR, day + 16 * HOUR) for day in days]
    assert min(afternoon["passing_by"] for afternoon in afternoons) > 3


@given(streams)
def test_a_tenth_to_a_third_of_visitors_are_interested(stream: str) -> None:
    month = count_people(stream, SUNDAY, SUNDAY + 28 * DAY)
    assert 0.1 < month["interested"] / month["passing_by"] < 0.3


@given(streams)
def test_saturdays_are_busy_and_sundays_are_quiet(stream: str) -> None:
    days = [count_people(stream, SUNDAY + day * DAY, SUNDAY + (day + 1) * DAY)["passing_by"] for day in range(28)]
    sunday, *workdays, saturday = (sum(days[weekday::7]) for weekday in range(7))
    assert sunday < min(workdays)
    assert saturday > max(workdays)


def test_streams_differ_in_size() -> None:
    sizes = [count_people(str(stream), SUNDAY, SUNDAY + 28 * DAY)["passing_by"] for stream in range(20)]
    assert max(sizes) > 2 * min(sizes)
