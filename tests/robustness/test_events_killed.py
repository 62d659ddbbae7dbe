"""Loads with partition events are killed under a scheduler. The next try emits the events of the rows they wrote."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_versions import only_airflow_3_3
from databases import own_postgres
from live_airflow import LiveAirflow
from sqlalchemy.engine import make_url

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outcome_table import Record

pytestmark = only_airflow_3_3

#: The last logical day of November of each DAG's backfill, from the first.
DAYS = {"retried": 12, "cleared": 3}


@pytest.fixture
def live() -> Iterator[LiveAirflow]:
    """An Airflow with the DAGs of ``dags/killed_loads.py``, on PostgreSQL."""
    home = Path(f"{os.environ['AIRFLOW_HOME']}-killed-events")
    shutil.rmtree(home, ignore_errors=True)
    (home / "dags").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "dags" / "killed_loads.py", home / "dags")
    with Sandbox() as sandbox, own_postgres() as database:
        url = make_url(database).set(drivername="postgres").render_as_string(hide_password=False)
        env = {"AIRFLOW_CONN_ANGUS_DEFAULT": sandbox.connection_json(), "AIRFLOW_CONN_AUDIENCE_DB": url}
        live = LiveAirflow(home, home / "dags", env, database)
        try:
            live.start_all()
            yield live
        finally:
            live.close()


def tries(live: LiveAirflow, dag_id: str, state: str) -> list[int]:
    """Return the number of tries of each task in a state."""
    found = live.query("SELECT try_number FROM task_instance WHERE (dag_id, state) = (?, ?)", dag_id, state)
    return [number for (number,) in found]


def keys(live: LiveAirflow, dag_id: str) -> Counter[str]:
    """Return the number of events of each partition."""
    found = live.query(
        "SELECT partition_key, count(*) FROM asset_event WHERE source_dag_id = ? GROUP BY partition_key", dag_id
    )
    return Counter(dict(found))


def hours(dag_id: str) -> set[str]:
    return {f"2026-11-{day:02}T{hour:02}:00:00" for day in range(1, DAYS[dag_id] + 1) for hour in range(24)}


def test_killed_load_emits_events_in_its_next_try(live: LiveAirflow, record: Record) -> None:
    assert live.wait_until(lambda: len(live.query("SELECT DISTINCT dag_id FROM serialized_dag")) == len(DAYS), 120)
    for dag_id, days in DAYS.items():
        dates = ("--from-date", "2026-11-01T00:00:00", "--to-date", f"2026-11-{days:02}T00:00:00")
        live.run("backfill", "create", "--dag-id", dag_id, *dates)
    assert live.wait_until(lambda: len(tries(live, "cleared", "failed")) == DAYS["cleared"], 200)
    ((written,),) = live.query("SELECT count(*) FROM cleared_loads")
    assert (written, keys(live, "cleared")) == (24 * DAYS["cleared"], Counter())
    live.run("tasks", "clear", "cleared", "--yes")
    for dag_id, days in DAYS.items():
        assert live.wait_until(lambda dag_id=dag_id, days=days: len(tries(live, dag_id, "success")) == days, 300)
        # A try that ended before it was killed has emitted its events already.
        assert keys(live, dag_id) == Counter(hours(dag_id))
        assert live.query(f"SELECT count(*) FROM {dag_id}_loads") == [(24 * days,)]  # noqa: S608 (the test's name)
    killed = sum(number > 1 for number in tries(live, "retried", "success"))
    assert killed >= DAYS["retried"] // 4
    record("load with partition events killed at a random moment", "retry", "one event for each hour", killed)
    record("load with partition events killed before its events", "cleared run", "one event for each hour", 3)
