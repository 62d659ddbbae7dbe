"""A backfill while a worker, a triggerer and a scheduler are killed: each hour is loaded once, no run fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cluster import CONCURRENCY, WORKERS
from secret_search import find_leaks, read_files

from airflow_provider_angus.sandbox.traffic import count_people

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster import Cluster
    from held_requests import HeldRequests

    from airflow_provider_angus.sandbox import Sandbox

FIRST = datetime(2026, 11, 19, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURS = [FIRST + number * HOUR for number in range(48)]
DAG_ID = "hours"


@dataclass
class Backfill:
    """A backfill that has ended: the killed processes, and the number of tasks that each was responsible for."""

    cluster: Cluster
    killed: dict[str, int]


#: The host name of each running load, waiting trigger, and task that a scheduler is responsible for.
LOADS = "SELECT hostname FROM task_instance WHERE (task_id, state) = ('load', 'running')"
TRIGGERS = "SELECT hostname FROM trigger JOIN job ON job.id = triggerer_id WHERE classpath LIKE '%AngusEntitiesTrigger'"
TASKS = (
    "SELECT job.hostname FROM task_instance JOIN job ON job.id = queued_by_job_id "
    "WHERE task_instance.state IN ('queued', 'running')"
)


def run_states(cluster: Cluster) -> Counter[str]:
    """Return the number of runs by state."""
    return Counter(state for (state,) in cluster.query("SELECT state FROM dag_run WHERE dag_id = ?", DAG_ID))


def loaded(cluster: Cluster) -> list[tuple[Any, ...]]:
    """Return the rows of the table."""
    return cluster.query("SELECT stream, bucket_start, bucket_end, passing_by FROM hours ORDER BY 1, 2")


@pytest.fixture(scope="module")
def backfill(_cluster: Cluster, shops: Sandbox, held: HeldRequests) -> Backfill:
    """Kill a worker, a triggerer and a scheduler after the first loads. Each of the three is in the middle of work.

    The first day is available at the start, so its hours are loaded, and the hours of the second wait in a triggerer.
    Then the third stream's responses are held until each slot of both workers has an unfinished load.
    """
    cluster = _cluster
    cluster.start_all()
    # The sandbox's data appears after a minute.
    shops.clock.set(HOURS[24] + MINUTE)
    dates = {"from_date": HOURS[0].isoformat(), "to_date": HOURS[-1].isoformat()}
    cluster.wait_for(lambda: bool(cluster.query("SELECT 1 FROM dag WHERE dag_id = ?", DAG_ID)), 120)
    cluster.request("POST", "backfills", json={"dag_id": DAG_ID, "max_active_runs": len(HOURS), **dates})
    cluster.wait_for(lambda: len(loaded(cluster)) >= 6 * 3, 180)
    held.hold()
    cluster.wait_for(lambda: len(held.waiting) == len(WORKERS) * CONCURRENCY, 180)
    responsible = [Counter(host for (host,) in cluster.query(sql)) for sql in (LOADS, TRIGGERS, TASKS)]
    killed = dict(hosts.most_common(1)[0] for hosts in responsible)
    for name in killed:
        cluster.kill(name)
    shops.clock.set(HOURS[-1] + HOUR + MINUTE)
    held.release()
    cluster.wait_for(lambda: set(run_states(cluster)) <= {"success", "failed"}, 300)
    return Backfill(cluster, killed)


def test_backfill_killed_processes_had_work(backfill: Backfill) -> None:
    worker, triggerer, scheduler = backfill.killed
    assert (worker[:-1], triggerer[:-1], scheduler[:-1]) == ("worker-", "triggerer-", "scheduler-")
    assert backfill.killed[worker] == CONCURRENCY
    assert backfill.killed[triggerer] >= 5
    assert backfill.killed[scheduler] >= 1
    retried = "SELECT count(*) FROM task_instance WHERE (dag_id, task_id) = (?, 'load') AND try_number > 1"
    assert backfill.cluster.query(retried, DAG_ID)[0][0] >= CONCURRENCY


def test_backfill_no_run_fails(backfill: Backfill) -> None:
    assert run_states(backfill.cluster) == {"success": len(HOURS)}


def test_backfill_loads_each_stream_and_hour_once(backfill: Backfill, shops: Sandbox) -> None:
    expected = [
        (stream, hour, hour + HOUR, count_people(stream, hour, hour + HOUR)["passing_by"])
        for stream in shops.streams
        for hour in HOURS
    ]
    assert loaded(backfill.cluster) == expected


def read_logs(cluster: Cluster, task_id: str) -> Iterator[tuple[str, bytes]]:
    """Yield the run ID and the log of the last try of a task in each run, as the API server sends it."""
    for run_id, tries in cluster.query(
        "SELECT run_id, try_number FROM task_instance WHERE (dag_id, task_id) = (?, ?)", DAG_ID, task_id
    ):
        path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{tries}"
        yield run_id, cluster.request("GET", path, params={"full_content": "true"}).content


def test_task_logs_hold_our_lines(backfill: Backfill) -> None:
    loads = dict(read_logs(backfill.cluster, "load"))
    assert len(loads) == len(HOURS)
    for run_id, log in loads.items():
        for stream in ("shop_1", "shop_2", "shop_3"):
            assert f"Loaded 1 rows of stream {stream} into hours for".encode() in log, (run_id, log)
    waits = dict(read_logs(backfill.cluster, "wait"))
    assert len(waits) == len(HOURS)
    for run_id, log in waits.items():
        assert b" is available." in log, (run_id, log)


def test_task_logs_and_files_hold_no_secret(backfill: Backfill, shops: Sandbox, held: HeldRequests) -> None:
    secrets = {*shops.streams.values(), *held.tokens} - {""}
    assert len(secrets) >= 2 * len(shops.streams)
    for task_id in ("load", "wait"):
        assert find_leaks(secrets, read_logs(backfill.cluster, task_id)) == []
    assert find_leaks(secrets, read_files(backfill.cluster.home)) == []
