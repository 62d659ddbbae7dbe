"""Which time is a DAG run's own: the rows of the interval table as bare contexts, and what holds for all of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_angus.exceptions import AngusIntervalError
from airflow_provider_angus.interval import Interval, check_interval_arguments, explicit_interval, run_interval

if TYPE_CHECKING:
    from collections.abc import Callable

THIRD = datetime(2017, 9, 3, tzinfo=UTC)
FOURTH = datetime(2017, 9, 4, tzinfo=UTC)
FIFTH = datetime(2017, 9, 5, tzinfo=UTC)
DAY = timedelta(days=1)
DAG = SimpleNamespace(dag_id="shop", timezone=ZoneInfo("UTC"))
NAMES = {"run_id": "manual__1", "dag": DAG}

#: What Airflow gives a task of each kind of run; absent keys are absent, as they are in Airflow 3.
REAL = NAMES | {"data_interval_start": THIRD, "data_interval_end": FOURTH, "logical_date": THIRD}
EMPTY = NAMES | {"data_interval_start": FOURTH, "data_interval_end": FOURTH, "logical_date": FOURTH}
LOGICAL_DATE = NAMES | {"logical_date": FOURTH, "dag_run": SimpleNamespace(run_after=FIFTH)}
NO_LOGICAL_DATE = NAMES | {"dag_run": SimpleNamespace(run_after=FOURTH)}
ASSET = NO_LOGICAL_DATE | {"triggering_asset_events": {"asset": []}}
PARTITION = NAMES | {"partition_date": THIRD, "dag_run": SimpleNamespace(run_after=FIFTH)}
NONES = NAMES | dict.fromkeys(["data_interval_start", "data_interval_end", "logical_date", "partition_date", "dag_run"])
RUNS = {
    "real": REAL,
    "empty": EMPTY,
    "logical-date": LOGICAL_DATE,
    "no-logical-date": NO_LOGICAL_DATE,
    "asset": ASSET,
    "partition": PARTITION,
    "nones": NONES,
    "nothing": {},
}
WITHOUT_INTERVAL = {name: context for name, context in RUNS.items() if name != "real"}

instants = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001
zones = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
lengths = st.timedeltas(timedelta(microseconds=1), timedelta(days=40))


def by_id(contexts: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("context", contexts.values(), ids=contexts.keys())


def representations(instant: datetime, zone: str) -> list[Any]:
    """Return everything that a person or Airflow may write for an instant."""
    offset = instant.astimezone(timezone(timedelta(hours=5, minutes=45)))
    return [
        instant.isoformat(),
        instant.isoformat().replace("+00:00", "Z"),
        f" {str(instant).removesuffix('+00:00')}\n",  # without an offset: UTC, as Airflow's own ds is
        offset.isoformat(),
        offset,
        instant.replace(tzinfo=None),
        instant.astimezone(ZoneInfo(zone)),
        pendulum.instance(instant).in_timezone(zone),
    ]


# The interval table


@pytest.mark.parametrize("interval", [None, timedelta(hours=1), pendulum.duration(days=1)])
def test_a_run_with_a_real_data_interval_has_that_one_whatever_interval_says(interval: timedelta | None) -> None:
    assert run_interval(REAL, interval=interval) == (THIRD, FOURTH)


@by_id({key: RUNS[key] for key in ("empty", "logical-date", "no-logical-date", "asset")})
def test_a_run_without_an_interval_ends_where_its_schedule_says_and_is_as_long_as_interval(
    context: dict[str, Any],
) -> None:
    assert run_interval(context, interval=DAY) == (THIRD, FOURTH)


def test_a_partitioned_run_begins_at_its_partition_date() -> None:
    assert run_interval(PARTITION, interval=DAY) == (THIRD, FOURTH)


@by_id(WITHOUT_INTERVAL)
def test_a_run_that_nothing_gives_an_interval_is_refused(context: dict[str, Any]) -> None:
    with pytest.raises(AngusIntervalError):
        run_interval(context)


@by_id({key: RUNS[key] for key in ("nones", "nothing")})
def test_interval_alone_is_not_enough_where_no_date_is_known(context: dict[str, Any]) -> None:
    with pytest.raises(AngusIntervalError, match="has no data interval"):
        run_interval(context, interval=DAY)


@by_id(RUNS)
@pytest.mark.parametrize("interval", [None, timedelta(hours=1)])
def test_explicit_dates_win_over_everything_that_a_run_has(context: dict[str, Any], interval: timedelta | None) -> None:
    found = run_interval(context, from_date="2016-01-01", to_date="2016-01-02T12:00+01:00", interval=interval)
    assert found == (datetime(2016, 1, 1, tzinfo=UTC), datetime(2016, 1, 2, 11, tzinfo=UTC))


@pytest.mark.parametrize(
    ("context", "has"),
    [
        (EMPTY, "an empty data interval (2017-09-04 00:00:00+00:00 .. 2017-09-04 00:00:00+00:00)"),
        (NO_LOGICAL_DATE, "no data interval"),
        (PARTITION, "a partition date (2017-09-03 00:00:00+00:00) and no data interval"),
    ],
)
def test_a_refusal_names_the_run_and_what_it_has_and_the_three_ways_out(context: dict[str, Any], has: str) -> None:
    with pytest.raises(AngusIntervalError) as refused:
        run_interval(context)
    message = str(refused.value)
    assert f"DAG run 'manual__1' of 'shop' has {has}" in message
    for way_out in ("CronDataIntervalTimetable", "interval=timedelta(...)", "from_date and to_date"):
        assert way_out in message


# Explicit dates


@pytest.mark.parametrize("moment", [date(2017, 9, 3), pendulum.date(2017, 9, 3), "2017-09-03", THIRD])
def test_a_date_without_a_time_is_its_midnight_in_utc(moment: Any) -> None:
    assert explicit_interval(moment, FOURTH) == (THIRD, FOURTH)


@pytest.mark.parametrize("to_date", [THIRD, "2017-09-02", "2017-09-03T01:59:59+02:00"])
def test_dates_that_leave_no_time_between_them_are_refused(to_date: str | datetime) -> None:
    with pytest.raises(AngusIntervalError, match="from_date must be before to_date, got 2017-09-03T00:00:00"):
        explicit_interval(THIRD, to_date)


@pytest.mark.parametrize("text", ["None", "", "yesterday", "now", "12:00", "2017-13-01", "{{ ds }}"])
def test_a_text_that_is_no_date_is_refused_by_the_name_of_its_parameter(text: str) -> None:
    with pytest.raises(AngusIntervalError, match=r"^to_date='.*' is not an ISO 8601 date"):
        explicit_interval(THIRD, text)


@pytest.mark.parametrize("value", [1504396800, 3.5, ["2017-09-03"], time(12), None])
def test_what_is_neither_a_date_nor_a_text_is_refused(value: Any) -> None:
    with pytest.raises(AngusIntervalError, match="from_date must be a date, a datetime or an ISO 8601 text"):
        explicit_interval(value, FOURTH)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"])
def test_a_date_that_utc_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(AngusIntervalError, match="from_date"):
        explicit_interval(text, FOURTH)


@pytest.mark.parametrize(
    ("given_date", "missing"), [("from_date", "to_date"), ("to_date", "from_date")], ids=["from_date", "to_date"]
)
def test_one_date_without_the_other_is_refused_in_every_run(given_date: str, missing: str) -> None:
    with pytest.raises(AngusIntervalError, match=f"{given_date} is given without {missing}"):
        run_interval(REAL, **{given_date: THIRD})


@pytest.mark.parametrize("interval", [timedelta(0), -DAY, pendulum.duration(days=-1), 86400, "1 day", True])
def test_an_interval_that_is_no_length_of_time_is_refused_when_the_dag_is_parsed(interval: object) -> None:
    with pytest.raises(AngusIntervalError, match="interval must be a timedelta longer than zero"):
        check_interval_arguments(None, None, interval)


def test_arguments_that_can_become_an_interval_are_not_refused_when_the_dag_is_parsed() -> None:
    for dates in [(None, None), ("{{ ds }}", "{{ macros.ds_add(ds, 1) }}")]:
        for interval in [None, DAY, pendulum.duration(months=1)]:
            check_interval_arguments(*dates, interval)


def test_an_interval_shows_as_its_two_ends() -> None:
    assert str(Interval(THIRD, FOURTH)) == "2017-09-03T00:00:00+00:00 .. 2017-09-04T00:00:00+00:00"


# What holds for all


@settings(deadline=None)
@given(instants, lengths, zones)
@example(datetime(2017, 10, 29, 0, 30, tzinfo=UTC), timedelta(hours=1), "Europe/Paris")  # 02:30 comes twice
def test_every_way_to_write_an_instant_gives_the_same_interval(start: datetime, length: timedelta, zone: str) -> None:
    expected = Interval(start, start + length)
    ends = [representations(moment, zone) for moment in expected]
    assert {explicit_interval(*pair) for pair in zip(*ends, strict=True)} == {expected}
    for first, last in [pair for pair in zip(*ends, strict=True) if isinstance(pair[0], datetime)]:
        contexts: list[dict[str, Any]] = [
            {"data_interval_start": first, "data_interval_end": last},
            {"data_interval_start": last, "data_interval_end": last},
            {"logical_date": last},
            {"partition_date": first},
        ]
        assert {run_interval(context, interval=length) for context in contexts} == {expected}


@settings(deadline=None)
@given(instants, zones)
def test_an_interval_is_in_utc_and_made_of_plain_datetimes(start: datetime, zone: str) -> None:
    moment = pendulum.instance(start).in_timezone(zone)
    for length in (DAY, pendulum.duration(days=1)):
        interval = run_interval({"logical_date": moment, "dag": SimpleNamespace(timezone=zone)}, interval=length)
        assert [(type(edge), edge.tzinfo) for edge in interval] == [(datetime, UTC)] * 2


@settings(deadline=None)
@given(instants, lengths, st.integers(2, 20), st.sampled_from(["data_interval_end", "logical_date", "partition_date"]))
def test_the_runs_of_a_regular_schedule_share_time_without_overlap_or_gap(
    start: datetime, length: timedelta, runs: int, key: str
) -> None:
    intervals = [run_interval({key: start + number * length}, interval=length) for number in range(runs)]
    assert [interval.end for interval in intervals[:-1]] == [interval.start for interval in intervals[1:]]
    assert {interval.end - interval.start for interval in intervals} == {length}


def calendar_days(zone: str, first: date, key: str, timetable_says: Callable[[str], Any]) -> list[Interval]:
    """Return the intervals of the runs that Airflow's cron makes at midnight on forty days."""
    midnight = pendulum.datetime(first.year, first.month, first.day, tz=zone)
    context = {"dag": timetable_says(zone)}
    days = pendulum.duration(days=1)
    return [run_interval(context | {key: midnight.add(days=number)}, interval=days) for number in range(40)]


