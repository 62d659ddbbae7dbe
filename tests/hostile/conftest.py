"""What was survived, as a table at the end: what was done, how often, in which path, what came of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


class Tell(Protocol):
    """What a test calls when something was survived."""

    def __call__(self, what: str, path: str, outcome: str, times: int = 1) -> None: ...


_SURVIVED = pytest.StashKey[dict[str, dict[str, Counter[str]]]]()


_PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Iterator[Tell]:
    """Note what was survived; it goes into the table when the test has passed.

    ``what`` was done (a row of the table), ``path``: in which path, ``outcome``:
    what came of it, ``times``: how often.
    """
    told: list[tuple[str, str, str, int]] = []

    def note(what: str, path: str, outcome: str, times: int = 1) -> None:
        told.append((what, path, outcome, times))

    yield note
    if not request.node.stash.get(_PASSED, False):
        return
    table = request.config.stash.setdefault(_SURVIVED, {})
    for what, path, outcome, times in told:
        table.setdefault(what, {}).setdefault(path, Counter())[outcome] += times


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table = terminalreporter.config.stash.get(_SURVIVED, {})
    if not table:
        return
    terminalreporter.section("survived")
    total = 0
    for what, paths in table.items():
        terminalreporter.write_line(what)
        for path, outcomes in paths.items():
            total += sum(outcomes.values())
            words = ", ".join(f"{outcome} x {times:,}" if times > 1 else outcome for outcome, times in outcomes.items())
            terminalreporter.write_line(f"    {path:24}{words}")
    lost = sum(len(terminalreporter.stats.get(outcome, [])) for outcome in ("failed", "error"))
    verdict = f"{lost} tests FAILED, see above" if lost else "all were survived"
    terminalreporter.write_line(f"{len(table):,} things were done, {total:,} times in all: {verdict}.")
