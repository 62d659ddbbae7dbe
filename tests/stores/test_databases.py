"""Databases that only ``make stores`` has. The tests of ``tests/unit/loading`` run on them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from databases import made
from loaded_rows import replace, rows
from other_hooks import hook_of

from airflow_provider_angus.loading.sql_names import sqlalchemy_dialect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from databases import Database


@pytest.mark.parametrize("dialect", ["snowflake", "redshift", "databricks", "bigquery", "trino", "duckdb", "oracle"])
def test_dialect_is_installed_for_compiled_statements(dialect: str) -> None:
    """The tests of compiled statements are skipped without it."""
    assert sqlalchemy_dialect(hook_of(dialect)) is not None


@pytest.fixture
def snowflake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    yield from made("snowflake", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("table", "stored"), [("audience", "AUDIENCE"), ("Audience", "Audience"), ("tests.public.y", "Y")]
)
def test_snowflake_unquoted_name_is_upper_case(snowflake: Database, table: str, stored: str) -> None:
    snowflake.table = table
    for passing_by in (7, 8):
        replace(snowflake, rows(passing_by=passing_by))
    assert stored in snowflake.table_names()
    assert snowflake.run(f'SELECT PASSING_BY FROM "{stored}"') == [(8,)] * 3  # noqa: S608 (the test's names)
