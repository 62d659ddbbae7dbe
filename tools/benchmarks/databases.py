"""Load ten years of one stream into PostgreSQL, and compare 20 streams of 90 days with the API."""

from __future__ import annotations

import json
import os
import statistics
from datetime import timedelta
from typing import Any

import processes
from loading import END, HOUR, TEN_YEARS
from processes import HOME, ratio, run_alternately
from report import Table, spread, verdict

from airflow_provider_angus.sandbox import Sandbox

#: The server, as SQLAlchemy's URL of a database in which the benchmark creates and drops tables.
POSTGRES = os.environ.get("ANGUS_BENCH_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")

FIRST, RERUN, BLIND = "AngusToSqlOperator, first load", "... unchanged rerun", "... first load without comparison"
COPY, LOOP = "a loop with requests + psycopg's COPY", "a loop with requests + psycopg's executemany"
TARGETS = {FIRST: "first", RERUN: "rerun", BLIND: "blind", COPY: "copy", LOOP: "executemany"}
#: Seconds of a first load, relative to one without comparison.
COMPARISON = 1.15

STREAMS, AUDITED = 20, timedelta(days=90)
#: Seconds of an audit.
AUDIT = 30


def tables() -> list[Table]:
    """Measure and return the tables."""
    return [ten_years(), audit()]


def ten_years() -> Table:
    """Load ten years of one stream into a new table, and once more into the same."""
    table = Table(
        f"Loading {TEN_YEARS // HOUR:,} rows with all metrics into PostgreSQL",
        ["", "median", "min", "max", "rows/s", "relative to no comparison", "bound"],
        "The time includes the requests to the sandbox. The loops check nothing, retry nothing and replace nothing: a "
        "rerun would double their rows.",
    )
    with Sandbox() as sandbox:
        measured = run_alternately(list(TARGETS), lambda name: load(sandbox, TARGETS[name], TEN_YEARS))
    for name, runs in measured.items():
        seconds = [each["seconds"] for each in runs]
        share = ratio(measured, name, BLIND, "seconds")
        bound = verdict(share, COMPARISON, "times", digits=2) if name == FIRST else ""
        rate = f"{TEN_YEARS / HOUR / statistics.median(seconds):,.0f}"
        table.add(name, *spread(seconds, "s"), rate, f"{share:.2f}", bound)
    return table


def audit() -> Table:
    """Compare a table in SQLite with the API, and load all rows that differ."""
    days = AUDITED.days
    table = Table(
        f"AngusSqlAuditOperator: {days} days by the hour of {STREAMS} streams ({days * 24 * STREAMS:,} rows) in SQLite",
        ["", "wall time", "bound"],
    )
    (HOME / "audit.sqlite").unlink(missing_ok=True)
    with Sandbox(streams={f"stream-{number}": f"secret-{number}" for number in range(STREAMS)}) as sandbox:
        for name, target in (("no row differs", "audit"), ("each row differs, repair=True", "repair")):
            seconds = load(sandbox, target, AUDITED, STREAMS)["seconds"]
            table.add(name, f"{seconds:.1f} s", verdict(seconds, AUDIT, "s"))
    return table


def load(sandbox: Sandbox, target: str, length: timedelta, streams: int = 1) -> dict[str, Any]:
    """Run a process with connections to the streams, and return its measurements. End if rows are missing."""
    connections = {
        f"AIRFLOW_CONN_ANGUS_{number}": sandbox.connection_json(name) for number, name in enumerate(sandbox.streams)
    }
    connections["AIRFLOW_CONN_BENCH_POSTGRES"] = POSTGRES
    sqlite = {"conn_type": "sqlite", "host": str(HOME / "audit.sqlite")}
    connections["AIRFLOW_CONN_BENCH_SQLITE"] = json.dumps(sqlite)
    plan = {"target": target, "from_date": (END - length).isoformat(), "to_date": END.isoformat(), "streams": streams}
    login = {"url": sandbox.url, "login": sandbox.connection(), "postgres": POSTGRES}
    measured = processes.run("databases_process", plan | login, connections)
    if measured["rows"] != streams * (length // HOUR):
        raise SystemExit(f"{target}: expected {streams * (length // HOUR)} rows, got {measured['rows']}.")
    return measured
