"""The interval that AngusEntitiesOperator fetches, for each kind of DAG run and for explicit dates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.timetables.interval import DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable
from airflow_versions import AIRFLOW_3, only_airflow_2, only_airflow_3, only_airflow_3_3
from transfers import DAILY, ONE_RETRY, fetch

from airflow_provider_angus.exceptions import AngusIntervalError

if TYPE_CHECKING:
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
AFTERNOON = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
TRIGGER_DAILY = CronTriggerTimetable("@daily", timezone="UTC")

pytestmark = pytest.mark.usefixtures("connection")


def interval_of(outcome: Outcome) -> tuple[str, str]:
    """Return the interval that the rows cover, to the minute."""
    return outcome.returned[0]["bucket_start"][:16], outcome.returned[-1]["bucket_end"][:16]


@pytest.mark.parametrize(
    "schedule",
    [DAILY, DeltaDataIntervalTimetable(timedelta(days=1))],
    ids=["CronDataIntervalTimetable", "DeltaDataIntervalTimetable"],
)
def test_operator_run_with_data_interval_fetches_it(airflow: Airflow, schedule: object) -> None:
    outcome = airflow.run(fetch, schedule=schedule, logical_date=MIDNIGHT)["fetch"]
    assert (outcome.state, len(outcome.returned)) == ("success", 24)
    assert interval_of(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_operator_run_with_data_interval_ignores_interval(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(interval=timedelta(hours=3)), schedule=DAILY)["fetch"]
    assert interval_of(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_operator_manual_run_fetches_last_full_interval(airflow: Airflow) -> None:
    outcome = airflow.run(fetch, schedule=DAILY, logical_date=AFTERNOON)["fetch"]
    assert interval_of(outcome) == ("2026-11-19T00:00", "2026-11-20T00:00")


@only_airflow_3
def test_operator_at_daily_on_airflow_3_fails_at_once(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: fetch(**ONE_RETRY), schedule="@daily")["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    (error,) = outcome.errors
    assert isinstance(error, AngusIntervalError)
    assert "empty data interval" in str(error)
    assert "CronDataIntervalTimetable" in str(error)
    assert "interval=timedelta" in str(error)
    assert "from_date and to_date" in str(error)
    assert sandbox.count() == 0


@only_airflow_2
def test_operator_at_daily_on_airflow_2_fetches_its_day(airflow: Airflow) -> None:
    assert interval_of(airflow.run(fetch, schedule="@daily")["fetch"]) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_operator_empty_data_interval_fetches_interval_before_it(airflow: Airflow) -> None:
    schedule = "@daily" if AIRFLOW_3 else TRIGGER_DAILY
    outcome = airflow.run(lambda: fetch(interval=timedelta(days=1)), schedule=schedule)["fetch"]
    assert interval_of(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_operator_trigger_timetable_without_interval_fails(airflow: Airflow) -> None:
    outcome = airflow.run(fetch, schedule=TRIGGER_DAILY)["fetch"]
    assert isinstance(outcome.errors[0], AngusIntervalError)


def test_operator_calendar_day_at_end_of_dst_has_25_hours(airflow: Airflow) -> None:
    """``pendulum.duration(days=1)`` is a day in the time zone of the schedule."""
    outcome = airflow.run(
        lambda: fetch(interval=pendulum.duration(days=1)),
        schedule=CronTriggerTimetable("@daily", timezone="Europe/Paris"),
        dag_args={"start_date": pendulum.datetime(2026, 1, 1, tz="Europe/Paris")},
        logical_date=pendulum.datetime(2026, 10, 26, tz="Europe/Paris"),
    )["fetch"]
    assert len(outcome.returned) == 25
    assert interval_of(outcome) == ("2026-10-24T22:00", "2026-10-25T23:00")


@only_airflow_3
def test_operator_run_without_logical_date_fails_at_once(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: fetch(**ONE_RETRY), logical_date=None)["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusIntervalError)
    assert "no data interval" in str(outcome.errors[0])
    assert sandbox.count() == 0


@only_airflow_3
def test_operator_run_without_logical_date_ends_at_run_after(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(interval=timedelta(hours=2)), logical_date=None, run_after=MIDNIGHT)["fetch"]
    assert interval_of(outcome) == ("2026-11-20T22:00", "2026-11-21T00:00")


def test_operator_manual_run_ends_at_logical_date(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(interval=timedelta(hours=2)), logical_date=MIDNIGHT)["fetch"]
    assert interval_of(outcome) == ("2026-11-20T22:00", "2026-11-21T00:00")


@only_airflow_3
def test_operator_asset_triggered_run_fetches_explicit_dates(airflow: Airflow) -> None:
    outcome = airflow.run(
        lambda: fetch(from_date="{{ dag_run.conf.from_date }}", to_date="{{ dag_run.conf.to_date }}"),
        logical_date=None,
        conf={"from_date": "2026-11-20T06:00:00+00:00", "to_date": "2026-11-20T08:00:00+00:00"},
    )["fetch"]
    assert interval_of(outcome) == ("2026-11-20T06:00", "2026-11-20T08:00")


@only_airflow_3_3
@pytest.mark.parametrize("interval", [timedelta(days=1), None])
def test_operator_partitioned_run_needs_interval(airflow: Airflow, interval: timedelta | None) -> None:
    from airflow.sdk import CronPartitionTimetable

    outcome = airflow.run(
        lambda: fetch(interval=interval),
        schedule=CronPartitionTimetable("@daily", timezone="UTC"),
        logical_date=None,
        partition_key="2026-11-18",
        partition_date=datetime(2026, 11, 18, tzinfo=UTC),
    )["fetch"]
    if interval:
        assert interval_of(outcome) == ("2026-11-18T00:00", "2026-11-19T00:00")
    else:
        assert "partition date (2026-11-18" in str(outcome.errors[0])


@only_airflow_3_3
@pytest.mark.parametrize(
    ("period", "length", "key", "expected"),
    [
        # Daylight saving time ends in Paris on 25 October 2026.
        ("Day", {"days": 1}, "2026-10-25", ("2026-10-24T22:00", "2026-10-25T23:00")),
        ("Week", {"weeks": 1}, "2026-10-19 (W43)", ("2026-10-18T22:00", "2026-10-25T23:00")),
        ("Month", {"months": 1}, "2026-10", ("2026-09-30T22:00", "2026-10-31T23:00")),
    ],
    ids=["day", "week", "month"],
)
def test_operator_rolled_up_run_fetches_calendar_period(
    airflow: Airflow, period: str, length: dict[str, int], key: str, expected: tuple[str, str]
) -> None:
    """The mapper's time zone is the DAG's, in which a calendar interval counts."""
    from airflow import sdk
    from airflow.partition_mappers import temporal

    mapper, window = f"StartOf{period}Mapper", f"{period}Window"
    outcome = airflow.run(
        lambda: fetch(interval=pendulum.duration(**length)),
        schedule=sdk.PartitionedAssetTimetable(
            assets=sdk.Asset("hours"),
            default_partition_mapper=sdk.RollupMapper(
                upstream_mapper=getattr(sdk, mapper)(timezone="Europe/Paris"), window=getattr(sdk, window)()
            ),
        ),
        dag_args={"start_date": pendulum.datetime(2026, 1, 1, tz="Europe/Paris")},
        logical_date=None,
        partition_key=key,
        # The scheduler asks the mapper, too.
        partition_date=getattr(temporal, mapper)(timezone="Europe/Paris").to_partition_date(key),
    )["fetch"]
    assert interval_of(outcome) == expected


@pytest.mark.parametrize(
    ("from_date", "to_date"),
    [
        ("2026-11-18T06:00:00+00:00", "2026-11-18T08:00:00+00:00"),
        ("2026-11-18T07:00:00+01:00", "2026-11-18T09:00:00+01:00"),
        ("2026-11-18 06:00", "2026-11-18 08:00"),
        (datetime(2026, 11, 18, 6, tzinfo=UTC), datetime(2026, 11, 18, 8)),  # noqa: DTZ001 (naive is UTC)
        (pendulum.datetime(2026, 11, 18, 7, tz="Europe/Paris"), pendulum.datetime(2026, 11, 18, 8, tz="UTC")),
        (
            "{{ data_interval_start - macros.timedelta(hours=42) }}",
            "{{ data_interval_start - macros.timedelta(hours=40) }}",
        ),
    ],
    ids=["UTC text", "text with offset", "naive text", "datetime", "pendulum", "template"],
)
def test_operator_explicit_dates_override_data_interval(airflow: Airflow, from_date: Any, to_date: Any) -> None:
    outcome = airflow.run(lambda: fetch(from_date=from_date, to_date=to_date), schedule=DAILY)["fetch"]
    assert interval_of(outcome) == ("2026-11-18T06:00", "2026-11-18T08:00")


def test_operator_dates_without_time_are_utc_midnights(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(from_date=date(2026, 11, 18), to_date="{{ '2026-11-19' }}"))["fetch"]
    assert interval_of(outcome) == ("2026-11-18T00:00", "2026-11-19T00:00")


def test_operator_accepts_dates_rendered_as_native_objects(airflow: Airflow) -> None:
    outcome = airflow.run(
        lambda: fetch(from_date="{{ data_interval_start }}", to_date="{{ data_interval_end }}"),
        schedule=DAILY,
        dag_args={"render_template_as_native_obj": True},
    )["fetch"]
    assert interval_of(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_operator_date_rendered_as_none_fails_at_once(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: fetch(from_date="{{ none }}", to_date="2026-11-19", **ONE_RETRY))["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert "from_date: expected an ISO 8601 date, got str 'None'" in str(outcome.errors[0])
    assert sandbox.count() == 0
