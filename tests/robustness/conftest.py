"""Print a table of outcomes at the end: the events, how often they happened, and what the provider did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outcome_table import OutcomeTable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from outcome_table import Record

_TABLE = pytest.StashKey[OutcomeTable]()
_PASSED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = OutcomeTable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    """Record outcomes. The table shows them if the test passes."""
    outcomes: list[tuple[str, str, str, int]] = []

    def append(event: str, path: str, outcome: str, times: int = 1) -> None:
        outcomes.append((event, path, outcome, times))

    yield append
    if request.node.stash.get(_PASSED, False):
        for outcome in outcomes:
            request.config.stash[_TABLE].add(*outcome)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table = terminalreporter.config.stash[_TABLE]
    if table:
        terminalreporter.section("outcomes")
        failed = sum(len(terminalreporter.stats.get(outcome, [])) for outcome in ("failed", "error"))
        for line in table.lines(failed):
            terminalreporter.write_line(line)
