"""SqlTable writes only the rows that differ, on real databases with tables of any column types."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from counted_rows import CountedRow
from databases import Database, made
from loaded_rows import COLUMNS, HOURS, NOON, replace, rows
from recorded_statements import record_statements, writes

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.loading.sql_compare import Changes
from airflow_provider_angus.loading.sql_dialects import DIALECTS
from airflow_provider_angus.model.columns import table_columns
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_angus.model.entities import Row

#: DuckDB compares timestamps of seconds with instants since version 2.
SECONDS = "TIMESTAMP_S" if version("duckdb") >= "2" else "TIMESTAMP"
SMILES = {"satisfaction_smiles": 3, "satisfaction_é": [1.5, None, "a"]}


def test_sql_equal_rows_send_no_write(database: Database) -> None:
    new = [row | {"other": SMILES} for row in rows()]
    assert replace(database, new) == Changes(added=3)
    before, hook = database.rows("*"), database.hook
    statements = record_statements(hook)
    with SqlTable(hook, database.table, COLUMNS, create=True) as table:
        assert table.replace("camera", HOURS, new) == Changes(unchanged=3)
        assert writes(statements) == []
        changed = table.replace("camera", HOURS, [new[0], new[1] | {"passing_by": 8}, new[2]])
    assert changed == Changes(changed=1, unchanged=2, changed_buckets=[new[1]["bucket_start"]])
    assert writes(statements) == ["DELETE", "INSERT"]
    after = database.rows("*")
    assert [after[0], after[2]] == [before[0], before[2]]
    assert [row[3] for row in after] == [7, 8, 7]


def test_sql_equal_rows_keep_additional_columns(database: Database) -> None:
    replace(database, rows(count=4), interval=Interval(HOURS.start, HOURS.end + timedelta(hours=1)))
    database.run(f"ALTER TABLE {database.table} ADD COLUMN note VARCHAR(10)")
    database.run(f"UPDATE {database.table} SET note = 'mine'")  # noqa: S608 (test data)
    new = [*rows()[:1], rows()[1] | {"passing_by": 8}]
    assert replace(database, new) == Changes(0, 1, 1, 1, [new[1]["bucket_start"]])
    assert [row[0] for row in database.rows("note")] == ["mine", None, "mine"]


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("postgres", "TEXT, TIMESTAMP, TIMESTAMP(0), INTEGER, REAL, NUMERIC(6,2), JSON"),
        ("postgres", "CHAR(40), TIMESTAMPTZ, TIMESTAMPTZ, NUMERIC, NUMERIC, DOUBLE PRECISION, TEXT"),
        ("postgres", "VARCHAR(40), TIMESTAMP, TIMESTAMPTZ, DOUBLE PRECISION, NUMERIC(6,1), REAL, JSONB"),
        ("mysql", "VARCHAR(40), DATETIME, TIMESTAMP NULL, INTEGER, DOUBLE, DECIMAL(6,2), LONGTEXT"),
        ("mysql", "TEXT, DATETIME(6), DATETIME(3), DECIMAL(20), DOUBLE, DECIMAL(6,1), JSON"),
        ("duckdb", f"VARCHAR, TIMESTAMP, {SECONDS}, HUGEINT, FLOAT, DOUBLE, VARCHAR"),
        ("duckdb", "VARCHAR, TIMESTAMPTZ, TIMESTAMPTZ, DECIMAL(18), DOUBLE, FLOAT, JSON"),
        ("sqlite", "VARCHAR(40), TIMESTAMP, DATETIME, NUMERIC, FLOAT, NUMERIC, JSON"),
        ("sqlite", "TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT"),
    ],
)
def test_sql_column_of_another_type_is_equal(
    kind: str, types: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users create tables with types that round values, have no time zone, or are text."""
    columns = table_columns(["passing_by", "stop_time", "attention_time"])
    new = [row | {"stop_time": 31.4159, "attention_time": 2.675, "other": SMILES} for row in rows()]
    new[1] |= {"stop_time": None, "attention_time": None, "other": None, "passing_by": None}
    names = [name for name, _ in columns]
    for database in made(kind, tmp_path, monkeypatch):
        # A comma in parentheses belongs to a type.
        of_columns = types.replace("(6,", "(6;").split(", ")
        definitions = [f"{name} {each.replace(';', ',')}" for name, each in zip(names, of_columns, strict=True)]
        database.run(f"CREATE TABLE {database.table} ({', '.join(definitions)})")
        with SqlTable(database.hook, database.table, columns, create=False) as table:
            assert table.replace("camera", HOURS, new) == Changes(added=3)
            assert table.replace("camera", HOURS, new) == Changes(unchanged=3)
            later = [row | {"attention_time": 4.5} for row in new]
            assert table.replace("camera", HOURS, later).changed == 3
        assert database.count() == 3


