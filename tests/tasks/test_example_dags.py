"""The example DAGs, each run by Airflow."""

from __future__ import annotations

import itertools
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import databases
import pendulum
import pytest
from airflow_runs import set_on
from airflow_versions import AIRFLOW_3
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


def test_monthly_audit_loads_the_hours_that_differ(
    airflow: Airflow, database: databases.Database, cameras: list[str]
) -> None:
    daily, audit = (load_example(airflow, name) for name in ("angus_daily_to_sql", "angus_monthly_audit"))
    airflow.run_dag(daily, logical_date=datetime(2026, 10, 21, tzinfo=UTC))
    database.run("UPDATE audience_by_hour SET passing_by = -1 WHERE bucket_start LIKE '2026-10-20T07:00%'")
    report = airflow.run_dag(audit, logical_date=datetime(2026, 11, 2, 7, tzinfo=UTC))["audit_month"].returned
    hours = len(cameras) * 31 * 24
    assert (report["from_date"][:10], report["to_date"][:10]) == ("2026-10-01", "2026-11-01")
    assert (report["rows"], report["differing"], report["equal"]) == (hours, len(cameras), len(cameras) * 23)
    assert database.count() == hours
    assert database.run("SELECT COUNT(*) FROM audience_by_hour WHERE passing_by < 0") == [(0,)]


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
    """The operator refuses the hour also without the sensor before it."""
    sandbox.clock.set(datetime(2026, 11, 20, 20, 30, tzinfo=UTC))
    dag = load_example(airflow, "angus_hourly_files")
    set_on(dag.get_task("wait_for_hour"), "timeout", 0)
    set_on(dag.get_task("write_hour"), "trigger_rule", "all_done")
    outcomes = airflow.run_dag(dag, logical_date=datetime(2026, 11, 20, 22, tzinfo=UTC))
    assert {outcome.state for outcome in outcomes.values()} == {"failed"}
    assert "missing 1 bucket (2026-11-20T21:00:00+00:00)" in str(outcomes["write_hour"].errors[0])
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
    picture = Path(airflow.run_dag(dag, logical_date=A_TUESDAY)["draw_week"].returned)
    assert picture.name == "audience-2026-W47.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "504 of 504 hours are loaded. Missing: none." in airflow.log
    axes = {each.get_title() or each.get_title("left"): each for each in draw_report(dag, database, cameras).axes}
    drawn = {text.get_text() for text in axes["Gender of interested people"].texts}
    women, men = database.run("SELECT SUM(gender_female), SUM(gender_male) FROM audience_by_hour")[0]
    assert {text.partition(" ")[0] for text in drawn} >= {f"{women:,}", f"{men:,}"}
    assert axes["People over time"].get_xlabel() == "time (UTC)"
    ((zero,),) = database.run("SELECT COUNT(*) FROM audience_by_hour WHERE passing_by = 0")
    assert count_states(axes["Hours in the table"]) == [504 - zero, zero, 0]


A_TUESDAY = datetime(2026, 11, 24, tzinfo=UTC)
HOURS_OF_WEEK = 7 * 24


def draw_report(dag: Any, rows: databases.Database | list[Any], streams: list[str]) -> Any:
    """Return the figure that the report's own function draws from rows, or from the table."""
    module = sys.modules[dag.get_task("draw_week").python_callable.__module__]
    if not isinstance(rows, list):
        columns = f"stream, bucket_start, {', '.join(module.COUNTS)}"
        rows = rows.run(f"SELECT {columns} FROM audience_by_hour")  # noqa: S608 (constants)
    return module.picture(rows, sorted(streams), pendulum.datetime(2026, 11, 16), HOURS_OF_WEEK)


def count_states(axes: Any) -> list[int]:
    """Return the numbers of loaded, zero and missing hours in the panel of the hours."""
    (mesh,) = axes.collections[:1]
    return [int((mesh.get_array() == state).sum()) for state in range(3)]


def test_weekly_report_shows_missing_hours(airflow: Airflow, database: databases.Database, cameras: list[str]) -> None:
    daily, report = (load_example(airflow, name) for name in ("angus_daily_to_sql", "angus_weekly_report"))
    airflow.run_dag(daily, logical_date=datetime(2026, 11, 20, tzinfo=UTC))
    first, second, third = sorted(cameras)
    # The first camera was last seen in the week before.
    database.run(
        f"UPDATE {database.table} SET bucket_start = REPLACE(bucket_start, '11-19', '11-12') "  # noqa: S608 (test data)
        f"WHERE stream = '{first}'"
    )
    outcome = airflow.run_dag(report, logical_date=A_TUESDAY)["draw_week"]
    assert outcome.state == "success"
    assert f"48 of 504 hours are loaded. Missing: {first} 168, {second} 144, {third} 144." in airflow.log
    coverage = draw_report(report, database, cameras).axes[1]
    assert sum(count_states(coverage)[:2]) == 48
    assert count_states(coverage)[2] == 456
    assert [text.get_text() for text in coverage.get_legend().get_texts()] == [
        *("loaded", "zero: no people", "missing")
    ]
    database.run(f"DELETE FROM {database.table}")  # noqa: S608 (test data)
    outcome = airflow.run_dag(report, logical_date=A_TUESDAY)["draw_week"]
    assert "The table has no rows of the last five weeks." in str(outcome.errors[0])


@pytest.mark.parametrize("cameras", [1, 30])
def test_weekly_report_is_readable_for_few_and_many_cameras(airflow: Airflow, cameras: int) -> None:
    """The names of cameras do not overlap, and one missing hour is visible."""
    report = load_example(airflow, "angus_weekly_report")
    streams = [f"a4c8e2f0-5b7d-4e19-8c3a-{number:012}" for number in range(cameras)]
    hours = [datetime(2026, 11, 16, tzinfo=UTC) + timedelta(hours=hour) for hour in range(HOURS_OF_WEEK - 1)]
    rows = [(stream, str(hour), *range(9)) for stream in streams for hour in hours]
    figure = draw_report(report, rows, streams)
    figure.draw_without_rendering()
    coverage = figure.axes[1]
    assert count_states(coverage) == [0, (HOURS_OF_WEEK - 1) * cameras, cameras]
    names = [label.get_window_extent() for label in coverage.get_yticklabels()]
    assert [label.get_text() for label in coverage.get_yticklabels()] == streams
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(names))
    assert min(name.x0 for name in names) >= 0
    assert coverage.get_window_extent().width / HOURS_OF_WEEK >= 3  # pixels
    assert coverage.get_window_extent().height / cameras >= 15  # pixels
