"""How the benchmark's numbers are written down: tables in Markdown, in docs/benchmarks.md and at the top in README."""

from __future__ import annotations

import os
import platform
import re
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
#: What README shows stands between these, and is replaced as a whole.
MARKS = ("<!-- what make bench wrote -->", "<!-- end of what make bench wrote -->")
PACKAGES = (
    *("airflow-provider-angus", "apache-airflow", "apache-airflow-providers-http"),
    *("airflow-provider-fivetran-async", "apache-airflow-providers-dbt-cloud", "requests", "httpx"),
)


@dataclass
class Table:
    """A table of the report, filled row by row.

    :param title: its heading.
    :param head: the columns' names.
    :param note: what one must know to read it, below it.
    :param in_readme: whether README shows it, too.
    """

    title: str
    head: Sequence[str]
    note: str = ""
    in_readme: bool = False
    rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Add a row, and show that something goes on."""
        self.rows.append(cells)
        print("  ".join(cell for cell in cells if cell), flush=True)

    def __str__(self) -> str:
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(part for part in (f"### {self.title}", table, self.note) if part)


def spread(values: Sequence[float], unit: str, digits: int = 2) -> list[str]:
    """Return median, minimum and maximum as cells."""
    figures = (statistics.median(values), min(values), max(values))
    return [f"{figure:,.{digits}f} {unit}" for figure in figures]


def verdict(value: float, bound: float, unit: str, *, least: bool = False, digits: int = 0) -> str:
    """Return a bound and whether a value is within it, as a cell.

    :param least: whether the bound is the smallest good value, not the largest.
    """
    met = value >= bound if least else value <= bound
    return f"{'≥' if least else '≤'} {bound:,.{digits}f} {unit}".strip() + (" met" if met else " **MISSED**")


def renew(tables: Sequence[Table]) -> None:
    """Put tables in the place of those that have the same headings, in both files; what they stand among stays."""
    for path in (FILE, README):
        text = path.read_text()
        for table in tables:
            whole = rf"### {re.escape(table.title)}\n.*?(?=\n\n### |\n\nMeasured on |\n*\Z)"
            text = re.sub(whole, lambda _, table=table: str(table), text, flags=re.DOTALL)
        path.write_text(text)


def write(tables: Sequence[Table]) -> None:
    """Write the file, and README's part of it."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    when = (
        f"Measured on {datetime.now(UTC):%d %B %Y} with `make bench`: {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {versions}."
    )
    about = (
        "Each measurement is a process of its own against the same sandbox, which takes CPU time on the same cores; "
        "the processes of one table take turns. Ratios are medians of the ratios of runs that followed each other."
    )
    parts = ["# Benchmarks", when, about, *map(str, tables)]
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("\n\n".join(parts) + "\n")
    shown = "\n\n".join(
        [
            *(str(table) for table in tables if table.in_readme),
            f"{when} All tables: [docs/benchmarks.md](docs/benchmarks.md).",
        ]
    )
    begin, end = map(re.escape, MARKS)
    README.write_text(
        re.sub(f"(?s)({begin}).*({end})", lambda marks: f"{marks[1]}\n\n{shown}\n\n{marks[2]}", README.read_text())
    )