def assert_tiled(intervals: list[Interval]) -> None:
    assert [interval.end for interval in intervals[:-1]] == [interval.start for interval in intervals[1:]]


TIMETABLES = {
    "timetable": lambda zone: SimpleNamespace(timetable=SimpleNamespace(timezone=zone), timezone="UTC"),
    # Airflow 2.11's timetables keep it to themselves.
    "private": lambda zone: SimpleNamespace(timetable=SimpleNamespace(_timezone=ZoneInfo(zone)), timezone="UTC"),
    "dag": lambda zone: SimpleNamespace(timetable=SimpleNamespace(), timezone=ZoneInfo(zone)),
}


@pytest.mark.parametrize("timetable_says", TIMETABLES.values(), ids=TIMETABLES.keys())
@pytest.mark.parametrize("key", ["data_interval_end", "partition_date"])
@settings(deadline=None)
@given(zone=zones, first=st.dates(date(1990, 1, 1), date(2035, 1, 1)))
@example(zone="Europe/Paris", first=date(2017, 3, 10))
@example(zone="Europe/Paris", first=date(2017, 10, 10))
@example(zone="America/New_York", first=date(2017, 10, 10))
def test_calendar_days_share_time_without_overlap_or_gap_across_daylight_saving(
    zone: str, first: date, key: str, timetable_says: Callable[[str], Any]
) -> None:
    assert_tiled(calendar_days(zone, first, key, timetable_says))


