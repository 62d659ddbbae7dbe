"""The partition events of transfers: one for each complete hour or day that a run changed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow_runs import extras_of, partition_keys_of
from airflow_versions import only_airflow_3_3
from changing_angus import set_passing_by
from transfers import DAILY, ONE_RETRY, load, set_wrong_password, to_file, to_table

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.transfers import AngusToSqlOperator

if TYPE_CHECKING:
    from pathlib import Path

    import databases
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = [only_airflow_3_3, pytest.mark.usefixtures("connection")]

HOURS = [f"2026-11-20T{hour:02}:00:00" for hour in range(24)]


class Emitting:
    """Runs loads of 20 November 2026 and returns the keys of the partitions that each emits."""

    def __init__(self, airflow: Airflow) -> None:
        self.airflow, self.asset = airflow, Asset(f"angus://{uuid.uuid4().hex}/entities")
        self.outcome: Outcome

    def keys(self, build: Any, /, *arguments: Any, schedule: Any = DAILY, **parameters: Any) -> list[Any]:
        """Run a task that ``build`` creates, by default with partitions by the hour; return the new keys."""
        before = partition_keys_of(self.asset)
        parameters = {"partition_events": "by_hour", "outlets": [self.asset]} | parameters
        run = {"logical_date": parameters.pop("logical_date", datetime(2026, 11, 21, tzinfo=UTC))}
        self.outcome = load(self.airflow, lambda: build(*arguments, **parameters), schedule=schedule, **run)
        after = partition_keys_of(self.asset)
        for key in before:
            after.remove(key)
        return after


@pytest.fixture
def emitting(airflow: Airflow) -> Emitting:
    return Emitting(airflow)


def test_partition_events_of_table_name_added_and_changed_hours(
    emitting: Emitting, sandbox: Sandbox, database: databases.Database
) -> None:
    assert emitting.keys(to_table, database) == HOURS
    assert "Complete partitions (by_hour): 24 changed, 2026-11-20T00:00:00 .. 2026-11-20T23:00:00" in (
        emitting.airflow.log
    )
    # All events of a run have its manifest.
    assert extras_of(emitting.asset) == [emitting.outcome.returned] * 24
    assert emitting.keys(to_table, database) == []
    assert "Complete partitions (by_hour): none changed" in emitting.airflow.log
    sandbox.change_next(set_passing_by(d20h07=9999, d20h09=9998), on="entities")
    assert emitting.keys(to_table, database) == [HOURS[7], HOURS[9]]


def test_partition_events_of_lookback_name_late_hours(
    emitting: Emitting, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    sandbox.change_next(set_passing_by(d20h07=9999, d20h09=None), on="entities")
    keys = emitting.keys(to_table, sqlite, on_incomplete="warn")
    assert keys == [hour for hour in HOURS if hour != HOURS[9]]
    next_day = [hour.replace("-20T", "-21T") for hour in HOURS]
    run = {"logical_date": datetime(2026, 11, 22, tzinfo=UTC), "lookback": timedelta(days=1)}
    sandbox.clock.set(datetime(2026, 11, 22, 1, tzinfo=UTC))
    assert emitting.keys(to_table, sqlite, **run) == [HOURS[7], HOURS[9], *next_day]


@pytest.mark.parametrize("time", ["by_hour", "by_day"])
def test_partition_events_by_day_name_complete_days(emitting: Emitting, sqlite: databases.Database, time: str) -> None:
    """The interval cuts the first and the last day."""
    dates = {"from_date": "2026-11-16T01:00Z", "to_date": "2026-11-20T23:00Z"}
    keys = emitting.keys(to_table, sqlite, time=time, partition_events="by_day", **dates)
    assert keys == [f"2026-11-{day}T00:00:00" for day in (17, 18, 19)]


def test_partition_events_without_an_hour_of_a_stream_omit_its_day(
    emitting: Emitting, sandbox: Sandbox, sqlite: databases.Database, shops: list[str]
) -> None:
    arguments: dict[str, Any] = {"angus_conn_id": shops, "on_incomplete": "warn", "partition_events": "by_day"}
    sandbox.change_next(set_passing_by(d20h07=None), on="entities")
    assert emitting.keys(to_table, sqlite, **arguments) == []
    assert "Complete partitions (by_day): none changed" in emitting.airflow.log
    assert emitting.keys(to_table, sqlite, **arguments) == ["2026-11-20T00:00:00"]
    assert emitting.keys(to_table, sqlite, **arguments) == []


def test_partition_events_of_day_that_has_not_ended_omit_its_last_hour(
    emitting: Emitting, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    """At 01:01 in real time, an hour that ended one minute before has not settled."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    sandbox.clock.set(now + timedelta(hours=3))
    dates = {"from_date": now - timedelta(hours=4), "to_date": now + timedelta(hours=2)}
    keys = emitting.keys(to_table, sqlite, on_incomplete="warn", settle=timedelta(hours=1, minutes=30), **dates)
    hours = [f"{now - timedelta(hours=hours):%Y-%m-%dT%H:00:00}" for hours in (4, 3, 2)]
    # Half past the hour, one more hour has settled.
    assert keys in (hours[:2], hours)


def test_partition_events_of_skipped_stream_name_hours_of_others(
    emitting: Emitting, sandbox: Sandbox, sqlite: databases.Database, shops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"angus_conn_id": shops, "on_stream_error": "skip"}
    with monkeypatch.context() as wrong:
        set_wrong_password(sandbox, list(sandbox.streams)[1], shops[1], wrong)
        assert emitting.keys(to_table, sqlite, **arguments) == HOURS
    assert emitting.keys(to_table, sqlite, **arguments) == HOURS
    assert emitting.keys(to_table, sqlite, **arguments) == []


