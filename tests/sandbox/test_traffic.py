"""Who came to the shop: properties that hold for any stream and any stretch of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import add

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.sandbox.traffic import Counts, count

SUNDAY = datetime(2017, 9, 3, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

streams = st.uuids().map(str)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.timezones())  # noqa: DTZ001
lengths = st.timedeltas(timedelta(0), timedelta(days=3))


@given(streams, moments, lengths, lengths)
def test_parts_add_up_to_the_whole(stream: str, start: datetime, first: timedelta, second: timedelta) -> None:
    start = start.astimezone(UTC)
    middle, end = start + first, start + first + second
    parts = count(stream, start, middle), count(stream, middle, end)
    assert Counts(*map(add, *parts)) == count(stream, start, end)


@given(streams, moments, lengths)
def test_people_are_consistent_in_every_stretch(stream: str, start: datetime, length: timedelta) -> None:
    people = count(stream, start, start.astimezone(UTC) + length)
    assert min(people) >= 0
    assert people.interested <= people.passing_by
    assert people.female + people.male + people.unknown == people.interested
    assert people.senior_female + people.young_female <= people.female
    assert people.senior_male + people.young_male <= people.male
    # Interested is who stopped for 3 seconds and looked for more than 1.
    assert people.stop >= 3 * people.interested
    assert 2 * people.interested <= people.attention <= people.stop


@given(streams, moments, lengths)
def test_nobody_comes_in_no_time(stream: str, start: datetime, length: timedelta) -> None:
    assert count(stream, start, start.astimezone(UTC) - length) == Counts()


def test_people_never_change() -> None:
    assert count("a stream", SUNDAY + 15 * HOUR, SUNDAY + 16 * HOUR) == Counts(
        passing_by=15,
        interested=4,
        stop=67,
        attention=33,
        female=4,
        male=0,
        unknown=0,
        senior_female=2,
        senior_male=0,
        young_female=1,
        young_male=0,
    )


@given(streams)
def test_afternoons_are_busy_and_nights_are_quiet(stream: str) -> None:
    days = [SUNDAY + number * DAY for number in range(28)]
    nights = [count(stream, day + hour * HOUR, day + (hour + 1) * HOUR) for day in days for hour in range(5)]
    assert sum(night == Counts() for night in nights) > len(nights) / 2
    afternoons = [count(stream, day + 15 * HOUR, day + 16 * HOUR) for day in days]
    assert min(afternoon.passing_by for afternoon in afternoons) > 3


@given(streams)
def test_a_tenth_to_a_third_of_those_who_pass_stop(stream: str) -> None:
    month = count(stream, SUNDAY, SUNDAY + 28 * DAY)
    assert 0.1 < month.interested / month.passing_by < 0.3


@given(streams)
def test_saturdays_are_busy_and_sundays_are_quiet(stream: str) -> None:
    week = [
        sum(
            count(stream, SUNDAY + (7 * week + day) * DAY, SUNDAY + (7 * week + day + 1) * DAY).passing_by
            for week in range(4)
        )
        for day in range(7)
    ]
    sunday, *workdays, saturday = week
    assert sunday < min(workdays)
    assert saturday > max(workdays)


def test_streams_differ_in_size() -> None:
    sizes = [count(str(stream), SUNDAY, SUNDAY + 28 * DAY).passing_by for stream in range(20)]
    assert max(sizes) > 2 * min(sizes)