@pytest.mark.parametrize("key", ["data_interval_end", "partition_date"])
@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("Africa/Cairo", date(2024, 4, 10)),
        ("Asia/Beirut", date(2017, 3, 10)),
        ("America/Havana", date(2017, 3, 1)),
        ("America/Havana", date(2017, 10, 20)),
        ("America/Sao_Paulo", date(2017, 10, 1)),
    ],
)
def test_calendar_days_share_time_also_where_daylight_saving_skips_or_repeats_midnight(
    zone: str, first: date, key: str
) -> None:
    assert_tiled(calendar_days(zone, first, key, TIMETABLES["dag"]))


@pytest.mark.parametrize(
    ("end", "hours"), [("2017-03-26T22:00Z", 23), ("2017-10-29T23:00Z", 25), ("2017-09-03T22:00Z", 24)]
)
def test_a_calendar_day_of_paris_has_as_many_hours_as_daylight_saving_leaves_it(end: str, hours: int) -> None:
    context = {"logical_date": datetime.fromisoformat(end), "dag": SimpleNamespace(timezone="Europe/Paris")}
    interval = run_interval(context, interval=pendulum.duration(days=1))
    assert interval.end - interval.start == timedelta(hours=hours)
    assert run_interval(context, interval=DAY).start == interval.end - DAY


@pytest.mark.parametrize(
    ("length", "start"),
    [
        (pendulum.duration(months=1), datetime(2017, 2, 28, tzinfo=UTC)),
        (pendulum.duration(years=1), datetime(2016, 3, 28, tzinfo=UTC)),
        (pendulum.duration(weeks=2, days=1), datetime(2017, 3, 13, tzinfo=UTC)),
        (pendulum.duration(hours=36, minutes=1), datetime(2017, 3, 26, 11, 59, tzinfo=UTC)),
        (pendulum.duration(seconds=2, microseconds=3), datetime(2017, 3, 27, 23, 59, 57, 999997, UTC)),
    ],
)
def test_every_part_of_a_pendulum_duration_counts(length: pendulum.Duration, start: datetime) -> None:
    end = datetime(2017, 3, 28, tzinfo=UTC)
    assert run_interval({"logical_date": end}, interval=length) == (start, end)


def test_a_calendar_day_without_a_dag_is_a_day_of_utc() -> None:
    assert run_interval({"logical_date": FOURTH}, interval=pendulum.duration(days=1)) == (THIRD, FOURTH)
