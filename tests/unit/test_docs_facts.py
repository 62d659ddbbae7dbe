"""What the documentation says about the package is true."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from doc_pages import BLOCKS, PAGES, ROOT, Block
from error_cases import ALL_CASES
from faults import all_faults
from network_cases import NETWORK_CASES
from paths import PATHS

import airflow_provider_angus
from airflow_provider_angus import exceptions
from airflow_provider_angus._provider_info import CONNECTION_FIELDS
from airflow_provider_angus.exceptions import AngusError, is_retryable
from airflow_provider_angus.hooks import AngusHook

YEAR, STREAMS, WAITS = "A year by the hour, 8,760 buckets", "500 streams", "1,000 waits"
LIST, LISTS = (
    "one task with angus_conn_id=[500 connections]",
    "10 mapped tasks with angus_conn_id=[50 connections]",
)
#: Sentences of pages with a number, and the table, row and column of docs/benchmarks.md that has it.
MEASURED = [
    ("README.md", "A year by hour takes NUMBER s", YEAR, "AngusEntitiesOperator", "median"),
    ("README.md", "(`HttpOperator`: NUMBER s)", YEAR, "HttpOperator", "median"),
    ("README.md", "a day of 500 cameras takes NUMBER s", STREAMS, LISTS, "wall time"),
    ("README.md", "1,000 waiting sensors take NUMBER MiB", WAITS, "memory over the idle loop", "AngusEntitiesTrigger"),
    ("docs/guides/fetching.md", "takes about NUMBER seconds", YEAR, "AngusEntitiesOperator", "median"),
    ("docs/guides/several-streams.md", "500 streams take NUMBER seconds in one task", STREAMS, LIST, "wall time"),
    ("docs/guides/several-streams.md", "and NUMBER seconds in 10 mapped tasks", STREAMS, LISTS, "wall time"),
]


def shown_row(block: Block) -> dict[str, Any] | None:
    """Return the row that a block shows, or None."""
    if block.language != "python":
        return None
    statement = ast.parse(block.text).body[0]
    is_row = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Dict) and "bucket_start" in block.text
    return ast.literal_eval(block.text) if is_row else None


def measured(table: str, row: str, column: str) -> float:
    """Return a number of docs/benchmarks.md.

    :param table: the start of its heading.
    """
    (text,) = re.findall(rf"^### {re.escape(table)}.*\n+((?:\|.*\n)+)", PAGES["docs/benchmarks.md"], re.MULTILINE)
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())
    (cells,) = [cells for cells in rows if cells[0] == row]
    return float(cells[head.index(column)].split()[0].replace(",", ""))


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("block", filter(shown_row, BLOCKS), ids=str)
def test_shown_row_is_the_row_of_the_sandbox(block: Block) -> None:
    shown = shown_row(block)
    metrics = "passing_by,interested,stop_time,gender"
    (row,) = AngusHook().get_entities(metrics, shown["bucket_start"], shown["bucket_end"], "by_hour")
    assert row.pop("stream").startswith(shown.pop("stream").removesuffix("..."))
    assert row == shown
    assert list(row) == list(shown)


def test_readme_is_one_page() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 120
    assert len(PAGES["README.md"].encode()) <= 6 * 1024


@pytest.mark.parametrize("page", PAGES)
def test_page_names_existing_modules(page: str) -> None:
    """``airflow_provider_angus.<module>``."""
    named = set(re.findall(r"airflow_provider_angus\.(\w+)", PAGES[page]))
    existing = {path.stem for path in (ROOT / "airflow_provider_angus").iterdir()}
    assert named - existing == set()


def test_connection_page_has_all_form_fields() -> None:
    table = re.findall(r"^\|.*\(extra `(\w+)`\)", PAGES["docs/connection.md"], re.MULTILINE)
    assert table == list(CONNECTION_FIELDS)


def test_error_page_has_all_classes() -> None:
    """The cases of each class are in ``error_cases.py`` and ``network_cases.py``, which other tests check."""
    row = r"^\| \{exc\}`\.(Angus\w+)` \|.*\| (retries|fails at once) \|$"
    rows = dict(re.findall(row, PAGES["docs/guides/errors.md"], re.MULTILINE))
    classes = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, AngusError)]
    expected = {each.__name__: "retries" if is_retryable(each("")) else "fails at once" for each in classes}
    del expected["AngusError"]
    assert rows == expected


def test_reliability_page_has_numbers_of_cases() -> None:
    page = PAGES["docs/explanation/reliability.md"]
    assert f" {len(all_faults())} faults on each of six paths" in page
    assert len(PATHS) == 6
    assert f" {len(NETWORK_CASES)} cases on all paths" in page
    assert f" {len(ALL_CASES)} errors of databases, stores and disks" in page


@pytest.mark.parametrize(("page", "sentence", "table", "row", "column"), MEASURED)
def test_number_in_text_is_the_measured_one(page: str, sentence: str, table: str, row: str, column: str) -> None:
    pattern = re.escape(sentence).replace("NUMBER", r"(\d[\d.]*)").replace(r"\ ", r"\s+")
    (number,) = re.findall(pattern, PAGES[page])
    digits = len(number.partition(".")[2])
    assert f"{measured(table, row, column):.{digits}f}" == number


def test_changelog_starts_with_the_version() -> None:
    versions = re.findall(r"^## \[?([\d.]+)\]? - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == airflow_provider_angus.__version__


def test_makefile_help_lists_existing_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = re.findall(r"^##   make ([\w-]+)", makefile, re.MULTILINE)
    assert set(listed) <= set(re.findall(r"^([\w-]+):(?!=)", makefile, re.MULTILINE))
    assert len(listed) == len(set(listed))
