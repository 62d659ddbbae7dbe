"""A year by hour fetched: the operator beside the HTTP provider's and a plain loop; and memory, for ten years."""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from report import Table, spread, verdict
from sides import in_turns, ratio, run

from airflow_provider_angus.sandbox import Sandbox

END = datetime(2026, 11, 20, tzinfo=UTC)
HOUR, WEEK, YEAR, TEN_YEARS = (timedelta(hours=hours) for hours in (1, 168, 8760, 87_660))

#: As many buckets stand on a page of the vendor's.
PAGE_SIZE = 50
LATENCY = 0.05

LOOP, HTTP = "a loop with requests", "HttpOperator"
OURS, SEQUENTIAL, EIGHT = "AngusEntitiesOperator", "the same, concurrency 1", "the same, concurrency 8"
TARGETS = {LOOP: "loop", HTTP: "http", OURS: "angus", SEQUENTIAL: "angus", EIGHT: "angus"}
CONCURRENCY = {SEQUENTIAL: 1, EIGHT: 8}

MIB = 2**20


def tables() -> list[Table]:
    """Measure and return the tables."""
    return [
        at_a_distance(),
        next_door(),
        memory(),
    ]


def at_a_distance() -> Table:
    """Measure how long a year takes where each answer takes its time."""
    table = Table(
        f"A year by hour, {YEAR // HOUR:,} buckets on {YEAR // HOUR // PAGE_SIZE + 1} pages, "
        f"{LATENCY * 1000:g} ms for an answer",
        ["", "median", "min", "max", "of HttpOperator's", "bound"],
        in_readme=True,
    )
    with Sandbox(page_size=PAGE_SIZE, latency=LATENCY) as sandbox:
        measured = in_turns(list(TARGETS), lambda name: fetch(sandbox, name, YEAR))
    bounds = {OURS: 2.6, EIGHT: 1.5}
    for name, runs in measured.items():
        seconds = [each["seconds"] for each in runs]
        share = f"{ratio(measured, name, HTTP, 'seconds'):.2f}"
        bound = verdict(statistics.median(seconds), bounds[name], "s", digits=1) if name in bounds else ""
        table.add(name, *spread(seconds, "s"), share, bound)
    return table


def next_door() -> Table:
    """Measure wall and CPU time where answers come at once, and how long it takes until the first is asked for."""
    table = Table(
        "The same without latency: what the code itself takes",
        ["", "median", "min", "max", "of the loop's", "bound"],
        "CPU time is the process's own from when everything is imported. The first request is counted from "
        "before the operator is imported, as a worker does when it reads the DAG file.",
        in_readme=True,
    )
    names = [LOOP, HTTP, OURS]
    asked: list[float] = []
    with Sandbox(page_size=PAGE_SIZE, on_call=lambda _: asked.append(time.time())) as sandbox:
        warm = in_turns(names, lambda name: fetch(sandbox, name, YEAR))
        cold = in_turns(names, lambda name: first_request(sandbox, asked, name))
    for figure, title in (("seconds", "wall"), ("cpu", "CPU")):
        for name, runs in warm.items():
            values = [each[figure] for each in runs]
            share = ratio(warm, name, LOOP, figure)
            bound = ""
            if name == OURS:
                bound = (
                    verdict(share, 1, "of the loop")
                    if figure == "seconds"
                    else verdict(statistics.median(values), 0.3, "s", digits=1)
                )
            table.add(f"{title}: {name}", *spread(values, "s"), f"{share:.2f}", bound)
    for name, runs in cold.items():
        values = [each["first"] * 1000 for each in runs]
        table.add(
            f"to the first request: {name}", *spread(values, "ms", 0), f"{ratio(cold, name, LOOP, 'first'):.2f}", ""
        )
    return table


def memory() -> Table:
    """Measure how memory grows with the interval where rows are iterated over."""
    table = Table(
        f"Ten years by hour ({TEN_YEARS // HOUR:,} buckets) beside one week, rows iterated over: peak memory",
        ["", "one week", "ten years", "more", "bound"],
    )
    with Sandbox() as sandbox:
        peaks = [
            statistics.median(fetch(sandbox, "iterated", length)["memory"] / MIB for _ in range(3))
            for length in (WEEK, TEN_YEARS)
        ]
    more = peaks[1] - peaks[0]
    table.add(
        "AngusHook.iter_entities", *(f"{peak:.0f} MiB" for peak in peaks), f"{more:.1f} MiB", verdict(more, 10, "MiB")
    )
    return table


def fetch(sandbox: Sandbox, name: str, length: timedelta, **more: Any) -> dict[str, Any]:
    """Fetch so much time and return what that took; ends the benchmark where rows are missing."""
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
    measured = run("fetching_side", plan | more, env)
    if measured["rows"] != length // HOUR:
        raise SystemExit(f"{name}: {measured['rows']} rows of {length // HOUR} came.")
    return measured


def first_request(sandbox: Sandbox, asked: list[float], name: str) -> dict[str, Any]:
    """Fetch an hour and return how long it took until something was asked for, in seconds."""
    asked.clear()
    measured = fetch(sandbox, name, HOUR, cold=True)
    return {"first": asked[0] - measured["begun"]}
