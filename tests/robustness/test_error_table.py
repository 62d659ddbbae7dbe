"""Each error of a database, store or disk, in tasks that Airflow runs: retried only if a retry can help."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from airflow.providers.sqlite.hooks.sqlite import SqliteHook
from error_cases import DISK_CASES, SQL_CASES, STORE_CASES, Case
from stores import Store, path_in
from transfers import ONE_RETRY, load, to_file, to_table

from airflow_provider_angus.exceptions import is_retryable
from airflow_provider_angus.loading.formats import write_rows

if TYPE_CHECKING:
    from pathlib import Path

    import databases
    from airflow_runs import Airflow, Outcome
    from outcome_table import Record

pytestmark = pytest.mark.usefixtures("connection")


class FaultyCursor:
    """A cursor of SQLite that fails on INSERT, and ignores statements that only other databases have."""

    def __init__(self, cursor: Any, error: Exception) -> None:
        self._cursor, self._error = cursor, error

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement.startswith("INSERT"):
            raise self._error
        if statement.startswith(("SET ", "SELECT GET_LOCK", "SELECT RELEASE_LOCK")):
            return self._cursor.execute("SELECT 1")
        return self._cursor.execute(statement, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class FaultyConnection:
    """A connection with cursors that fail."""

    def __init__(self, connection: Any, error: Exception) -> None:
        self._connection, self._error = connection, error

    def cursor(self) -> FaultyCursor:
        return FaultyCursor(self._connection.cursor(), self._error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class FaultyHook(SqliteHook):
    """The hook of a database whose driver raises ``error``."""

    error: Exception

    def get_conn(self) -> Any:
        return FaultyConnection(super().get_conn(), self.error)


def check(case: Case, outcome: Outcome, record: Record) -> None:
    kinds = Counter(type(error) for error in outcome.errors)
    assert kinds == {case.expected: 2 if is_retryable(case.expected("")) else 1}
    assert outcome.state == "failed"
    record(f"{case.kind}: {case.name}", "transfer", f"{case.expected.__name__}, {outcome.tries} tries")


@pytest.mark.parametrize("case", SQL_CASES, ids=lambda case: case.name)
def test_database_error_is_retried_only_if_it_can_pass(
    case: Case, airflow: Airflow, sqlite: databases.Database, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hook(FaultyHook):
        error = case.error
        conn_type = case.conn_type

    load(airflow, lambda: to_table(sqlite))
    # So that the next load inserts rows.
    sqlite.run(f"UPDATE {sqlite.table} SET passing_by = -1")  # noqa: S608 (test data)
    before = sqlite.rows()
    with monkeypatch.context() as patch:
        patch.setattr(BaseHook, "get_hook", Hook)
        check(case, load(airflow, lambda: to_table(sqlite, **ONE_RETRY)), record)
    assert sqlite.rows() == before


@pytest.mark.parametrize("case", STORE_CASES, ids=lambda case: case.name)
def test_store_error_is_retried_only_if_it_can_pass(case: Case, airflow: Airflow, record: Record) -> None:
    store = Store()
    path = path_in(store, "s3")
    store.error = case.error
    check(case, load(airflow, lambda: to_file(str(path), **ONE_RETRY)), record)
    assert store.operations == []


@pytest.mark.parametrize("case", DISK_CASES, ids=lambda case: case.name)
def test_disk_error_is_retried_only_if_it_can_pass(
    case: Case, airflow: Airflow, tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails when it is full, for example, so while the rows are written."""

    def fail(file: Any, *arguments: Any, **options: Any) -> None:
        write_rows(file, *arguments, **options)
        raise case.error

    monkeypatch.setattr("airflow_provider_angus.transfers.write_rows", fail)
    check(case, load(airflow, lambda: to_file(tmp_path / "day.csv", **ONE_RETRY)), record)
    assert list(tmp_path.iterdir()) == []