class FailsAfterItsCommit(AngusToSqlOperator):
    """A transfer whose first try fails after it loaded the rows, as if its worker was killed."""

    def execute(self, context: Any) -> Any:
        result = super().execute(context)
        if context["ti"].try_number == 1:
            raise ConnectionError
        return result


def test_partition_events_of_retry_name_hours_of_failed_try(emitting: Emitting, sqlite: databases.Database) -> None:
    """The rows are in the table, but no event told so."""
    load_hours = {"sql_conn_id": sqlite.conn_id, "table": sqlite.table, "create_table": True}
    arguments = {"task_id": "load", "metrics": "passing_by", "time": "by_hour"} | load_hours | ONE_RETRY
    assert emitting.keys(FailsAfterItsCommit, **arguments) == HOURS
    assert (emitting.outcome.tries, emitting.outcome.returned["unchanged"]) == (2, 24)


def test_partition_events_of_retry_after_a_try_without_writes_are_none(
    emitting: Emitting, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    assert emitting.keys(to_table, sqlite) == HOURS
    sandbox.change_next(set_passing_by(d20h07=None), on="entities")
    assert emitting.keys(to_table, sqlite, **ONE_RETRY) == []
    assert (emitting.outcome.state, emitting.outcome.tries) == ("success", 2)


class FailsBeforeItsEvents(AngusToSqlOperator):
    """A transfer whose first try fails after it loaded the rows and before it ends."""

    def _attach_asset_extra(self, context: Any, extra: Any) -> None:
        if context["ti"].try_number == 1:
            raise ConnectionError
        super()._attach_asset_extra(context, extra)


def test_partition_events_of_cleared_run_name_hours_of_failed_try(
    emitting: Emitting, sqlite: databases.Database
) -> None:
    """The task has no retries. If the run is cleared again, it has nothing to tell."""
    load_hours = {"sql_conn_id": sqlite.conn_id, "table": sqlite.table, "create_table": True}
    events = {"partition_events": "by_hour", "outlets": [emitting.asset]}
    day = {"logical_date": datetime(2026, 11, 21, tzinfo=UTC)}
    with DAG(dag_id=f"test_{uuid.uuid4().hex}", schedule=DAILY, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        FailsBeforeItsEvents(task_id="load", metrics="passing_by", time="by_hour", **load_hours, **events)
    assert emitting.airflow.run_dag(dag, **day)["load"].state == "failed"
    assert (sqlite.count(), partition_keys_of(emitting.asset)) == (24, [])
    for tries in (2, 3):
        outcome = emitting.airflow.run_again(dag, **day)["load"]
        assert (outcome.state, outcome.tries, outcome.returned["unchanged"]) == ("success", tries, 24)
        assert partition_keys_of(emitting.asset) == HOURS


@pytest.mark.parametrize("ending", ["jsonl", "csv.gz", "parquet"])
def test_partition_events_of_file_name_hours_unless_it_is_as_before(
    emitting: Emitting, sandbox: Sandbox, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"day.{ending}"
    assert emitting.keys(to_file, path) == HOURS
    assert emitting.keys(to_file, path) == []
    sandbox.change_next(set_passing_by(d20h07=9999), on="entities")
    assert emitting.keys(to_file, path) == HOURS


def test_partition_events_of_partitioned_run_replace_its_own_key(
    emitting: Emitting, sqlite: databases.Database
) -> None:
    """Airflow would emit the run's key, also for an unchanged rerun."""
    from airflow.sdk import CronPartitionTimetable

    def keys() -> list[Any]:
        before = partition_keys_of(emitting.asset)
        emitting.airflow.run(
            lambda: to_table(sqlite, partition_events="by_hour", interval=timedelta(hours=2), outlets=[emitting.asset]),
            schedule=CronPartitionTimetable("0 * * * *", timezone="UTC"),
            logical_date=None,
            partition_key="the-key-of-the-run",
            partition_date=datetime(2026, 11, 20, 4, tzinfo=UTC),
        )
        return partition_keys_of(emitting.asset)[len(before) :]

    assert keys() == HOURS[4:6]
    assert keys() == []


def test_partition_events_are_off_by_default(emitting: Emitting, sqlite: databases.Database) -> None:
    assert emitting.keys(to_table, sqlite, partition_events=None) == [None]


def test_partition_events_of_outlets_that_are_files_are_ignored(emitting: Emitting, sqlite: databases.Database) -> None:
    from airflow.providers.common.compat.lineage.entities import File

    assert emitting.keys(to_table, sqlite, outlets=[File(url="file:///data/day.csv"), emitting.asset]) == HOURS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": "{{ 'global' }}"}, "partition_events: expected buckets that fit into partitions by_hour, got "),
        ({"from_date": "2020-01-01", "to_date": "2026-11-20"}, "at most 2500 partitions by_hour, got 60360."),
    ],
    ids=["rendered global", "too long"],
)
def test_partition_events_of_invalid_run_send_no_request(
    emitting: Emitting, sandbox: Sandbox, sqlite: databases.Database, arguments: dict[str, Any], message: str
) -> None:
    assert emitting.keys(to_table, sqlite, **arguments, **ONE_RETRY) == []
    (error,) = emitting.outcome.errors
    assert isinstance(error, AngusRequestError)
    assert message in str(error)
    assert sandbox.count() == 0
