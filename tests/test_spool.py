"""Rows that wait: all of them come back as they were, from memory or from a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.spool import Spool

values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
rows = st.lists(st.dictionaries(st.text(), values | st.lists(values)), max_size=30)


@given(rows, st.none() | st.integers(0, 10))
def test_rows_come_back_in_order_and_as_often_as_asked(given_rows: list[dict[str, Any]], in_memory: int | None) -> None:
    with Spool(in_memory) as spool:
        for row in given_rows:
            spool.append(row)
        assert len(spool) == len(given_rows)
        assert list(spool) == given_rows
        assert list(spool) == given_rows


def test_memory_holds_no_more_than_it_may() -> None:
    with Spool(5) as spool:
        for number in range(1000):
            spool.append({"number": number})
            assert len(spool._rows) <= 5  # noqa: SLF001 (what memory holds shows nowhere else)
        assert [row["number"] for row in spool] == list(range(1000))


def test_few_rows_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with Spool(5) as spool:
        for number in range(5):
            spool.append({"number": number})
        with pytest.raises(FileNotFoundError):
            spool.append({"number": 5})


def test_a_full_disk_shows_when_rows_are_flushed_at_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Any:
        return Path("/dev/full").open("w+")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    spool = Spool(0)
    spool.append({"number": 1})
    with pytest.raises(OSError, match="No space left"):
        spool.flush()
