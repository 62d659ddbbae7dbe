"""500 streams as ten mapped tasks: all rows are loaded. The test prints wall time, calls and memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cluster import WORKERS

if TYPE_CHECKING:
    import pytest
    from cluster import Cluster

    from airflow_provider_angus.sandbox import Sandbox

DAG_ID = "many_streams"
#: Seconds, on two cores.
BOUND = 40


def test_many_streams_load_all_rows(cluster: Cluster, cameras: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Speed depends on the machine, so it is printed and not asserted."""
    cameras.clock.set(datetime(2026, 11, 21, 1, tzinfo=UTC))
    cluster.wait_for(lambda: bool(cluster.query("SELECT 1 FROM dag WHERE dag_id = ?", DAG_ID)), 120)
    idle = {worker: cluster.memory(worker) for worker in WORKERS}
    peak = dict(idle)
    run_id = cluster.request("POST", f"dags/{DAG_ID}/dagRuns", json={"logical_date": None}).json()["dag_run_id"]

    def has_ended() -> bool:
        peak.update({worker: max(peak[worker], cluster.memory(worker)) for worker in WORKERS})
        return cluster.query("SELECT state FROM dag_run WHERE run_id = ?", run_id)[0][0] in {"success", "failed"}

    cluster.wait_for(has_ended, 300)
    states = cluster.query("SELECT state, try_number FROM task_instance WHERE run_id = ?", run_id)
    assert states == [("success", 1)] * 10
    hours = "SELECT stream, count(DISTINCT bucket_start) FROM many_streams GROUP BY 1 ORDER BY 1"
    assert cluster.query(hours) == [(stream, 24) for stream in cameras.streams]
    wall, first, last = cluster.query(
        "SELECT extract(epoch FROM dag_run.end_date - dag_run.start_date), "
        "extract(epoch FROM min(task_instance.start_date) - dag_run.start_date), "
        "extract(epoch FROM max(task_instance.end_date) - dag_run.start_date) "
        "FROM dag_run JOIN task_instance USING (dag_id, run_id) WHERE run_id = ? "
        "GROUP BY dag_run.start_date, dag_run.end_date",
        run_id,
    )[0]
    memory = ", ".join(f"{name}: {peak[name] >> 20} MiB (idle {idle[name] >> 20})" for name in WORKERS)
    with capsys.disabled():
        print(
            f"\n500 streams, 10 mapped tasks of 50: {wall:.1f} s (bound {BOUND} s), tasks from {first:.1f} s to "
            f"{last:.1f} s.\nCalls: {cameras.count('token')} for tokens, {cameras.count('entities')} for entities.\n"
            f"Memory at most: {memory}."
        )
