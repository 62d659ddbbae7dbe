from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import instants

from airflow_provider_angus.exceptions import AngusIntervalError
from airflow_provider_angus.model.intervals import Interval, check_interval_arguments, explicit_interval, run_interval

if TYPE_CHECKING:
    from collections.abc import Callable

THIRD = datetime(2017, 9, 3, tzinfo=UTC)
FOURTH = datetime(2017, 9, 4, tzinfo=UTC)
FIFTH = datetime(2017, 9, 5, tzinfo=UTC)
DAY = timedelta(days=1)
CALENDAR_DAY = pendulum.duration(days=1)
NAMES = {"run_id": "manual__1", "dag": SimpleNamespace(dag_id="shop")}

#: The context of each kind of run. In Airflow 3, unknown keys are absent.
REAL = NAMES | {"data_interval_start": THIRD, "data_interval_end": FOURTH, "logical_date": THIRD}
EMPTY = NAMES | {"data_interval_start": FOURTH, "data_interval_end": FOURTH, "logical_date": FOURTH}
LOGICAL_DATE = NAMES | {"logical_date": FOURTH, "dag_run": SimpleNamespace(run_after=FIFTH)}
NO_LOGICAL_DATE = NAMES | {"dag_run": SimpleNamespace(run_after=FOURTH)}
ASSET = NO_LOGICAL_DATE | {"triggering_asset_events": {"asset": []}}
PARTITION = NAMES | {"partition_date": THIRD, "dag_run": SimpleNamespace(run_after=FIFTH)}
NULLS = NAMES | dict.fromkeys(["data_interval_start", "data_interval_end", "logical_date", "partition_date", "dag_run"])
RUNS = {
    "real": REAL,
    "empty": EMPTY,
    "logical-date": LOGICAL_DATE,
    "no-logical-date": NO_LOGICAL_DATE,
    "asset": ASSET,
    "partition": PARTITION,
    "nulls": NULLS,
    "no-context": {},
}

zones = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
lengths = st.timedeltas(timedelta(microseconds=1), timedelta(days=40))


