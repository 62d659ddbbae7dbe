"""Files of rows: each format gives back what was written, and the same bytes for the same rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_angus import files
from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.files import FORMATS, format_of, write
from airflow_provider_angus.schema import schema

COLUMNS = schema(["passing_by", "stop_time", "satisfaction"])
START = datetime(2026, 11, 20, tzinfo=UTC)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "stream": st.text(st.characters(exclude_categories=["C", "Z"])),
            "bucket_start": st.integers(0, 10**6).map(lambda hours: (START + timedelta(hours=hours)).isoformat()),
            "bucket_end": st.integers(0, 10**6).map(lambda hours: (START + timedelta(hours=hours)).isoformat()),
            "passing_by": st.none() | st.integers(-(2**63), 2**63 - 1),
            "stop_time": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "other": st.none() | st.dictionaries(st.text("abc", min_size=1), st.integers(), min_size=1),
        }
    ),
    max_size=20,
)


def written(some: list[dict[str, Any]], form: str, *, compress: bool = False) -> bytes:
    file = io.BytesIO()
    write(file, iter(some), COLUMNS, form, compress=compress)
    return file.getvalue()


@given(rows)
def test_json_lines_are_the_rows(some: list[dict[str, Any]]) -> None:
    lines = written(some, "jsonl").split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == some


@given(rows)
def test_csv_has_a_header_and_the_rows_with_nothing_for_null(some: list[dict[str, Any]]) -> None:
    header, *lines = csv.reader(io.StringIO(written(some, "csv").decode(), newline=""))
    assert header == [column.name for column in COLUMNS]
    back = [
        {
            "stream": stream,
            "bucket_start": start,
            "bucket_end": end,
            "passing_by": int(count) if count else None,
            "stop_time": float(mean) if mean else None,
            "other": json.loads(other) if other else None,
        }
        for stream, start, end, count, mean, other in lines
    ]
    assert back == some


@given(rows)
def test_parquet_has_typed_columns_and_the_rows(some: list[dict[str, Any]]) -> None:
    table = parquet.read_table(io.BytesIO(written(some, "parquet")))
    assert {field.name: str(field.type) for field in table.schema} == {
        "stream": "string",
        "bucket_start": "timestamp[us, tz=UTC]",
        "bucket_end": "timestamp[us, tz=UTC]",
        "passing_by": "int64",
        "stop_time": "double",
        "other": "string",
    }
    back = [
        {
            **row,
            "bucket_start": row["bucket_start"].isoformat(),
            "bucket_end": row["bucket_end"].isoformat(),
            "other": row["other"] and json.loads(row["other"]),
        }
        for row in table.to_pylist()
    ]
    assert back == some


def test_parquet_makes_row_groups_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROW_GROUP", 10)
    row = {"stream": "x", "bucket_start": START.isoformat(), "bucket_end": START.isoformat()}
    row |= {"passing_by": 1, "stop_time": None, "other": None}
    metadata = parquet.read_metadata(io.BytesIO(written([row] * 25, "parquet")))
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [10, 10, 5]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@given(some=rows)
def test_gzip_holds_the_same_and_is_the_same_at_any_time(form: str, some: list[dict[str, Any]]) -> None:
    packed = written(some, form, compress=True)
    assert gzip.decompress(packed) == written(some, form)
    # Bytes 4 to 7 would be the time.
    assert packed[4:8] == bytes(4)


@pytest.mark.parametrize("form", list(FORMATS))
def test_rows_are_consumed_one_after_the_other(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROW_GROUP", 10)
    alive = 0

    class Row(dict[str, Any]):
        def __init__(self, *args: Any) -> None:
            nonlocal alive
            super().__init__(*args)
            alive += 1
            assert alive <= 30

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    row = {"stream": "x", "bucket_start": START.isoformat(), "bucket_end": START.isoformat()}
    row |= {"passing_by": 1, "stop_time": None, "other": None}
    write(io.BytesIO(), (Row(row) for _ in range(500)), COLUMNS, form, compress=False)
    assert alive <= 1


@pytest.mark.parametrize(
    ("path", "named", "form"),
    [
        ("/data/day.jsonl", None, "jsonl"),
        ("s3://me@bucket/day.csv.gz", None, "csv"),
        ("day.parquet", None, "parquet"),
        ("day.txt", "csv", "csv"),
        ("day.json.gz", "jsonl", "jsonl"),
    ],
)
def test_the_ending_or_the_argument_names_the_format(path: str, named: str | None, form: str) -> None:
    assert format_of(path, named) == form


@pytest.mark.parametrize(
    ("path", "named"),
    [("day", None), ("day.gz", None), ("day.JSONL", None), ("day.csv", "CSV"), ("day.csv", ""), ("x.parquet.gz", None)],
)
def test_what_is_no_format_is_refused(path: str, named: str | None) -> None:
    with pytest.raises(AngusTargetError):
        format_of(path, named)
