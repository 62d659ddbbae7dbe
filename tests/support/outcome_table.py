"""The table of outcomes that the robustness tests print."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Record(Protocol):
    """Records an outcome of a test for the table.

    :param event: the row: a fault or another event.
    :param path: the line in the row: the operator, trigger or other code that met the event.
    :param outcome: the result.
    :param times: the number of equal results.
    """

    def __call__(self, event: str, path: str, outcome: str, times: int = 1) -> None: ...


class OutcomeTable:
    """Counts outcomes by event and path."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Counter[str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, event: str, path: str, outcome: str, times: int = 1) -> None:
        """Add an outcome."""
        self._rows.setdefault(event, {}).setdefault(path, Counter())[outcome] += times

    def lines(self, failed: int) -> Iterator[str]:
        """Yield the lines of the table.

        :param failed: the number of tests that failed and so are not in the table.
        """
        total = 0
        for event, paths in self._rows.items():
            yield event
            for path, outcomes in paths.items():
                total += outcomes.total()
                counted = (f"{outcome} x {times:,}" if times > 1 else outcome for outcome, times in outcomes.items())
                yield f"    {path:24}{', '.join(counted)}"
        result = f"{failed} tests FAILED, see above" if failed else "all outcomes as expected"
        yield f"{len(self._rows):,} events, {total:,} outcomes: {result}."