def for_runs(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("context", [RUNS[name] for name in names], ids=names)


def representations(instant: datetime, zone: str) -> list[Any]:
    """Return the forms in which a person or Airflow may write an instant."""
    shifted = instant.astimezone(timezone(timedelta(hours=5, minutes=45)))
    return [
        instant.isoformat(),
        instant.isoformat().replace("+00:00", "Z"),
        f" {str(instant).removesuffix('+00:00')}\n",  # without an offset: UTC, like Airflow's ds
        shifted.isoformat(),
        shifted,
        instant.replace(tzinfo=None),
        instant.astimezone(ZoneInfo(zone)),
        pendulum.instance(instant).in_timezone(zone),
    ]


def assert_contiguous(intervals: list[Interval]) -> None:
    assert all(before.end == after.start for before, after in pairwise(intervals))


# run_interval


@pytest.mark.parametrize("interval", [None, timedelta(hours=1), CALENDAR_DAY])
def test_run_interval_real_data_interval_wins_over_interval(interval: timedelta | None) -> None:
    assert run_interval(REAL, interval=interval) == (THIRD, FOURTH)


@for_runs("empty", "logical-date", "no-logical-date", "asset")
def test_run_interval_without_data_interval_ends_at_schedule(context: dict[str, Any]) -> None:
    assert run_interval(context, interval=DAY) == (THIRD, FOURTH)


def test_run_interval_partitioned_run_starts_at_partition_date() -> None:
    assert run_interval(PARTITION, interval=DAY) == (THIRD, FOURTH)


@for_runs(*(name for name in RUNS if name != "real"))
def test_run_interval_without_any_source_raises(context: dict[str, Any]) -> None:
    with pytest.raises(AngusIntervalError):
        run_interval(context)


@for_runs("nulls", "no-context")
def test_run_interval_with_length_but_no_date_raises(context: dict[str, Any]) -> None:
    with pytest.raises(AngusIntervalError, match="has no data interval"):
        run_interval(context, interval=DAY)


@for_runs(*RUNS)
@pytest.mark.parametrize("interval", [None, timedelta(hours=1)])
def test_run_interval_explicit_dates_win(context: dict[str, Any], interval: timedelta | None) -> None:
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
def test_run_interval_error_names_run_and_three_fixes(context: dict[str, Any], has: str) -> None:
    with pytest.raises(AngusIntervalError) as raised:
        run_interval(context)
    message = str(raised.value)
    assert f"DAG run 'manual__1' of 'shop' has {has}, so" in message
    for fix in ("CronDataIntervalTimetable", "interval=timedelta(...)", "from_date and to_date"):
        assert fix in message


@pytest.mark.parametrize("interval", [None, DAY])
def test_run_interval_of_partition_without_date_is_an_error(interval: timedelta | None) -> None:
    """On Airflow 3.2, which does not pass the date to tasks. ``run_after`` is not the time of the partition."""
    dag_run = SimpleNamespace(run_after=FIFTH, partition_key="2017-09-03")
    with pytest.raises(AngusIntervalError, match="has a partition key .'2017-09-03'., no partition date and no data"):
        run_interval(NAMES | {"dag_run": dag_run}, interval=interval)


# Arguments


@pytest.mark.parametrize("moment", [date(2017, 9, 3), pendulum.date(2017, 9, 3), "2017-09-03", THIRD])
def test_explicit_interval_date_is_its_utc_midnight(moment: Any) -> None:
    assert explicit_interval(moment, FOURTH) == (THIRD, FOURTH)


@pytest.mark.parametrize("to_date", [THIRD, "2017-09-02", "2017-09-03T01:59:59+02:00"])
def test_explicit_interval_without_length_raises(to_date: str | datetime) -> None:
    with pytest.raises(AngusIntervalError, match="from_date: expected a date before to_date, got 2017-09-03T00:00:00"):
        explicit_interval(THIRD, to_date)


@pytest.mark.parametrize("text", ["None", "", "yesterday", "now", "12:00", "2017-13-01", "{{ ds }}"])
def test_explicit_interval_other_text_raises_with_name(text: str) -> None:
    with pytest.raises(
        AngusIntervalError, match=r"^to_date: expected an ISO 8601 date, got str '.*'. If it is a template, "
    ):
        explicit_interval(THIRD, text)


@pytest.mark.parametrize("value", [1504396800, 3.5, ["2017-09-03"], time(12), None])
def test_explicit_interval_other_type_raises_with_name(value: Any) -> None:
    with pytest.raises(AngusIntervalError, match="from_date: expected a date, a datetime or ISO 8601 text, got "):
        explicit_interval(value, FOURTH)


@pytest.mark.parametrize("value", [20170903, "20170903"])
def test_explicit_interval_eight_digits_are_a_date(value: Any) -> None:
    """Native rendering makes an integer of ``{{ ds_nodash }}``."""
    assert explicit_interval(value, FOURTH) == (THIRD, FOURTH)


@pytest.mark.parametrize(
    "value",
    [True, 2017, 201709, 20171301, 2017090300, 10**5000, -20170903],
    ids=["bool", "year", "month", "no date", "hour", "huge", "negative"],
)
def test_explicit_interval_other_integer_raises_with_name(value: Any) -> None:
    with pytest.raises(AngusIntervalError, match="from_date: expected a"):
        explicit_interval(value, FOURTH)


@pytest.mark.parametrize("text", ["9999-12-31T00:00:01", "9999-12-31T23:59:59.999999"])
def test_explicit_interval_last_day_of_9999_raises(text: str) -> None:
    """Its last bucket would end in the year 10,000."""
    with pytest.raises(AngusIntervalError, match="to_date: expected a date until 9999-12-31, got str '9999-12-31T"):
        explicit_interval(FOURTH, text)
    assert explicit_interval("0001-01-01", "9999-12-31").start.year == 1


@pytest.mark.parametrize(
    "interval",
    [timedelta.max, timedelta(days=3000 * 365), pendulum.duration(years=9000), pendulum.duration(months=1, days=-29)],
)
@pytest.mark.parametrize("key", ["logical_date", "partition_date"])
def test_run_interval_length_out_of_range_raises(interval: timedelta, key: str) -> None:
    """February has fewer days than the 30 that Python counts for a month."""
    moment = datetime(2017, 3, 1, tzinfo=UTC) if key == "logical_date" else datetime(9999, 2, 28, tzinfo=UTC)
    with pytest.raises(AngusIntervalError, match=r"^interval: expected a length in the years 1 to 9999 from .*, got "):
        run_interval({key: moment}, interval=interval)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"])
def test_explicit_interval_year_out_of_range_raises(text: str) -> None:
    with pytest.raises(AngusIntervalError, match="from_date: expected a date of the years 1 to 9999 in UTC, got str"):
        explicit_interval(text, FOURTH)


@pytest.mark.parametrize(
    ("given_date", "missing"), [("from_date", "to_date"), ("to_date", "from_date")], ids=["from_date", "to_date"]
)
def test_run_interval_single_date_raises_in_every_run(given_date: str, missing: str) -> None:
    with pytest.raises(
        AngusIntervalError, match=f"{missing}: expected a date, because {given_date} is given, got None"
    ):
        run_interval(REAL, **{given_date: THIRD})


@pytest.mark.parametrize("interval", [timedelta(0), -DAY, pendulum.duration(days=-1), 86400, "1 day", True])
def test_check_interval_arguments_invalid_interval_raises(interval: object) -> None:
    with pytest.raises(AngusIntervalError, match="interval: expected a positive timedelta, got "):
        check_interval_arguments(None, None, interval)


@pytest.mark.parametrize("dates", [(None, None), ("{{ ds }}", "{{ macros.ds_add(ds, 1) }}")])
@pytest.mark.parametrize("interval", [None, DAY, pendulum.duration(months=1)])
def test_check_interval_arguments_valid_arguments_pass(dates: tuple[Any, Any], interval: timedelta | None) -> None:
    check_interval_arguments(*dates, interval)


def test_interval_str_shows_both_ends() -> None:
    assert str(Interval(THIRD, FOURTH)) == "2017-09-03T00:00:00+00:00 .. 2017-09-04T00:00:00+00:00"


# Properties


@given(instants, lengths, zones)
@example(datetime(2017, 10, 29, 0, 30, tzinfo=UTC), timedelta(hours=1), "Europe/Paris")  # 02:30 occurs twice
def test_intervals_are_equal_for_all_forms_of_dates(start: datetime, length: timedelta, zone: str) -> None:
    expected = Interval(start, start + length)
    pairs = list(zip(*(representations(edge, zone) for edge in expected), strict=True))
    assert {explicit_interval(*pair) for pair in pairs} == {expected}
    for first, last in [pair for pair in pairs if isinstance(pair[0], datetime)]:
        contexts: list[dict[str, Any]] = [
            {"data_interval_start": first, "data_interval_end": last},
            {"data_interval_start": last, "data_interval_end": last},
            {"logical_date": last},
            {"partition_date": first},
        ]
        assert {run_interval(context, interval=length) for context in contexts} == {expected}


@given(instants, zones)
def test_run_interval_returns_plain_utc_datetimes(start: datetime, zone: str) -> None:
    moment = pendulum.instance(start).in_timezone(zone)
    for length in (DAY, CALENDAR_DAY):
        interval = run_interval({"logical_date": moment}, interval=length, timezone=zone)
        assert [(type(edge), edge.tzinfo) for edge in interval] == [(datetime, UTC)] * 2


@given(instants, lengths, st.integers(2, 20), st.sampled_from(["data_interval_end", "logical_date", "partition_date"]))
def test_run_intervals_of_regular_schedule_are_contiguous(
    start: datetime, length: timedelta, runs: int, key: str
) -> None:
    intervals = [run_interval({key: start + number * length}, interval=length) for number in range(runs)]
    assert_contiguous(intervals)
    assert {interval.end - interval.start for interval in intervals} == {length}


# Calendar durations


def calendar_days(timezone: Any, zone: str, first: date, key: str) -> list[Interval]:
    """Return the intervals of runs at midnight on forty days."""
    midnight = pendulum.datetime(first.year, first.month, first.day, tz=zone)
    return [
        run_interval({key: midnight.add(days=number)}, interval=CALENDAR_DAY, timezone=timezone) for number in range(40)
    ]


@pytest.mark.parametrize("timezone_type", [str, ZoneInfo, pendulum.timezone])
@pytest.mark.parametrize("key", ["data_interval_end", "partition_date"])
@given(zone=zones, first=st.dates(date(1990, 1, 1), date(2035, 1, 1)))
@example(zone="Europe/Paris", first=date(2017, 3, 10))
@example(zone="Europe/Paris", first=date(2017, 10, 10))
@example(zone="America/New_York", first=date(2017, 10, 10))
def test_calendar_days_are_contiguous_across_daylight_saving(
    zone: str, first: date, key: str, timezone_type: Callable[[str], Any]
) -> None:
    assert_contiguous(calendar_days(timezone_type(zone), zone, first, key))


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
def test_calendar_days_are_contiguous_if_midnight_is_skipped(zone: str, first: date, key: str) -> None:
    """Daylight saving skips or repeats midnight in these zones."""
    assert_contiguous(calendar_days(ZoneInfo(zone), zone, first, key))


@pytest.mark.parametrize(
    ("end", "hours"), [("2017-03-26T22:00Z", 23), ("2017-10-29T23:00Z", 25), ("2017-09-03T22:00Z", 24)]
)
def test_calendar_day_of_paris_has_23_to_25_hours(end: str, hours: int) -> None:
    context = {"logical_date": datetime.fromisoformat(end)}
    interval = run_interval(context, interval=CALENDAR_DAY, timezone="Europe/Paris")
    assert interval.end - interval.start == timedelta(hours=hours)
    assert run_interval(context, interval=DAY, timezone="Europe/Paris").start == interval.end - DAY


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
def test_calendar_duration_uses_every_unit(length: pendulum.Duration, start: datetime) -> None:
    end = datetime(2017, 3, 28, tzinfo=UTC)
    assert run_interval({"logical_date": end}, interval=length) == (start, end)


def test_calendar_day_without_timezone_is_a_utc_day() -> None:
    assert run_interval({"logical_date": FOURTH}, interval=CALENDAR_DAY) == (THIRD, FOURTH)
