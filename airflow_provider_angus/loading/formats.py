"""File formats of loaded rows: JSON Lines, CSV and Parquet. The same rows always give the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import datetime
from itertools import islice
from typing import IO, Any, Literal, cast

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.model.arguments import describe_argument
from airflow_provider_angus.model.columns import OTHER, Column
from airflow_provider_angus.model.entities import Row

Format = Literal["jsonl", "csv", "parquet"]
Columns = tuple[Column, ...]
Writer = Callable[[IO[bytes], Iterable[Row], Columns], None]

#: The number of rows in a row group of a Parquet file.
ROW_GROUP = 5000


def file_format(path: str, format_: str | None) -> Format:
    """Return the format of a file: ``format_``, or if it is None, the extension of the path before an optional ``.gz``.

    Extensions are case-insensitive.

    :raises AngusTargetError: the format is unknown, or the path has no extension.
    """
    extension = path.lower().removesuffix(".gz").rpartition("/")[2].rpartition(".")[2]
    name, known = extension if format_ is None else format_, ", ".join(_WRITERS)
    if not isinstance(name, str) or name not in _WRITERS:
        if format_ is not None:
            raise AngusTargetError(f"format: expected one of {known}, got {describe_argument(format_)}.")
        raise AngusTargetError(
            f"path: expected an extension of {known}, got str {path[-200:]!r}. Change it, or set format=."
        )
    if name == "parquet" and is_gzip(path):
        raise AngusTargetError(
            f"path: expected no .gz, got str {path[-200:]!r}. Parquet compresses its columns itself. Remove .gz."
        )
    return name


def is_gzip(path: str) -> bool:
    """Return whether the path ends with ``.gz``, in upper or lower case."""
    return path.lower().endswith(".gz")


def write_rows(file: IO[bytes], rows: Iterable[Row], columns: Columns, format_: Format, *, compress: bool) -> None:
    """Write rows to an open file.

    :param rows: as ``normalize_row`` returns them; consumed one at a time.
    :param compress: whether to compress with gzip, without a time stamp so that the bytes depend on the rows only.
    :raises AngusTargetError: the format's library is not installed.
    :raises OSError: the file cannot be written.
    """
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) if compress else nullcontext(file) as target:
        _WRITERS[format_](cast("IO[bytes]", target), rows, columns)


def _write_jsonl(file: IO[bytes], rows: Iterable[Row], _: Columns) -> None:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    file.writelines(f"{encode(row)}\n".encode() for row in rows)


def _write_csv(file: IO[bytes], rows: Iterable[Row], columns: Columns) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    names = [column.name for column in columns]
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in map(_encode_other, rows))
    # Otherwise the wrapper would close the file.
    text.detach()


def _write_parquet(file: IO[bytes], rows: Iterable[Row], columns: Columns) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise AngusTargetError("Parquet needs pyarrow: pip install 'airflow-provider-angus[parquet]'.") from error
    types = {str: pa.string(), dict: pa.string(), int: pa.int64(), float: pa.float64()}
    types[datetime] = pa.timestamp("us", tz="UTC")
    schema = pa.schema([pa.field(name, types[kind]) for name, kind in columns])
    dates = [column.name for column in columns if column.type is datetime]
    remaining = map(_encode_other, rows)
    with parquet.ParquetWriter(file, schema) as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            typed = [row | {name: datetime.fromisoformat(row[name]) for name in dates} for row in group]
            writer.write_table(pa.Table.from_pylist(typed, schema))


def _encode_other(row: Row) -> dict[str, Any]:
    """Return a row whose undocumented keys are JSON text, for formats without nested values."""
    return row if row[OTHER] is None else row | {OTHER: json.dumps(row[OTHER], ensure_ascii=False)}


_WRITERS: dict[Format, Writer] = {"jsonl": _write_jsonl, "csv": _write_csv, "parquet": _write_parquet}
