"""Load ten years of one stream, and fetch 500 streams as mapped tasks."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import processes
from processes import HOME
from report import Table, verdict

from airflow_provider_angus.sandbox import Sandbox

END = datetime(2026, 11, 20, tzinfo=UTC)
WEEK, TEN_YEARS = timedelta(weeks=1), timedelta(hours=87_660)
HOUR = timedelta(hours=1)

STREAMS, LIST_LENGTH = 500, 50
#: Tasks that run concurrently, one per core.
WORKERS = 2
LATENCY = 0.05
MIB = 2**20

#: Bounds: MiB over the memory of one week, and seconds for all streams.
MEMORY, SECONDS = 40, 40

TARGETS = {"JSON Lines": "jsonl", "Parquet": "parquet", "SQLite": "sqlite"}
PLAIN = {"a loop with requests + json": "plain-jsonl", "a loop with requests + csv": "plain-csv"}


def tables() -> list[Table]:
    """Measure and return the tables."""
    return [ten_years(), many_streams()]


def ten_years() -> Table:
    """Load ten years of one stream, and one week."""
    table = Table(
        f"Loading ten years by the hour ({TEN_YEARS // HOUR:,} buckets, all metrics) of one stream",
        ["", "ten years", "rows/s", "memory over one week's", "bound"],
        "The plain loops check nothing and retry nothing, and their files are not atomic.",
    )
    with Sandbox() as sandbox:
        for name, target in (TARGETS | PLAIN).items():
            week, decade = (load(sandbox, target, length) for length in (WEEK, TEN_YEARS))
            more = (decade["memory"] - week["memory"]) / MIB
            bound = verdict(more, MEMORY, "MiB") if name in TARGETS else ""
            rate = decade["rows"] / decade["seconds"]
            table.add(name, f"{decade['seconds']:.1f} s", f"{rate:,.0f}", f"{more:.1f} MiB", bound)
    return table


def many_streams() -> Table:
    """Fetch a day of 500 streams: one after the other, as one list, and as lists of 50 in ten mapped tasks."""
    table = Table(
        f"{STREAMS} streams, one day by the hour of each, latency {LATENCY * 1000:g} ms",
        ["", "wall time", "bound"],
        f"Each task is a process, {WORKERS} at a time; the time includes its start and imports. Airflow's secrets "
        "masker compiles one pattern of all known secrets for each new secret, so a task with few connections is fast.",
    )
    streams = {f"stream-{number}": f"secret-{number}" for number in range(STREAMS)}
    with Sandbox(latency=LATENCY, streams=streams) as sandbox:
        sequential = time_tasks(sandbox, "sequential", STREAMS)
        one_list = time_tasks(sandbox, "list", STREAMS)
        mapped = time_tasks(sandbox, "list", LIST_LENGTH)
    table.add("one task, one stream after the other", f"{sequential:.1f} s", "")
    table.add(f"one task with angus_conn_id=[{STREAMS} connections]", f"{one_list:.1f} s", "")
    title = f"{STREAMS // LIST_LENGTH} mapped tasks with angus_conn_id=[{LIST_LENGTH} connections]"
    table.add(title, f"{mapped:.1f} s", verdict(mapped, SECONDS, "s"))
    return table


def time_tasks(sandbox: Sandbox, target: str, length: int) -> float:
    """Fetch all streams in tasks of so many streams and return the wall time in seconds."""
    started = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        plans = [{"target": target, "streams": [first, first + length]} for first in range(0, STREAMS, length)]
        results = list(pool.map(lambda plan: run(sandbox, plan), plans))
    rows = sum(each["rows"] for each in results)
    if rows != 24 * STREAMS:
        sys.exit(f"{target}: expected {24 * STREAMS} rows, got {rows}.")
    return time.perf_counter() - started


def load(sandbox: Sandbox, target: str, length: timedelta) -> dict[str, Any]:
    """Load an interval and return the measurements. End the benchmark if rows are missing."""
    (HOME / "loading.sqlite").unlink(missing_ok=True)
    measured = run(sandbox, {"target": target, "from_date": (END - length).isoformat(), "to_date": END.isoformat()})
    if measured["rows"] != length // HOUR:
        sys.exit(f"{target}: expected {length // HOUR} rows, got {measured['rows']}.")
    return measured


def run(sandbox: Sandbox, plan: dict[str, Any]) -> dict[str, Any]:
    """Run a process with connections to all streams and return its measurements."""
    connections = {
        f"AIRFLOW_CONN_ANGUS_{number}": sandbox.connection_json(name) for number, name in enumerate(sandbox.streams)
    }
    database = {"conn_type": "sqlite", "host": str(HOME / "loading.sqlite")}
    connections["AIRFLOW_CONN_BENCH_SQLITE"] = json.dumps(database)
    return processes.run("loading_process", plan | {"url": sandbox.url, "login": sandbox.connection()}, connections)
