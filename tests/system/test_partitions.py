"""Partition events under a scheduler: the example, whose day a backfill finishes, and a run for each changed day."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import only_airflow_3_3
from changing_angus import set_passing_by
from databases import own_postgres
from live_airflow import LiveAirflow
from sqlalchemy.engine import make_url

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = only_airflow_3_3

HERE = Path(__file__).parent
EXAMPLE = "angus_partitions"
DAY = "2026-11-20"
HOURS = [f"{DAY}T{hour:02}:00:00" for hour in range(24)]


@pytest.fixture(scope="module")
def camera() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def live(camera: Sandbox) -> Iterator[LiveAirflow]:
    """An Airflow with the example and ``partition_dags/``, after a backfill of the day."""
    home = Path(f"{os.environ['AIRFLOW_HOME']}-partitions")
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(HERE / "partition_dags", home / "dags")
    shutil.copy(HERE.parents[1] / "example_dags" / f"{EXAMPLE}.py", home / "dags")
    with own_postgres() as database:
        url = make_url(database).set(drivername="postgres").render_as_string(hide_password=False)
        connections = {"ANGUS_DEFAULT": json.dumps(camera.connection()), "AUDIENCE_DB": url}
        env = {f"AIRFLOW_CONN_{name}": value for name, value in connections.items()}
        live = LiveAirflow(home, home / "dags", env, database)
        try:
            live.start_all()
            parsed = "SELECT DISTINCT dag_id FROM serialized_dag"
            assert live.wait_until(lambda: len(live.query(parsed)) == 4, 120)
            dates = ("--from-date", f"{DAY}T00:00:00", "--to-date", f"{DAY}T23:00:00")
            live.run("backfill", "create", "--dag-id", "angus_hourly_partitions", *dates)
            assert live.wait_until(lambda: bool(summaries(live)), 400), events(live)
            yield live
        finally:
            live.close()


def events(live: LiveAirflow) -> list[Any]:
    """Return the partition keys of the day's events, in order."""
    found = live.query("SELECT partition_key FROM asset_event WHERE partition_key LIKE ? ORDER BY 1", f"{DAY}%")
    return [key for (key,) in found]


def summaries(live: LiveAirflow) -> list[tuple[Any, ...]]:
    """Return the key and the result of each run of the daily DAG that has ended."""
    return live.query(
        "SELECT partition_key, value FROM dag_run JOIN xcom USING (dag_id, run_id) "
        "WHERE dag_id = 'angus_daily_summary' AND state = 'success' AND key = 'return_value'"
    )


def pending_days(live: LiveAirflow) -> list[tuple[Any, ...]]:
    """Return the days whose hours have not all arrived, with the number of events so far."""
    return live.query(
        "SELECT days.partition_key, count(*) FROM asset_partition_dag_run days JOIN partitioned_asset_key_log keys "
        "ON keys.asset_partition_dag_run_id = days.id WHERE days.created_dag_run_id IS NULL "
        "AND days.partition_key = ? GROUP BY 1",
        DAY,
    )


def test_day_is_summed_up_once_when_its_last_hour_has_arrived(live: LiveAirflow) -> None:
    ((key, result),) = summaries(live)
    people = live.query("SELECT count(*), sum(passing_by) FROM audience_by_hour WHERE bucket_start < '2026-11-21'")
    assert (key, [(result["hours"], result["passing_by"])]) == (DAY, people)
    assert result["hours"] == 24
    assert events(live) == HOURS
    assert pending_days(live) == []


def test_corrected_hour_of_finished_day_waits_for_other_hours(live: LiveAirflow, camera: Sandbox) -> None:
    """A cleared run of an unchanged hour emits nothing. Airflow counts a corrected hour as the first of 24."""
    clear(live, 6)
    assert events(live) == HOURS
    camera.change_next(set_passing_by(d20h07=9999), on="entities")
    clear(live, 7)
    # The scheduler creates runs while the next run ends.
    clear(live, 8)
    assert events(live) == sorted([*HOURS, HOURS[7]])
    assert pending_days(live) == [(DAY, 1)]
    assert len(summaries(live)) == 1


def test_day_with_changes_starts_a_run_each_time(live: LiveAirflow, camera: Sandbox) -> None:
    def days() -> list[Any]:
        return [
            key
            for (key,) in live.query(
                "SELECT partition_key FROM dag_run WHERE dag_id = 'on_day' AND state = 'success' ORDER BY 1"
            )
        ]

    live.run("dags", "trigger", "load_days")
    assert live.wait_until(lambda: len(days()) == 2, 120)
    assert days() == ["2026-11-10", "2026-11-11"]
    fetched = live.query("SELECT value FROM xcom WHERE (dag_id, key) = ('on_day', 'return_value') ORDER BY run_id")
    assert sorted(row["bucket_start"][:10] for (rows,) in fetched for row in rows) == days()
    camera.change_next(set_passing_by(d11h07=9999), on="entities")
    live.run("dags", "trigger", "load_days")
    assert live.wait_until(lambda: len(days()) == 3, 120)
    assert days() == ["2026-11-10", "2026-11-11", "2026-11-11"]


def clear(live: LiveAirflow, hour: int) -> None:
    """Clear the run of an hour and wait until it has ended."""
    tries = (
        "SELECT try_number FROM task_instance JOIN dag_run USING (dag_id, run_id) WHERE dag_id = ? "
        "AND data_interval_start = CAST(? AS timestamptz) AND task_instance.state = 'success'"
    )
    which = ("angus_hourly_partitions", f"{DAY}T{hour:02}:00:00+00:00")
    ((before,),) = live.query(tries, *which)
    dates = ("--start-date", which[1], "--end-date", which[1])
    live.run("tasks", "clear", which[0], *dates, "--yes")
    assert live.wait_until(lambda: any(found > before for (found,) in live.query(tries, *which)), 120)
