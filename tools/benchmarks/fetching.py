"""Fetch a year by the hour: the operator, the HTTP provider's operator and a plain loop. Memory: ten years."""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from processes import ratio, run, run_alternately
from report import Table, spread, verdict

from airflow_provider_angus.sandbox import Sandbox

END = datetime(2026, 11, 20, tzinfo=UTC)
HOUR, WEEK, YEAR, TEN_YEARS = (timedelta(hours=hours) for hours in (1, 168, 8760, 87_660))

#: Buckets per page, as the vendor's API has them.
PAGE_SIZE = 50
LATENCY = 0.05

LOOP, HTTP = "a loop with requests", "HttpOperator"
OURS, SEQUENTIAL, EIGHT = "AngusEntitiesOperator", "... with concurrency 1", "... with concurrency 8"
TARGETS = {LOOP: "loop", HTTP: "http", OURS: "angus", SEQUENTIAL: "angus", EIGHT: "angus"}
CONCURRENCY = {SEQUENTIAL: 1, EIGHT: 8}

MIB = 2**20


def tables() -> list[Table]:
    """Measure and return the tables."""
    return [year_with_latency(), year_without_latency(), memory()]


def year_with_latency() -> Table:
    """Measure the wall time of a year if each response takes 50 ms."""
    table = Table(
        f"A year by the hour, {YEAR // HOUR:,} buckets on {YEAR // HOUR // PAGE_SIZE + 1} pages, "
        f"latency {LATENCY * 1000:g} ms",
        ["", "median", "min", "max", "relative to HttpOperator", "bound"],
    )
    with Sandbox(page_size=PAGE_SIZE, latency=LATENCY) as sandbox:
        measured = run_alternately(list(TARGETS), lambda name: fetch(sandbox, name, YEAR))
    bounds = {OURS: 2.6, EIGHT: 1.5}
    for name, runs in measured.items():
        seconds = [each["seconds"] for each in runs]
        share = f"{ratio(measured, name, HTTP, 'seconds'):.2f}"
        bound = verdict(statistics.median(seconds), bounds[name], "s", digits=1) if name in bounds else ""
        table.add(name, *spread(seconds, "s"), share, bound)
    return table


def year_without_latency() -> Table:
    """Measure wall and CPU time if the API responds at once, and the time until the first request."""
    table = Table(
        "A year by the hour without latency: the cost of the code",
        ["", "median", "min", "max", "relative to the loop", "bound"],
        "CPU time is that of the process after all imports. The time to the first request starts before the operator "
        "is imported, as in a worker that reads the DAG file.",
    )
    names = [LOOP, HTTP, OURS]
    request_times: list[float] = []
    with Sandbox(page_size=PAGE_SIZE, on_call=lambda _: request_times.append(time.time())) as sandbox:
        warm = run_alternately(names, lambda name: fetch(sandbox, name, YEAR))
        cold = run_alternately(names, lambda name: first_request(sandbox, request_times, name))
    for figure, title in (("seconds", "wall"), ("cpu", "CPU")):
        for name, runs in warm.items():
            share = ratio(warm, name, LOOP, figure)
            bound = verdict(share, 1.15, "times", digits=2) if name == OURS and figure == "seconds" else ""
            table.add(f"{title}: {name}", *spread([each[figure] for each in runs], "s"), f"{share:.2f}", bound)
    for name, runs in cold.items():
        values = [each["first"] * 1000 for each in runs]
        share = f"{ratio(cold, name, LOOP, 'first'):.2f}"
        table.add(f"to the first request: {name}", *spread(values, "ms", 0), share, "")
    return table


def memory() -> Table:
    """Measure peak memory while iterating over rows, for one week and for ten years."""
    table = Table(
        f"Peak memory of iterating over ten years by the hour ({TEN_YEARS // HOUR:,} buckets) and over one week",
        ["", "one week", "ten years", "difference", "bound"],
    )
    with Sandbox() as sandbox:
        peaks = [
            statistics.median(fetch(sandbox, "iterate", length)["memory"] / MIB for _ in range(3))
            for length in (WEEK, TEN_YEARS)
        ]
    more = peaks[1] - peaks[0]
    cells = [*(f"{peak:.0f} MiB" for peak in peaks), f"{more:.1f} MiB"]
    table.add("AngusHook.iter_entities", *cells, verdict(more, 40, "MiB"))
    return table


def fetch(sandbox: Sandbox, name: str, length: timedelta, **more: Any) -> dict[str, Any]:
    """Fetch an interval and return the measurements. End the benchmark if rows are missing."""
    plan = {
        "target": TARGETS.get(name, name),
        "from_date": (END - length).isoformat(),
        "to_date": END.isoformat(),
        "url": sandbox.url,
        "login": sandbox.connection(),
    }
    connection = sandbox.connection()
    if name in CONCURRENCY:
        connection["extra"]["concurrency"] = CONCURRENCY[name]
    env = {
        "AIRFLOW_CONN_ANGUS_DEFAULT": json.dumps(connection),
        "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps({"conn_type": "http", "host": sandbox.url}),
    }
    measured = run("fetching_process", plan | more, env)
    if measured["rows"] != length // HOUR:
        raise SystemExit(f"{name}: expected {length // HOUR} rows, got {measured['rows']}.")
    return measured


def first_request(sandbox: Sandbox, request_times: list[float], name: str) -> dict[str, Any]:
    """Fetch an hour and return the seconds until the first request."""
    request_times.clear()
    measured = fetch(sandbox, name, HOUR, cold=True)
    return {"first": request_times[0] - measured["started"]}
