"""The arguments that the transfers reject when the DAG is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from transfers import to_file, to_table

from airflow_provider_angus.exceptions import AngusTargetError

if TYPE_CHECKING:
    import databases


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "/data/day.xlsx"}, "unknown format 'xlsx'. The extension or format= must be one of jsonl, csv, parq"),
        ({"path": "/data/day"}, "'/data/day' has no extension"),
        ({"path": "/data/day.csv", "format": "xml"}, "unknown format 'xml'"),
        ({"path": "/data/day.parquet.gz"}, "Remove .gz"),
    ],
)
def test_object_storage_path_without_format_is_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusTargetError, match=message):
        to_file(**arguments)


@pytest.mark.parametrize("table", ['audience"; DROP TABLE x; --', "audience'", "a b", "a.b.c.d", "1st", "", "a."])
def test_sql_invalid_table_name_is_rejected(sqlite: databases.Database, table: str) -> None:
    with pytest.raises(AngusTargetError, match="is not a valid table name"):
        to_table(sqlite, table=table)


def test_transfer_templates_are_accepted_unchecked(sqlite: databases.Database) -> None:
    assert to_file("/data/{{ params.name }}").path == "/data/{{ params.name }}"
    assert to_table(sqlite, table="{{ params.table }}").table == "{{ params.table }}"
