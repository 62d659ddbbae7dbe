"""RowBuffer: rows in memory and in a temporary file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from counted_rows import CountedRow
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.exceptions import AngusStorageError
from airflow_provider_angus.loading.row_buffer import RowBuffer

values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
row_lists = st.lists(st.dictionaries(st.text(), values | st.lists(values)), max_size=30)


@given(row_lists, st.none() | st.integers(0, 10))
def test_row_buffer_returns_rows_in_order_repeatedly(rows: list[dict[str, Any]], max_in_memory: int | None) -> None:
    with RowBuffer(max_in_memory) as buffer:
        for row in rows:
            buffer.append(row)
        assert len(buffer) == len(rows)
        assert list(buffer) == rows
        assert list(buffer) == rows


def test_row_buffer_memory_stays_below_limit() -> None:
    with RowBuffer(5) as buffer:
        for number in range(1000):
            buffer.append(CountedRow({"number": number}))
            assert CountedRow.alive <= 5
        assert [row["number"] for row in buffer] == list(range(1000))


def test_row_buffer_below_limit_uses_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/missing")
    with RowBuffer(5) as buffer:
        for number in range(5):
            buffer.append({"number": number})
        with pytest.raises(AngusStorageError, match="Temporary file for rows could not be written") as raised:
            buffer.append({"number": 5})
    assert isinstance(raised.value.__cause__, FileNotFoundError)


def test_row_buffer_full_disk_raises_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error appears when a row is added, not when the file is closed."""
    monkeypatch.setattr(tempfile, "TemporaryFile", Path("/dev/full").open)
    buffer = RowBuffer(0)
    with pytest.raises(AngusStorageError, match="No space left") as raised:
        buffer.append({"number": 1})
    assert isinstance(raised.value.__cause__, OSError)
