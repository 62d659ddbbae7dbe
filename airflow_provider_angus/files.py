"""How landed rows stand in a file: JSON Lines, CSV and Parquet, page by page and byte for byte the same each time."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.schema import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.schema import Column

    Writer = Callable[[IO[bytes], Iterable[Row], tuple[Column, ...]], None]

#: How many rows make a row group of a Parquet file.
ROW_GROUP = 5000


def format_of(path: str, named: str | None) -> str:
    """Return the format of a file: ``jsonl``, ``csv`` or ``parquet``.

    :param path: ends in ``.jsonl``, ``.csv``, either with ``.gz`` after it, or ``.parquet``, where nothing is named.
    :param named: the format, whatever the path's ending, or None.
    :raises AngusTargetError: it is none of them.
    """
    form = path.removesuffix(".gz").rpartition(".")[2] if named is None else named
    if form not in FORMATS:
        known = ", ".join(FORMATS)
        raise AngusTargetError(
            f"Unknown format {named!r}: format must be one of {known}."
            if named is not None
            else f"The ending of {path!r} names no format: name one of {known} with format=."
        )
    if form == "parquet" and path.endswith(".gz"):
        raise AngusTargetError(f"{path!r}: Parquet compresses its columns itself, leave out .gz.")
    return form


def write(file: IO[bytes], rows: Iterable[Row], columns: tuple[Column, ...], form: str, *, compress: bool) -> None:
    """Write rows.

    :param file: what to write to.
    :param rows: as ``schema.landed`` returns them; consumed one after the other.
    :param columns: their schema.
    :param form: see :func:`format_of`.
    :param compress: whether with gzip; the same rows give the same bytes, so no time stands in it.
    :raises AngusTargetError: the format's library is not installed.
    :raises OSError: the file cannot be written.
    """
    if compress:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            FORMATS[form](cast("IO[bytes]", packed), rows, columns)
    else:
        FORMATS[form](file, rows, columns)


def _write_jsonl(file: IO[bytes], rows: Iterable[Row], _: tuple[Column, ...]) -> None:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    for row in rows:
        file.write(f"{encode(row)}\n".encode())


def _write_csv(file: IO[bytes], rows: Iterable[Row], columns: tuple[Column, ...]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    table = csv.writer(text, lineterminator="\n")
    names = [column.name for column in columns]
    table.writerow(names)
    table.writerows([texts[name] for name in names] for texts in map(as_text, rows))
    text.flush()
    # Else it closes the file together with itself.
    text.detach()


def _write_parquet(file: IO[bytes], rows: Iterable[Row], columns: tuple[Column, ...]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise AngusTargetError("Parquet needs pyarrow: pip install 'airflow-provider-angus[parquet]'.") from error
    kinds = {str: pa.string(), dict: pa.string(), int: pa.int64(), float: pa.float64()}
    kinds[datetime] = pa.timestamp("us", tz="UTC")
    shape = pa.schema([pa.field(name, kinds[kind]) for name, kind in columns])
    rest = iter(rows)
    with parquet.ParquetWriter(file, shape) as table:
        while group := list(islice(rest, ROW_GROUP)):
            table.write_table(pa.Table.from_pylist([_with_times(as_text(row), columns) for row in group], shape))


def as_text(row: Row) -> Row:
    """Return a landed row with what nobody documented as JSON text, for where a value is one text or number."""
    return row if row[OTHER] is None else {**row, OTHER: json.dumps(row[OTHER], ensure_ascii=False)}


def _with_times(row: Row, columns: tuple[Column, ...]) -> dict[str, Any]:
    times = {name: datetime.fromisoformat(row[name]) for name, kind in columns if kind is datetime}
    return {**row, **times}


#: The formats by their names, which are also the endings of files.
FORMATS: dict[str, Writer] = {"jsonl": _write_jsonl, "csv": _write_csv, "parquet": _write_parquet}
