"""Helpers for tests of operators and transfers: tasks that load a day, and readers of the loaded rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import TYPE_CHECKING, Any

from sensors import DAILY, ONE_RETRY

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from pathlib import Path

    import databases
    import pytest
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

__all__ = ["DAILY", "ONE_RETRY"]


def fetch(**arguments: Any) -> AngusEntitiesOperator:
    """Return a task ``fetch`` that returns ``passing_by`` by the hour."""
    return AngusEntitiesOperator(**{"task_id": "fetch", "metrics": "passing_by", "time": "by_hour"} | arguments)


def to_file(path: Path | str, **arguments: Any) -> AngusToObjectStorageOperator:
    """Return a task ``load`` that writes ``passing_by`` by the hour to a file."""
    defaults = {"task_id": "load", "metrics": "passing_by", "time": "by_hour", "path": str(path)}
    return AngusToObjectStorageOperator(**defaults | arguments)


def to_table(database: databases.Database, **arguments: Any) -> AngusToSqlOperator:
    """Return a task ``load`` that loads ``passing_by`` by the hour into a table. It creates the table if necessary."""
    defaults = {
        "task_id": "load",
        "metrics": "passing_by",
        "time": "by_hour",
        "sql_conn_id": database.conn_id,
        "table": database.table,
        "create_table": True,
    }
    return AngusToSqlOperator(**defaults | arguments)


def load(airflow: Airflow, build: Any, **run: Any) -> Outcome:
    """Run the task ``load`` that ``build`` creates, by default for 20 November 2026."""
    return airflow.run(build, **{"schedule": DAILY} | run)["load"]


def fetched_rows(airflow: Airflow, **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows that the entities operator returns for 20 November 2026."""
    return [dict(row) for row in airflow.run(lambda: fetch(**arguments), schedule=DAILY)["fetch"].returned]


def columns_of(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of rows, as tuples."""
    return [tuple(row[column] for column in columns) for row in rows]


def read_file(path: Path, format: str) -> list[dict[str, Any]]:  # noqa: A002 (the operator's name)
    """Return the rows of a file. A path that ends with ``.gz`` in any case is decompressed first."""
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        content = gzip.decompress(content)
    if format == "jsonl":
        return [json.loads(line) for line in content.decode().splitlines()]
    if format == "csv":
        return list(csv.DictReader(io.StringIO(content.decode())))
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


def add_undocumented_key(metric: str) -> Any:
    """Return a change of a response that adds the key ``smiles`` with the value 3 to a metric of each bucket."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        for bucket in body["entities"].values():
            bucket.setdefault(metric, {})["smiles"] = 3
        return body

    return change


def without_rows(body: dict[str, Any]) -> dict[str, Any]:
    """Return the response without buckets, as the API sends it for an interval without data."""
    return body | {"entities": {}, "total_results": 0, "nb_of_pages": 0}


def set_wrong_password(sandbox: Sandbox, client_id: str, conn_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a connection to a stream have credentials that the sandbox refuses."""
    refused = sandbox.connection(client_id) | {"password": "wrong"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(refused))
