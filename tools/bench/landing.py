"""Ten years landed, and 500 streams in one task, beside what one would write without us.

Each thing to measure runs in a process of its own (landing_side.py) against a sandbox in this one, which takes
about as much CPU as the loader does. The numbers are for a person: a bound that is missed is said and is no failure,
an answer that is not whole is one.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import sides
from report import Table, verdict
from sides import HOME

from airflow_provider_angus.sandbox import Sandbox

END = datetime(2026, 11, 20, tzinfo=UTC)
WEEK, TEN_YEARS = timedelta(weeks=1), timedelta(hours=87_660)
HOUR = timedelta(hours=1)

STREAMS = 500
LATENCY = 0.05
MIB = 2**20

#: The bounds: of memory over that of a week in MiB, and of the list over one after the other.
MEMORY, TIMES_AS_FAST = 40, 8

TARGETS = {"JSON Lines": "jsonl", "Parquet": "parquet", "SQLite": "sqlite"}
PLAIN = {"a loop with requests + json": "plain-jsonl", "a loop with requests + csv": "plain-csv"}


def tables() -> list[Table]:
    """Measure and return the tables."""
    return [ten_years(), many_streams()]


def ten_years() -> Table:
    """Land ten years of one stream, and one week."""
    table = Table(
        f"Ten years by hour ({TEN_YEARS // HOUR:,} buckets, all metrics) of one stream landed",
        ["", "ten years", "rows/s", "memory over one week's", "bound"],
        "The plain loops check, retry and finish nothing.",
        in_readme=True,
    )
    with Sandbox() as sandbox:
        for name, target in (TARGETS | PLAIN).items():
            week, whole = (land(sandbox, target, length) for length in (WEEK, TEN_YEARS))
            more = (whole["memory"] - week["memory"]) / MIB
            bound = verdict(more, MEMORY, "MiB") if name in TARGETS else ""
            rate = whole["rows"] / whole["seconds"]
            table.add(name, f"{whole['seconds']:.1f} s", f"{rate:,.0f}", f"{more:.1f} MiB", bound)
    return table


def many_streams() -> Table:
    """Fetch a day of many streams, one after the other and in one task."""
    table = Table(
        f"{STREAMS} streams, one day by hour of each, in one task; an answer takes {LATENCY * 1000:g} ms",
        ["", "in all", "of that, Airflow masking secrets", "without", "bound"],
        in_readme=True,
    )
    streams = {f"stream-{number}": f"secret-{number}" for number in range(STREAMS)}
    with Sandbox(latency=LATENCY, streams=streams) as sandbox:
        one_by_one, together = (run(sandbox, {"target": target, "streams": STREAMS}) for target in ("loop", "list"))
    if one_by_one["rows"] != 24 * STREAMS or together["rows"] != 24 * STREAMS:
        sys.exit(f"Not all rows came: {one_by_one['rows']} and {together['rows']} of {24 * STREAMS}.")
    for name, each in (("one after the other", one_by_one), ("angus_conn_id=[...]", together)):
        masking = each["masking"]
        figures = (f"{seconds:.1f} s" for seconds in (each["seconds"], masking, each["seconds"] - masking))
        table.add(name, *figures, "")
    whole, net = (
        (one_by_one["seconds"] - without * one_by_one["masking"])
        / (together["seconds"] - without * together["masking"])
        for without in (0, 1)
    )
    bound = verdict(whole, TIMES_AS_FAST, "times", least=True)
    table.add("times as fast", f"{whole:.1f}", "", f"{net:.1f}", bound)
    return table


def land(sandbox: Sandbox, target: str, length: timedelta) -> dict[str, Any]:
    """Land an interval and return what that took; ends the benchmark where rows are missing."""
    plan = {"target": target, "from_date": (END - length).isoformat(), "to_date": END.isoformat()}
    measured = run(sandbox, plan)
    if measured["rows"] != length // HOUR:
        sys.exit(f"{target}: {measured['rows']} rows of {length // HOUR} came.")
    return measured


def run(sandbox: Sandbox, plan: dict[str, Any]) -> dict[str, Any]:
    """Run one process and return what it measured."""
    connections = {
        f"AIRFLOW_CONN_ANGUS_{number}": sandbox.connection_json(name) for number, name in enumerate(sandbox.streams)
    }
    database = HOME / "landing.sqlite"
    database.unlink(missing_ok=True)
    connections["AIRFLOW_CONN_BENCH_SQLITE"] = json.dumps({"conn_type": "sqlite", "host": str(database)})
    where = {"url": sandbox.url, "login": sandbox.connection()}
    return sides.run("landing_side", plan | where, connections)
