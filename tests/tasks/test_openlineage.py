"""The lineage of transfers, as OpenLineage's extractor reads it from an operator that ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from databases import Database

    from airflow_provider_angus.sandbox import Sandbox

ARGUMENTS: dict[str, Any] = {"task_id": "load", "metrics": "passing_by,stop_time", "time": "by_hour"}
DAY = {"from_date": "2026-11-19", "to_date": "2026-11-20"}
FIELDS = [
    ("stream", "string"),
    ("bucket_start", "timestamp"),
    ("bucket_end", "timestamp"),
    ("passing_by", "integer"),
    ("stop_time", "double"),
    ("other", "json"),
]

pytestmark = pytest.mark.usefixtures("connection")


def run_and_extract(operator: Any) -> dict[str, Any]:
    from airflow.providers.openlineage.extractors.base import DefaultExtractor

    operator.execute({})
    lineage = DefaultExtractor(operator).extract_on_complete(None)
    return {
        "inputs": [(dataset.namespace, dataset.name) for dataset in lineage.inputs],
        "outputs": [
            (dataset.namespace, dataset.name, [(field.name, field.type) for field in dataset.facets["schema"].fields])
            for dataset in lineage.outputs
        ],
    }


def test_openlineage_has_streams_and_file(sandbox: Sandbox, tmp_path: Path) -> None:
    path = str(tmp_path / "day.csv")
    stream = next(iter(sandbox.streams))
    assert run_and_extract(AngusToObjectStorageOperator(**ARGUMENTS, **DAY, path=path)) == {
        "inputs": [(f"angus://{stream}", "entities")],
        "outputs": [("file", path, FIELDS)],
    }


def test_openlineage_has_streams_and_table(sandbox: Sandbox, postgres: Database) -> None:
    stream = next(iter(sandbox.streams))
    sql = {"sql_conn_id": postgres.conn_id, "table": postgres.table, "create_table": True}
    assert run_and_extract(AngusToSqlOperator(**ARGUMENTS, **DAY, **sql)) == {
        "inputs": [(f"angus://{stream}", "entities")],
        "outputs": [("postgres://127.0.0.1:5432", f"test.{postgres.table}", FIELDS)],
    }


@pytest.mark.usefixtures("airflow")
def test_openlineage_names_database_without_hook_info(sqlite: Database, tmp_path: Path) -> None:
    sql = {"sql_conn_id": sqlite.conn_id, "table": sqlite.table, "create_table": True}
    (output,) = run_and_extract(AngusToSqlOperator(**ARGUMENTS, **DAY, **sql))["outputs"]
    assert output[:2] == (f"sqlite://{tmp_path}/tests.sqlite", sqlite.table)


def test_openlineage_is_none_before_rows_are_loaded(tmp_path: Path) -> None:
    operator = AngusToObjectStorageOperator(**ARGUMENTS, path=str(tmp_path / "day.csv"))
    assert operator.get_openlineage_facets_on_complete(None) is None
