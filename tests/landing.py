"""What tests of landing have in common: tasks that land a day, and what they landed."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from pathlib import Path

    import databases
    import pytest
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
RETRY: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}


def to_file(path: Path | str, **arguments: Any) -> AngusToObjectStorageOperator:
    given = {"task_id": "land", "metrics": "passing_by", "time": "by_hour", "path": str(path)}
    return AngusToObjectStorageOperator(**given | arguments)


def to_table(database: databases.Database, **arguments: Any) -> AngusToSqlOperator:
    given = {
        "task_id": "land",
        "metrics": "passing_by",
        "time": "by_hour",
        "sql_conn_id": database.conn_id,
        "table": database.table,
        "create_table": True,
    }
    return AngusToSqlOperator(**given | arguments)


def land(airflow: Airflow, build: Any, **run: Any) -> Outcome:
    return airflow.run(build, **{"schedule": DAILY} | run)["land"]


def fetched(airflow: Airflow, **arguments: Any) -> list[dict[str, Any]]:
    """Return what the entities operator returns for the same run."""
    given = {"task_id": "fetch", "metrics": "passing_by", "time": "by_hour"}
    rows = airflow.run(lambda: AngusEntitiesOperator(**given | arguments), schedule=DAILY)["fetch"].returned
    return [dict(row) for row in rows]


def columns_of(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


def read(path: Path, form: str) -> list[dict[str, Any]]:
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = gzip.decompress(content)
    if form == "jsonl":
        return [json.loads(line) for line in content.decode().splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(content.decode())))
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


def refuse(sandbox: Sandbox, client_id: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    wrong = sandbox.connection(client_id) | {"password": "wrong"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(wrong))
