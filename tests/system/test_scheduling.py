"""Runs of a scheduler and of a backfill: each loads exactly its own interval."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import AIRFLOW_3, only_airflow_2, only_airflow_3

if TYPE_CHECKING:
    from live_airflow import LiveAirflow

    from airflow_provider_angus.sandbox import Sandbox

#: The number of runs of each DAG in ``dags/scheduling.py``.
RUNS = {"scheduled": 1, "daily": 1, "mapped": 1, "backfilled": 7, "cleared": 1}
#: Example DAGs. The number of their runs depends on the time.
EXAMPLES = ["angus_hourly_files", "angus_on_hour_file"]
HOURS = [f"2026-11-20T{hour:02}:00:00+00:00" for hour in range(24)]
ALWAYS = 10_000


@pytest.fixture(scope="module")
def scheduled(live: LiveAirflow) -> LiveAirflow:
    """An Airflow in which all runs have ended, including those of the backfill."""
    parsed = "SELECT 1 FROM serialized_dag WHERE dag_id = 'backfilled'"
    assert live.wait_until(lambda: bool(live.query(parsed)), 120)
    first, last = "2026-11-02", "2026-11-08"
    if AIRFLOW_3:
        live.run("backfill", "create", "--dag-id", "backfilled", "--from-date", first, "--to-date", last)
    else:
        live.run("dags", "backfill", "--start-date", first, "--end-date", last, "backfilled")
    assert live.wait_until(lambda: all(len(final_states(live, dag_id)) == runs for dag_id, runs in RUNS.items()), 240)
    # An hour settles two minutes after its end. The example's sensor checks each minute.
    assert live.wait_until(lambda: all(final_states(live, dag_id) for dag_id in EXAMPLES), 300)
    return live


def final_states(live: LiveAirflow, dag_id: str) -> list[str]:
    """Return the states of a DAG's runs that have ended."""
    found = live.query("SELECT state FROM dag_run WHERE dag_id = ? AND state IN ('success', 'failed')", dag_id)
    return [state for (state,) in found]


def return_values(live: LiveAirflow, dag_id: str) -> list[Any]:
    """Return the return values of a DAG with one task, in the order of runs and map indexes."""
    found = live.query(
        "SELECT value FROM xcom WHERE (dag_id, key) = (?, 'return_value') ORDER BY run_id, map_index", dag_id
    )
    return [value if AIRFLOW_3 else json.loads(bytes(value)) for (value,) in found]


def test_scheduled_run_fetches_its_interval(scheduled: LiveAirflow, shops: Sandbox) -> None:
    assert final_states(scheduled, "scheduled") == ["success"]
    (rows,) = return_values(scheduled, "scheduled")
    assert [(row["stream"], row["bucket_start"]) for row in rows] == [("scheduled", hour) for hour in HOURS]
    requested = {
        (call.query["from_date"], call.query["to_date"])
        for call in shops.calls
        if call.client_id == "scheduled" and call.endpoint == "entities"
    }
    assert requested == {("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")}


@only_airflow_3
def test_daily_run_without_interval_fails_at_once(scheduled: LiveAirflow, shops: Sandbox) -> None:
    """The error names the fix, ``interval=``, and no request is sent."""
    task = scheduled.task("daily", "fetch")
    assert (task.state, task.tries) == ("failed", 1)
    assert "AngusIntervalError" in task.worker_log
    assert "interval=" in task.worker_log
    assert not [call for call in shops.calls if call.client_id == "daily"]


@only_airflow_2
def test_daily_run_fetches_its_interval(scheduled: LiveAirflow) -> None:
    (rows,) = return_values(scheduled, "daily")
    assert [row["bucket_start"] for row in rows] == HOURS


def test_backfill_of_seven_days_loads_each_day_once(scheduled: LiveAirflow) -> None:
    assert final_states(scheduled, "backfilled") == ["success"] * 7
    loaded = scheduled.query(
        "SELECT stream, CAST(bucket_start AT TIME ZONE 'UTC' AS date), count(*), count(DISTINCT bucket_start) "
        "FROM a_week GROUP BY 1, 2 ORDER BY 2"
    )
    days = [datetime(2026, 11, day, tzinfo=UTC).date() for day in range(2, 9)]
    assert loaded == [("backfilled", day, 24, 24) for day in days]


def test_mapped_task_fetches_each_stream(scheduled: LiveAirflow) -> None:
    assert final_states(scheduled, "mapped") == ["success"]
    fetched = return_values(scheduled, "mapped")
    assert [[row["bucket_start"] for row in rows] for rows in fetched] == [HOURS] * 3
    assert [{row["stream"] for row in rows} for rows in fetched] == [{"shop_1"}, {"shop_2"}, {"shop_3"}]


def test_asset_event_of_file_triggers_reader(scheduled: LiveAirflow) -> None:
    """``angus_hourly_files`` writes a file. Its asset event triggers ``angus_on_hour_file``, which reads the file."""
    written = return_values(scheduled, "angus_hourly_files")[0]
    start = datetime.fromisoformat(written["from_date"])
    assert datetime.fromisoformat(written["to_date"]) == start + timedelta(hours=1)
    ((run_type,),) = scheduled.query(
        "SELECT run_type FROM dag_run WHERE dag_id = 'angus_on_hour_file' ORDER BY id LIMIT 1"
    )
    assert run_type in {"asset_triggered", "dataset_triggered"}
    (line,) = return_values(scheduled, "angus_on_hour_file")[0]
    (hour,) = map(json.loads, Path(written["path"].removeprefix("file://")).read_text().splitlines())
    assert hour["stream"] == "files"
    assert line == f"{start:%Y-%m-%dT%H:%M}: {hour['passing_by']} passed by"


def test_cleared_run_replaces_its_rows(scheduled: LiveAirflow, corrected: Sandbox) -> None:
    rows = "SELECT bucket_start, passing_by FROM a_day ORDER BY bucket_start"
    before = scheduled.query(rows)
    assert [start.astimezone(UTC).isoformat() for start, _ in before] == HOURS

    corrected.change_next(add_a_thousand_people, times=ALWAYS, on="entities")
    scheduled.run("tasks", "clear", "cleared", "--yes")
    assert scheduled.wait_until(lambda: final_states(scheduled, "cleared") == ["success"], 120)
    assert scheduled.query(rows) == [(start, people + 1000) for start, people in before]


def add_a_thousand_people(body: dict[str, Any]) -> dict[str, Any]:
    for bucket in body["entities"].values():
        bucket["passing_by"]["value"] += 1000
    return body
