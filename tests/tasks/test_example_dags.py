"""The example DAGs, each run by Airflow."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import databases
import pytest
from airflow_runs import AIRFLOW_3, set_on
from transfers import read_file, set_wrong_password

from airflow_provider_angus.transfers import AngusToSqlOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import DAG
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

TESTS = Path(__file__).resolve().parents[1]
EXAMPLES = TESTS.parent / "example_dags"

pytestmark = pytest.mark.usefixtures("connection")


def load_example(airflow: Airflow, name: str, dag_id: str | None = None) -> DAG:
    """Return a DAG of an example, without retries, which would take minutes."""
    dag = airflow.load(EXAMPLES / f"{name}.py", dag_id or name)
    for task in dag.tasks:
        set_on(task, "retries", 0)
    return dag


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> databases.Database:
    """The database of the examples. The examples write files into ``tmp_path / "audience"``."""
    (database,) = databases.made("sqlite", tmp_path, monkeypatch)
    monkeypatch.setenv("AIRFLOW_CONN_AUDIENCE_DB", os.environ["AIRFLOW_CONN_SQLITE_TESTS"])
    monkeypatch.setenv("ANGUS_FOLDER", str(tmp_path / "audience"))
    database.table = "audience_by_hour"
    return database


@pytest.fixture
def cameras(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The three streams that the connections of the examples lead to."""
    streams = list(sandbox.streams)
    for number, stream in enumerate(streams[1:], 2):
        monkeypatch.setenv(f"AIRFLOW_CONN_ANGUS_SHOP_{number}", sandbox.connection_json(stream))
    return streams


def test_examples_are_all_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert [path.stem for path in EXAMPLES.glob("*.py") if f'"{path.stem}"' not in tests] == []


def test_daily_audience_fetches_and_sums_up_its_day(airflow: Airflow, sandbox: Sandbox) -> None:
    outcomes = airflow.run_dag(
        load_example(airflow, "angus_daily_audience"),
        logical_date=datetime(2026, 11, 21, tzinfo=UTC),
    )
    hours = outcomes["fetch_hours"].returned
    assert (hours[0]["bucket_start"], hours[-1]["bucket_end"]) == (
        "2026-11-20T00:00:00+00:00",
        "2026-11-21T00:00:00+00:00",
    )
    day = outcomes["sum_up"].returned
    assert day["passing_by"] == sum(hour["passing_by"] for hour in hours) > 0
    assert f"the day: {day['passing_by']} passed by" in airflow.log
    assert sandbox.count("entities") == 2


def test_daily_audience_rerun_returns_same_rows(airflow: Airflow) -> None:
    dag = load_example(airflow, "angus_daily_audience")
    first, second = (airflow.run_dag(dag, logical_date=datetime(2026, 11, 21, tzinfo=UTC)) for _ in range(2))
    assert first["fetch_hours"].returned == second["fetch_hours"].returned


def test_daily_to_sql_loads_each_day_of_each_camera_once(
    airflow: Airflow, database: databases.Database, cameras: list[str]
) -> None:
    dag = load_example(airflow, "angus_daily_to_sql")
    for day in (20, 21, 20):
        outcomes = airflow.run_dag(dag, logical_date=datetime(2026, 11, day, tzinfo=UTC))
        assert {outcome.state for outcome in outcomes.values()} == {"success"}
    assert outcomes["load_day"].returned["rows"] == 72
    assert database.run(
        "SELECT stream, COUNT(*), COUNT(DISTINCT bucket_start), MIN(bucket_start), MAX(bucket_end) "
        "FROM audience_by_hour GROUP BY stream ORDER BY stream"
    ) == [(stream, 48, 48, "2026-11-19T00:00:00+00:00", "2026-11-21T00:00:00+00:00") for stream in sorted(cameras)]


