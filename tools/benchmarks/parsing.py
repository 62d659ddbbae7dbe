"""The cost of our operators in a DAG file: importing them; parsing, serialising and deserialising a thousand."""

from __future__ import annotations

import statistics

from processes import ratio, run, run_alternately
from report import Table, spread, verdict

OURS = "Angus"
MODULES = {
    OURS: ["airflow_provider_angus.operators", "airflow_provider_angus.sensors"],
    "Angus with transfers": [
        "airflow_provider_angus.operators",
        "airflow_provider_angus.sensors",
        "airflow_provider_angus.transfers",
    ],
    "HTTP": ["airflow.providers.http.operators.http", "airflow.providers.http.sensors.http"],
    "dbt Cloud": ["airflow.providers.dbt.cloud.operators.dbt", "airflow.providers.dbt.cloud.sensors.dbt"],
    "Fivetran (async)": ["fivetran_provider_async.operators", "fivetran_provider_async.sensors"],
}

EMPTY = "1,000 EmptyOperators"
ANGUS = "500 AngusEntitiesOperators, 500 sensors"
DAGS = {EMPTY: "empty", ANGUS: "angus"}


def tables() -> list[Table]:
    """Measure and return the tables."""
    return [imports(), dag_files()]


def imports() -> Table:
    """Measure the import time of operators and sensors after that of airflow.sdk."""
    table = Table(
        "Importing a provider's operators and sensors after airflow.sdk",
        ["", "median", "min", "max", "relative to ours", "bound"],
    )
    measured = run_alternately(list(MODULES), lambda name: run("parsing_process", {"modules": MODULES[name]}))
    for name, runs in measured.items():
        values = [each["seconds"] * 1000 for each in runs]
        bound = verdict(statistics.median(values), 5, "ms") if name == OURS else ""
        table.add(name, *spread(values, "ms", 1), f"{ratio(measured, name, OURS, 'seconds'):.1f}", bound)
    return table


def dag_files() -> Table:
    """Measure a DAG of a thousand tasks."""
    table = Table(
        "A DAG file of a thousand tasks",
        ["", "median", "min", "max", "relative to EmptyOperators", "bound"],
        "Airflow's DagBag parses the file in a process that has imported Airflow. The DAG is serialised to JSON and "
        "back, as in the DAG processor and the scheduler.",
    )
    measured = run_alternately(list(DAGS), lambda name: run("parsing_process", {"tasks": DAGS[name]}))
    for figure in ("parsed", "serialised", "deserialised"):
        for name, runs in measured.items():
            share = ratio(measured, name, EMPTY, figure)
            bound = verdict(share, 2, "times") if name == ANGUS else ""
            values = [each[figure] * 1000 for each in runs]
            table.add(f"{figure}: {name}", *spread(values, "ms", 0), f"{share:.2f}", bound)
    return table
