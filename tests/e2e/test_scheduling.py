"""Runs that a real scheduler makes, and a backfill: each loads its own interval, and once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_runs import AIRFLOW_3, only_airflow_2, only_airflow_3

if TYPE_CHECKING:
    from live_airflow import LiveAirflow

    from airflow_provider_angus.sandbox import Sandbox

#: How many runs each DAG of dags/scheduling.py has; those of the examples follow the clock.
RUNS = {"scheduled": 1, "daily": 1, "mapped": 1, "backfilled": 7, "corrected": 1}
EXAMPLES = ["angus_hourly_files", "angus_on_hour_file"]
HOURS = [f"2026-11-20T{hour:02}:00:00+00:00" for hour in range(24)]
FOR_EVER = 10_000


@pytest.fixture(scope="module")
def scheduled(live: LiveAirflow) -> LiveAirflow:
    """An Airflow in which every run has ended, those of the backfill too."""
    parsed = "SELECT 1 FROM serialized_dag WHERE dag_id = 'backfilled'"
    assert live.wait_until(lambda: bool(live.query(parsed)), 120)
    week = ["2026-11-02", "2026-11-08"]
    if AIRFLOW_3:
        live.run("backfill", "create", "--dag-id", "backfilled", "--from-date", week[0], "--to-date", week[1])
    else:
        live.run("dags", "backfill", "--start-date", week[0], "--end-date", week[1], "backfilled")
    assert live.wait_until(lambda: all(len(ended(live, dag_id)) == runs for dag_id, runs in RUNS.items()), 240)
    assert live.wait_until(lambda: all(ended(live, dag_id) for dag_id in EXAMPLES), 120)
    return live


def ended(live: LiveAirflow, dag_id: str) -> list[str]:
    """Return how a DAG's runs have ended, those that have."""
    found = live.query("SELECT state FROM dag_run WHERE dag_id = ? AND state IN ('success', 'failed')", dag_id)
    return [state for (state,) in found]


def returned(live: LiveAirflow, dag_id: str) -> list[Any]:
    """Return what a DAG's one task has returned in each run, in the order of their map indexes."""
    found = live.query(
        "SELECT value FROM xcom WHERE (dag_id, key) = (?, 'return_value') ORDER BY run_id, map_index", dag_id
    )
    return [value if AIRFLOW_3 else json.loads(bytes(value)) for (value,) in found]


def test_a_scheduled_run_fetches_exactly_its_interval(scheduled: LiveAirflow, shops: Sandbox) -> None:
    assert ended(scheduled, "scheduled") == ["success"]
    (rows,) = returned(scheduled, "scheduled")
    assert [(row["stream"], row["bucket_start"]) for row in rows] == [("scheduled", hour) for hour in HOURS]
    asked = {
        (call.query["from_date"], call.query["to_date"])
        for call in shops.calls
        if call.client_id == "scheduled" and call.endpoint == "entities"
    }
    assert asked == {("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")}


@only_airflow_3
def test_a_daily_run_without_an_interval_is_refused_at_once_and_says_what_to_do(
    scheduled: LiveAirflow, shops: Sandbox
) -> None:
    task = scheduled.task("daily", "fetch")
    assert (task.state, task.tries) == ("failed", 1)
    assert "AngusIntervalError" in task.worker_log
    assert "interval=" in task.worker_log
    assert not [call for call in shops.calls if call.client_id == "daily"]


@only_airflow_2
def test_a_daily_run_has_its_interval(scheduled: LiveAirflow) -> None:
    (rows,) = returned(scheduled, "daily")
    assert [row["bucket_start"] for row in rows] == HOURS


def test_a_backfill_of_seven_days_lands_seven_days(scheduled: LiveAirflow) -> None:
    assert ended(scheduled, "backfilled") == ["success"] * 7
    landed = scheduled.query(
        "SELECT stream, CAST(bucket_start AT TIME ZONE 'UTC' AS date), count(*), count(DISTINCT bucket_start) "
        "FROM a_week GROUP BY 1, 2 ORDER BY 2"
    )
    days = [datetime(2026, 11, day, tzinfo=UTC).date() for day in range(2, 9)]
    assert landed == [("backfilled", day, 24, 24) for day in days]


def test_a_mapped_run_fetches_each_of_its_streams(scheduled: LiveAirflow) -> None:
    assert ended(scheduled, "mapped") == ["success"]
    fetched = returned(scheduled, "mapped")
    assert [[row["bucket_start"] for row in rows] for rows in fetched] == [HOURS] * 3
    assert [{row["stream"] for row in rows} for rows in fetched] == [{"shop_1"}, {"shop_2"}, {"shop_3"}]


def test_a_file_s_asset_event_triggers_the_run_that_reads_it(scheduled: LiveAirflow) -> None:
    """The example angus_hourly_files: "angus_hourly_files", "angus_on_hour_file"."""
    written = returned(scheduled, "angus_hourly_files")[0]
    start = datetime.fromisoformat(written["from_date"])
    assert datetime.fromisoformat(written["to_date"]) == start + timedelta(hours=1)
    ((run_type,),) = scheduled.query(
        "SELECT run_type FROM dag_run WHERE dag_id = 'angus_on_hour_file' ORDER BY id LIMIT 1"
    )
    assert run_type in {"asset_triggered", "dataset_triggered"}
    (said,) = returned(scheduled, "angus_on_hour_file")[0]
    (hour,) = map(json.loads, Path(written["path"].removeprefix("file://")).read_text().splitlines())
    assert hour["stream"] == "files"
    assert said == f"{start:%Y-%m-%dT%H:%M}: {hour['passing_by']} passed by"


def test_a_run_that_is_cleared_replaces_what_it_had_landed(scheduled: LiveAirflow, corrected: Sandbox) -> None:
    rows = "SELECT bucket_start, passing_by FROM a_day ORDER BY bucket_start"
    before = scheduled.query(rows)
    assert [start.astimezone(UTC).isoformat() for start, _ in before] == HOURS

    corrected.change_next(with_a_thousand_more, times=FOR_EVER, on="entities")
    scheduled.run("tasks", "clear", "corrected", "--yes")
    assert scheduled.wait_until(lambda: ended(scheduled, "corrected") == ["success"], 120)
    assert scheduled.query(rows) == [(start, people + 1000) for start, people in before]


def with_a_thousand_more(answer: dict[str, Any]) -> dict[str, Any]:
    for bucket in answer["entities"].values():
        bucket["passing_by"]["value"] += 1000
    return answer