def test_daily_to_sql_refused_camera_keeps_rows_of_others(
    airflow: Airflow,
    sandbox: Sandbox,
    database: databases.Database,
    cameras: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_wrong_password(sandbox, cameras[2], "angus_shop_3", monkeypatch)
    dag = load_example(airflow, "angus_daily_to_sql")
    outcomes = airflow.run_dag(dag, logical_date=datetime(2026, 11, 20, tzinfo=UTC))
    assert outcomes["load_day"].state == "failed"
    assert "1 of 3 streams failed:\n- angus_shop_3: " in str(outcomes["load_day"].errors[0])
    assert database.count() == 48


@pytest.mark.usefixtures("database")
def test_hourly_files_trigger_the_second_dag(airflow: Airflow, tmp_path: Path) -> None:
    first, second = (
        load_example(airflow, "angus_hourly_files", dag_id) for dag_id in ("angus_hourly_files", "angus_on_hour_file")
    )
    for hour in (21, 22):
        airflow.run_dag(first, logical_date=datetime(2026, 11, 20, hour, tzinfo=UTC))
    files = sorted((tmp_path / "audience").rglob("*.jsonl"))
    assert [str(file.relative_to(tmp_path)) for file in files] == [
        "audience/2026/11/20/20.jsonl",
        "audience/2026/11/20/21.jsonl",
    ]
    (asset,) = first.get_task("write_hour").outlets
    logical_date = None if AIRFLOW_3 else datetime(2026, 11, 20, 23, tzinfo=UTC)
    outcome = airflow.run_dag(second, logical_date=logical_date, triggered_by=asset)["read_hours"]
    counts = [row["passing_by"] for file in files for row in read_file(file, "jsonl")]
    assert outcome.returned == [
        f"2026-11-20T20:00: {counts[0]} passed by",
        f"2026-11-20T21:00: {counts[1]} passed by",
    ]


@pytest.mark.usefixtures("database")
def test_hourly_files_missing_hour_writes_no_file(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.clock.set(datetime(2026, 11, 20, 20, 30, tzinfo=UTC))
    dag = load_example(airflow, "angus_hourly_files")
    outcome = airflow.run_dag(dag, logical_date=datetime(2026, 11, 20, 22, tzinfo=UTC))["write_hour"]
    assert outcome.state == "failed"
    assert "no rows for 2026-11-20T21:00" in str(outcome.errors[0])
    assert not (tmp_path / "audience").exists()


def test_weekly_report_plots_the_week_of_the_table(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database, cameras: list[str]
) -> None:
    week: dict[str, Any] = {"from_date": "2026-11-16", "to_date": "2026-11-23", "time": "by_hour"}
    sandbox.clock.set(datetime(2026, 11, 23, 1, tzinfo=UTC))
    daily = load_example(airflow, "angus_daily_to_sql").get_task("load_day")
    AngusToSqlOperator(
        task_id="load",
        **week,
        metrics=daily.metrics,
        angus_conn_id=daily.angus_conn_id,
        sql_conn_id="audience_db",
        table=database.table,
        create_table=True,
    ).execute({})
    assert database.count() == len(cameras) * 7 * 24
    dag = load_example(airflow, "angus_weekly_report")
    picture = Path(airflow.run_dag(dag, logical_date=datetime(2026, 11, 23, tzinfo=UTC))["draw_week"].returned)
    assert picture.name == "audience-2026-W47.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    axes = {each.get_title(): each for each in create_figure(dag, database).axes}
    drawn = {text.get_text() for text in axes["Gender of interested people"].texts}
    women, men = database.run("SELECT SUM(gender_female), SUM(gender_male) FROM audience_by_hour")[0]
    assert {text.partition(" ")[0] for text in drawn} >= {f"{women:,}", f"{men:,}"}
    assert axes[""].get_xlabel() == "time (UTC)"


def create_figure(dag: Any, database: databases.Database) -> Any:
    """Return the figure that the report's own function creates from the table."""
    module = sys.modules[dag.get_task("draw_week").python_callable.__module__]
    sums = ", ".join(f"SUM({column})" for column in module.COUNTS)
    statement = f"SELECT bucket_start, {sums} FROM audience_by_hour GROUP BY bucket_start"  # noqa: S608 (constants)
    return module.picture(database.run(statement), "A week")


def test_weekly_report_fails_if_the_table_lacks_a_day(
    airflow: Airflow, database: databases.Database, cameras: list[str]
) -> None:
    dag = load_example(airflow, "angus_daily_to_sql")
    airflow.run_dag(dag, logical_date=datetime(2026, 11, 20, tzinfo=UTC))
    assert database.count() == 24 * len(cameras)
    report = load_example(airflow, "angus_weekly_report")
    outcome = airflow.run_dag(report, logical_date=datetime(2026, 11, 23, tzinfo=UTC))["draw_week"]
    assert "The table has 24 hours of the week" in str(outcome.errors[0])
