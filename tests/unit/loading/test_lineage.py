"""OpenLineage datasets of files and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_angus.loading.lineage import OutputDataset, file_output, operator_lineage, table_output
from airflow_provider_angus.model.columns import table_columns

if TYPE_CHECKING:
    from pathlib import Path

    from databases import Database

COLUMNS = table_columns(["passing_by", "stop_time"])


@pytest.mark.parametrize(
    ("path", "namespace", "name"),
    [
        ("/data/day.csv", "file", "/data/day.csv"),
        ("file:///data/day.csv", "file", "/data/day.csv"),
        ("s3://bucket/shop/day.csv", "s3://bucket", "shop/day.csv"),
        ("s3://aws_default@bucket/shop/day.csv", "s3://bucket", "shop/day.csv"),
    ],
)
def test_file_output_has_bucket_and_key_without_connection(path: str, namespace: str, name: str) -> None:
    assert file_output(ObjectStoragePath(path), COLUMNS) == (namespace, name, COLUMNS)


def test_table_output_has_server_and_schema(postgres: Database) -> None:
    dataset = table_output(postgres.hook, postgres.table, COLUMNS)
    assert dataset == ("postgres://127.0.0.1:5432", f"test.{postgres.table}", COLUMNS)


@pytest.mark.usefixtures("airflow")
def test_table_output_without_hook_info_uses_connection(sqlite: Database, tmp_path: Path) -> None:
    dataset = table_output(sqlite.hook, sqlite.table, COLUMNS)
    assert dataset == (f"sqlite://{tmp_path}/tests.sqlite", sqlite.table, COLUMNS)


def test_operator_lineage_has_streams_output_and_columns() -> None:
    lineage = operator_lineage(["camera", "kamera"], lambda: OutputDataset("s3://bucket", "day.csv", COLUMNS))
    assert [(dataset.namespace, dataset.name) for dataset in lineage.inputs] == [
        ("angus://camera", "entities"),
        ("angus://kamera", "entities"),
    ]
    (output,) = lineage.outputs
    assert (output.namespace, output.name) == ("s3://bucket", "day.csv")
    assert [(field.name, field.type) for field in output.facets["schema"].fields] == [
        ("stream", "string"),
        ("bucket_start", "timestamp"),
        ("bucket_end", "timestamp"),
        ("passing_by", "integer"),
        ("stop_time", "double"),
        ("other", "json"),
    ]
