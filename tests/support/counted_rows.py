"""Rows that count themselves, for tests of how many rows stay in memory."""

from __future__ import annotations

from typing import Any, ClassVar


class CountedRow(dict[str, Any]):
    """A row. ``CountedRow.alive`` is the number of rows that still exist."""

    alive: ClassVar[int] = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        CountedRow.alive += 1

    def __del__(self) -> None:
        CountedRow.alive -= 1
