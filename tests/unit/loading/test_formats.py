"""Files of rows: each format keeps the rows, and the same rows give the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from counted_rows import CountedRow
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.loading.formats import ROW_GROUP, Format, file_format, write_rows
from airflow_provider_angus.model.columns import table_columns

COLUMNS = table_columns(["passing_by", "stop_time", "satisfaction"])
START = datetime(2026, 11, 20, tzinfo=UTC)

ROW = {"stream": "x", "bucket_start": START.isoformat(), "bucket_end": START.isoformat()}
ROW |= {"passing_by": 1, "stop_time": None, "other": None}

dates = st.integers(0, 10**6).map(lambda hours: (START + timedelta(hours=hours)).isoformat())
row_lists = st.lists(
    st.fixed_dictionaries(
        {
            "stream": st.text(st.characters(exclude_categories=["C", "Z"])),
            "bucket_start": dates,
            "bucket_end": dates,
            "passing_by": st.none() | st.integers(-(2**63), 2**63 - 1),
            "stop_time": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "other": st.none() | st.dictionaries(st.text("abc", min_size=1), st.integers(), min_size=1),
        }
    ),
    max_size=20,
)


def write(rows: list[dict[str, Any]], format_: Format, *, compress: bool = False) -> bytes:
    file = io.BytesIO()
    write_rows(file, iter(rows), COLUMNS, format_, compress=compress)
    return file.getvalue()


@given(row_lists)
def test_jsonl_keeps_rows(rows: list[dict[str, Any]]) -> None:
    lines = write(rows, "jsonl").split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == rows


@given(row_lists)
def test_csv_keeps_rows(rows: list[dict[str, Any]]) -> None:
    """The first line is a header; null is an empty field."""
    header, *lines = csv.reader(io.StringIO(write(rows, "csv").decode(), newline=""))
    assert header == [column.name for column in COLUMNS]
    read = [
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
    assert read == rows


@given(row_lists)
def test_parquet_keeps_rows_in_typed_columns(rows: list[dict[str, Any]]) -> None:
    table = parquet.read_table(io.BytesIO(write(rows, "parquet")))
    assert {field.name: str(field.type) for field in table.schema} == {
        "stream": "string",
        "bucket_start": "timestamp[us, tz=UTC]",
        "bucket_end": "timestamp[us, tz=UTC]",
        "passing_by": "int64",
        "stop_time": "double",
        "other": "string",
    }
    read = [
        {
            **row,
            "bucket_start": row["bucket_start"].isoformat(),
            "bucket_end": row["bucket_end"].isoformat(),
            "other": row["other"] and json.loads(row["other"]),
        }
        for row in table.to_pylist()
    ]
    assert read == rows


def test_parquet_row_groups_have_a_limit() -> None:
    metadata = parquet.read_metadata(io.BytesIO(write([ROW] * (2 * ROW_GROUP + 1), "parquet")))
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert sizes == [ROW_GROUP, ROW_GROUP, 1]


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
@given(rows=row_lists)
def test_gzip_keeps_content_without_a_time_stamp(format_: Format, rows: list[dict[str, Any]]) -> None:
    compressed = write(rows, format_, compress=True)
    assert gzip.decompress(compressed) == write(rows, format_)
    # Bytes 4 to 7 of the header are the time stamp.
    assert compressed[4:8] == bytes(4)


@pytest.mark.parametrize("format_", get_args(Format))
def test_write_rows_keeps_at_most_a_row_group_in_memory(format_: Format) -> None:
    counts = []

    def generate() -> Any:
        for _ in range(3 * ROW_GROUP):
            yield CountedRow(ROW)
            counts.append(CountedRow.alive)

    write_rows(io.BytesIO(), generate(), COLUMNS, format_, compress=False)
    assert max(counts) <= (2 * ROW_GROUP if format_ == "parquet" else 2)
    assert CountedRow.alive <= 1


@pytest.mark.parametrize(
    ("path", "argument", "expected"),
    [
        ("/data/day.jsonl", None, "jsonl"),
        ("s3://me@bucket/day.csv.gz", None, "csv"),
        ("day.parquet", None, "parquet"),
        ("day.txt", "csv", "csv"),
        ("day.json.gz", "jsonl", "jsonl"),
        ("day.CSV", None, "csv"),
        ("/Data/Day.Parquet", None, "parquet"),
        ("day.JSONL.GZ", None, "jsonl"),
        ("day.Txt.Gz", "csv", "csv"),
    ],
)
def test_file_format_argument_overrides_extension(path: str, argument: str | None, expected: Format) -> None:
    assert file_format(path, argument) == expected


@pytest.mark.parametrize(
    ("path", "argument", "message"),
    [
        (
            "day",
            None,
            "path: expected an extension of jsonl, csv, parquet, got str 'day'. Change it, or",
        ),
        ("day.gz", None, "path: expected an extension of jsonl, csv, parquet, got str 'day.gz'"),
        (
            "s3://me@bucket/v1.2/day",
            None,
            "path: expected an extension of jsonl, csv, parquet, got str 's3://me@bucket/v1.2/day'",
        ),
        (
            "day.txt",
            None,
            "path: expected an extension of jsonl, csv, parquet, got str 'day.txt'. Change it, or set format=.",
        ),
        ("day.XLSX", None, "got str 'day.XLSX'"),
        ("day.csv", "CSV", "got str 'CSV'"),
        ("day.csv", "", "got str ''"),
        ("x.parquet.gz", None, "Remove .gz."),
        ("x.Parquet.GZ", None, "Remove .gz."),
        ("day.csv", 5, "got int 5"),
        ("day.csv", ["csv"], "got list"),
    ],
)
def test_file_format_unknown_format_is_rejected(path: str, argument: str | None, message: str) -> None:
    with pytest.raises(AngusTargetError, match=message):
        file_format(path, argument)
