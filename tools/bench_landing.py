"""``make bench``, second part: ten years landed, and 500 streams in one task, beside what one would write without us.

Each thing to measure runs in a process of its own (bench_landing_side.py) against a sandbox in this one, which takes
about as much CPU as the loader does. The numbers are for a person: a bound that is missed is said and is no failure,
an answer that is not whole is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_angus.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"

END = datetime(2026, 11, 20, tzinfo=UTC)
WEEK, TEN_YEARS = timedelta(weeks=1), timedelta(hours=87_660)
HOUR = timedelta(hours=1)

STREAMS = 500
LATENCY = 0.05

#: The bounds: of memory over that of a week in MiB, and of the list over one after the other.
MEMORY, TIMES_AS_FAST = 40, 8

#: In seconds: what takes longer hangs.
GIVE_UP_AFTER = 300

TARGETS = {"JSON Lines": "jsonl", "Parquet": "parquet", "SQLite": "sqlite"}
PLAIN = {"requests + json": "plain-jsonl", "requests + csv": "plain-csv"}


def main() -> int:
    """Measure, print both tables and return the exit code."""
    HOME.mkdir(exist_ok=True)
    print(f"\nTen years by hour ({TEN_YEARS // HOUR:,} buckets, all metrics) of one stream, and one week, landed.")
    print(f"{'':22}{'ten years':>11}{'rows/s':>9}   {'memory over one week':20}   {'bound':10}", flush=True)
    with Sandbox() as sandbox:
        for name, target in (TARGETS | PLAIN).items():
            week, ten_years = (land(sandbox, target, length) for length in (WEEK, TEN_YEARS))
            more = (ten_years["memory"] - week["memory"]) / 2**20
            bound = f"<= {MEMORY} MiB  {'met' if more <= MEMORY else 'MISSED'}" if target in TARGETS.values() else ""
            rate = ten_years["rows"] / ten_years["seconds"]
            print(f"{name:22}{ten_years['seconds']:>9.1f} s{rate:>9,.0f}   {more:>16.1f} MiB   {bound}", flush=True)
    print(f"\n{STREAMS} streams, one day by hour of each, in one task; an answer takes {LATENCY * 1000:g} ms.")
    streams = {f"stream-{number}": f"secret-{number}" for number in range(STREAMS)}
    with Sandbox(latency=LATENCY, streams=streams) as sandbox:
        one_by_one, together = (run(sandbox, {"target": target, "streams": STREAMS}) for target in ("loop", "list"))
    if one_by_one["rows"] != 24 * STREAMS or together["rows"] != 24 * STREAMS:
        sys.exit(f"Not all rows came: {one_by_one['rows']} and {together['rows']} of {24 * STREAMS}.")
    print(f"{'':22}{'in all':>11}{'of that, Airflow masking secrets':>36}{'without':>12}")
    both = (("one after the other", one_by_one), ("angus_conn_id=[...]", together))
    for name, each in both:
        masking = each["masking"]
        print(f"{name:22}{each['seconds']:>9.1f} s{masking:>34.1f} s{each['seconds'] - masking:>10.1f} s")
    whole, net = (
        (one_by_one["seconds"] - without * one_by_one["masking"])
        / (together["seconds"] - without * together["masking"])
        for without in (0, 1)
    )
    verdict = "met" if whole >= TIMES_AS_FAST else "MISSED"
    print(f"{'times as fast':22}{whole:>11.1f}{f'>= {TIMES_AS_FAST}  {verdict}':>36}{net:>12.1f}")
    return 0


def land(sandbox: Sandbox, target: str, length: timedelta) -> dict[str, Any]:
    """Land an interval and return what that took; ends the benchmark where rows are missing."""
    plan = {"target": target, "from_date": (END - length).isoformat(), "to_date": END.isoformat()}
    measured = run(sandbox, plan)
    if measured["rows"] != length // HOUR:
        sys.exit(f"{target}: {measured['rows']} rows of {length // HOUR} came.")
    return measured


def run(sandbox: Sandbox, plan: dict[str, Any]) -> dict[str, Any]:
    """Run one process and return what it measured."""
    result, log_path = HOME / "landing.json", HOME / "landing.log"
    connections = {
        f"AIRFLOW_CONN_ANGUS_{number}": sandbox.connection_json(name) for number, name in enumerate(sandbox.streams)
    }
    database = HOME / "landing.sqlite"
    database.unlink(missing_ok=True)
    env = (
        {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        | connections
        | {
            "AIRFLOW_CONN_BENCH_SQLITE": json.dumps({"conn_type": "sqlite", "host": str(database)}),
            "AIRFLOW_HOME": str(HOME),
            "PYTHONWARNINGS": "ignore",
        }
    )
    plan |= {"result": str(result), "folder": str(HOME), "url": sandbox.url, "login": sandbox.connection()}
    command = [sys.executable, Path(__file__).with_name("bench_landing_side.py"), json.dumps(plan)]
    with log_path.open("w") as log:
        process = subprocess.run(command, env=env, stdout=log, stderr=log, timeout=GIVE_UP_AFTER, check=False)
    if process.returncode:
        sys.exit(f"The process ended with exit code {process.returncode}, see {log_path}.")
    measured: dict[str, Any] = json.loads(result.read_text())
    return measured


if __name__ == "__main__":
    sys.exit(main())
