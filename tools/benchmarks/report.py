"""Write measurements as Markdown tables to docs/benchmarks.md."""

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
PACKAGES = (
    *("airflow-provider-angus", "apache-airflow", "apache-airflow-providers-http"),
    *("airflow-provider-fivetran-async", "apache-airflow-providers-dbt-cloud", "requests", "httpx"),
)


@dataclass
class Table:
    """A table of the report.

    :param title: its heading.
    :param head: the names of the columns.
    :param note: an explanation below the table.
    """

    title: str
    head: Sequence[str]
    note: str = ""
    rows: list[Sequence[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Add a row, and print it as a sign of progress."""
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


def verdict(value: float, bound: float, unit: str, *, at_least: bool = False, digits: int = 0) -> str:
    """Return a bound, and whether a value meets it, as a cell.

    :param at_least: whether the bound is the smallest allowed value instead of the largest.
    """
    met = value >= bound if at_least else value <= bound
    return f"{'≥' if at_least else '≤'} {bound:,.{digits}f} {unit}".strip() + (" met" if met else " **MISSED**")


def update_tables(tables: Sequence[Table]) -> None:
    """Replace the tables with the same headings. Other text stays."""
    text = FILE.read_text()
    for table in tables:
        section = rf"### {re.escape(table.title)}\n.*?(?=\n\n### |\n*\Z)"
        text = re.sub(section, lambda _, table=table: str(table), text, flags=re.DOTALL)
    FILE.write_text(text)


def write_report(tables: Sequence[Table]) -> None:
    """Write docs/benchmarks.md."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    when = (
        f"Measured on {datetime.now(UTC):%d %B %Y} with `make bench`: {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {versions}."
    )
    method = (
        "Each measurement is a process of its own against the same sandbox, which uses CPU time of the same cores. "
        "The processes of a table run alternately. Ratios are medians of the ratios of consecutive runs."
    )
    FILE.write_text("\n\n".join(["# Benchmarks", when, method, *map(str, tables)]) + "\n")