def test_sql_date_column_holds_days(postgres: Database) -> None:
    day, one = NOON.replace(hour=0), timedelta(days=1)
    days = [Interval(day + number * one, day + (number + 1) * one) for number in range(2)]
    new = [
        {"stream": "camera", "bucket_start": each.start.isoformat(), "bucket_end": each.end.isoformat()}
        | {"passing_by": 7, "other": None}
        for each in days
    ]
    postgres.run(
        f"CREATE TABLE {postgres.table} (stream TEXT, bucket_start DATE, bucket_end DATE, passing_by INT, other TEXT)"
    )
    interval = Interval(days[0].start, days[1].end)
    assert replace(postgres, new, interval=interval) == Changes(added=2)
    new[0]["passing_by"] = 8
    assert replace(postgres, new, interval=interval).changed == 1
    assert replace(postgres, new, interval=interval) == Changes(unchanged=2)


def test_sql_memory_does_not_grow_with_the_interval(sqlite: Database) -> None:
    """A slice has 1,000 rows. Those of two slices may exist at a time."""
    interval, most = Interval(NOON, NOON + timedelta(hours=5000)), 0

    def counted(passing_by: int) -> Iterator[Row]:
        nonlocal most
        for row in rows(interval=interval, count=5000, passing_by=passing_by):
            yield CountedRow(row)
            most = max(most, CountedRow.alive)

    assert replace(sqlite, counted(7), interval=interval) == Changes(added=5000)
    assert replace(sqlite, counted(8), interval=interval).changed == 5000
    assert most < 2500
    hook = sqlite.hook
    fetched: list[int] = []

    class Cursor(sqlite3.Cursor):
        def fetchall(self) -> list[Any]:
            found = super().fetchall()
            fetched.append(len(found))
            return found

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

    path = hook.get_connection(sqlite.conn_id).host
    hook.get_conn = lambda: sqlite3.connect(path, factory=Connection)  # type: ignore[method-assign]
    with SqlTable(hook, sqlite.table, COLUMNS, create=False) as table:
        assert table.replace("camera", interval, []) == Changes(removed=5000)
    assert max(fetched) == 1000


def test_sql_sqlite_excludes_writers_while_it_compares(sqlite: Database) -> None:
    replace(sqlite, rows())
    path = sqlite.hook.get_connection(sqlite.conn_id).host

    def check_locked() -> Iterator[Row]:
        with (
            closing(sqlite3.connect(path, timeout=0)) as rival,
            pytest.raises(sqlite3.OperationalError, match="database is locked"),
        ):
            rival.execute(f"DELETE FROM {sqlite.table}")  # noqa: S608 (test data)
        yield from rows()

    assert replace(sqlite, check_locked()) == Changes(unchanged=3)


def test_sql_rows_of_a_rival_without_lock_are_replaced(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In databases without a lock, a table without a key does not get the rows of two first loads."""
    replace(postgres, [])
    postgres.run(f"ALTER TABLE {postgres.table} DROP CONSTRAINT {postgres.table.partition('.')[2]}_pkey")
    monkeypatch.setitem(DIALECTS, "postgres", DIALECTS["postgres"]._replace(lock=None))

    def after_rival() -> Iterator[Row]:
        replace(postgres, rows(passing_by=8))
        yield from rows()

    replace(postgres, after_rival())
    assert [row[2] for row in postgres.rows()] == [7, 7, 7]


def test_sql_rows_of_whole_buckets_are_kept(database: Database) -> None:
    """Their parts, which the interval cuts, are deleted. A row of a whole bucket belongs to another interval, too."""
    half = timedelta(minutes=30)
    cut = Interval(HOURS.start + half, HOURS.end - half)
    parts = rows()
    parts[0]["bucket_start"], parts[2]["bucket_end"] = (edge.isoformat() for edge in cut)
    replace(database, rows(passing_by=8))
    assert replace(database, parts, interval=cut).added == 2
    with SqlTable(database.hook, database.table, COLUMNS, create=False) as table:
        changes = table.replace("camera", cut, [row | {"passing_by": 9} for row in parts], whole=HOURS)
    assert (changes.changed, changes.unchanged, changes.removed) == (1, 2, 2)
    assert [row[2] for row in database.rows()] == [8, 9, 8]


def test_sql_unreadable_key_is_named(sqlite: Database) -> None:
    sqlite.run(f"CREATE TABLE {sqlite.table} (stream TEXT, bucket_start TEXT, bucket_end TEXT, passing_by INT)")
    values = "('camera', '2026-11-20T13 o clock', '2026-11-20T14', 3)"
    sqlite.run(f"INSERT INTO {sqlite.table} VALUES {values}")  # noqa: S608 (test data)
    with pytest.raises(AngusTargetError, match="Column bucket_start: expected a timestamp, got str '2026-11-20T13 o"):
        replace(sqlite, rows())
    assert sqlite.rows("passing_by") == [(3,)]
