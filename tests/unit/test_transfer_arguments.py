"""The arguments that the transfers reject when the DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from transfers import to_file, to_table

from airflow_provider_angus.exceptions import AngusRequestError, AngusTargetError
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

if TYPE_CHECKING:
    import databases


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "/data/day.xlsx"}, "path: expected an extension of jsonl, csv, parquet, got str '/data/day.xlsx'"),
        ({"path": "/data/day"}, "path: expected an extension of jsonl, csv, parquet, got str '/data/day'"),
        ({"path": "/data/day.csv", "format": "xml"}, "format: expected one of jsonl, csv, parquet, got str 'xml'"),
        ({"path": "/data/day.parquet.gz"}, "Remove .gz"),
    ],
)
def test_object_storage_path_without_format_is_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusTargetError, match=message):
        to_file(**arguments)


@pytest.mark.parametrize("table", ["a.b.c.d", "a.", '"a', "", "  ", "a\nb", None, ["a"], 1.5, True])
def test_sql_invalid_table_name_is_rejected(sqlite: databases.Database, table: Any) -> None:
    with pytest.raises(AngusTargetError, match="table: expected the name of a table, got "):
        to_table(sqlite, table=table)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": None}, AngusTargetError, "path: expected the path or URL of a file, got None."),
        ({"path": "a\x00.csv"}, AngusTargetError, r"path: expected the path or URL of a file, got str 'a\x00.csv'."),
        ({"path": b"a.csv"}, AngusTargetError, "path: expected the path or URL of a file, got bytes b'a.csv'."),
        ({"path": ["a.csv"]}, AngusTargetError, "path: expected the path or URL of a file, got list ['a.csv']."),
        ({"format": 3}, AngusTargetError, "format: expected one of jsonl, csv, parquet, got int 3."),
        ({"storage_conn_id": ""}, AngusRequestError, "storage_conn_id: expected a connection ID, got str ''."),
        ({"allow_empty": "no"}, AngusRequestError, "allow_empty: expected True or False, got str 'no'."),
    ],
)
def test_object_storage_other_type_is_rejected(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        AngusToObjectStorageOperator(**{"task_id": "load", "metrics": "passing_by", "path": "a.csv"} | arguments)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sql_conn_id": None}, "sql_conn_id: expected a connection ID, got None."),
        ({"sql_conn_id": ["a"]}, "sql_conn_id: expected a connection ID, got list ['a']."),
        ({"create_table": 1}, "create_table: expected True or False, got int 1."),
        ({"lookback": timedelta(0)}, "lookback: expected a positive timedelta, got timedelta 0:00:00."),
        ({"lookback": 7}, "lookback: expected a positive timedelta, got int 7."),
        (
            {"lookback": timedelta(days=7), "time": "global"},
            "lookback: expected None for time='global', got timedelta 7 days, 0:00:00. Use by_hour or by_day.",
        ),
    ],
)
def test_sql_other_type_is_rejected(sqlite: databases.Database, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusRequestError) as raised:
        to_table(sqlite, **arguments)
    assert str(raised.value) == message


@pytest.mark.parametrize("path", [Path("/data/a.csv"), PurePosixPath("/data/a.csv"), "/data/a.csv"])
def test_object_storage_path_of_operating_system_is_text(path: Any) -> None:
    assert AngusToObjectStorageOperator(task_id="load", metrics="passing_by", path=path).path == "/data/a.csv"


def test_object_storage_path_template_is_checked_when_rendered() -> None:
    """An ObjectStoragePath without a template is checked when the DAG is parsed."""
    for path in (Path("/data/{{ ds }}"), ObjectStoragePath("/data/{{ ds }}")):
        AngusToObjectStorageOperator(task_id="load", metrics="passing_by", path=path)
    with pytest.raises(AngusTargetError, match="/data/day"):
        AngusToObjectStorageOperator(task_id="load", metrics="passing_by", path=ObjectStoragePath("/data/day"))


def test_transfer_templates_are_accepted_unchecked(sqlite: databases.Database) -> None:
    assert to_file("/data/{{ params.name }}").path == "/data/{{ params.name }}"
    assert to_table(sqlite, table="{{ params.table }}").table == "{{ params.table }}"


@pytest.mark.parametrize(
    "path", ["s3://AKIA:s3cret@bucket/day.csv", "ftp://me:s3cret@host/day.csv", "file://a:s3cret@/x.csv"]
)
def test_object_storage_path_with_password_is_rejected(path: str) -> None:
    with pytest.raises(AngusTargetError, match="path: expected a URL without a password") as raised:
        AngusToObjectStorageOperator(task_id="load", metrics="passing_by", path=path)
    assert "s3cret" not in str(raised.value)
