"""Errors of real databases: which streams they concern, whether a retry may help, and that rows are unchanged."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from databases import MYSQL, POSTGRES, Database, made
from loaded_rows import COLUMNS, HOURS, replace, rows

from airflow_provider_angus.exceptions import AngusError, AngusRowError, AngusStorageError, AngusTargetError
from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.loading.sql_dialects import DIALECTS
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_angus.model.entities import Row

LONG = "a camera with a long name"

#: An hour in the second slice of an interval that starts with ``HOURS``.
LATER = Interval(HOURS.start + timedelta(days=50), HOURS.start + timedelta(days=50, hours=1))


@pytest.fixture
def duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    yield from made("duckdb", tmp_path, monkeypatch)


@pytest.fixture(params=["postgres", "mysql"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Each kind of database on a server."""
    yield from made(request.param, tmp_path, monkeypatch)


def create_table(database: Database, *, stream: str = "VARCHAR(40)", more: str = "", options: str = "") -> None:
    other = {"postgres": "JSONB", "mysql": "JSON"}.get(database.kind, "VARCHAR(4000)")
    database.run(
        f"CREATE TABLE {database.table} (stream {stream}, bucket_start TIMESTAMP NULL, bucket_end TIMESTAMP NULL, "
        f"passing_by INTEGER, other {other}{more}) {options}"
    )


def check_refused(database: Database, refused: list[Row], *causes: str, stream: str = "camera") -> None:
    """Check that the rows of a stream are refused, its existing rows are kept, and another stream is loaded."""
    with SqlTable(database.hook, database.table, COLUMNS, create=False) as table:
        before = database.rows()
        with pytest.raises(AngusRowError) as raised:
            table.replace(stream, HOURS, refused)
        message = str(raised.value)
        assert message.startswith(f"Table {database.table} of connection '{database.conn_id}' cannot take the rows")
        assert f"of stream {stream!r}: " in message
        assert message.endswith(". Existing rows are unchanged.")
        assert message.isprintable()
        assert {kind.__name__ for kind in type(raised.value.__cause__).__mro__} & {*causes}
        assert database.kind == "duckdb" or database.rows() == before
        table.replace("kamera", HOURS, rows("kamera"))
    assert database.rows()[: len(before)] == before
    assert database.count() == len(before) + 3


# Rows of a stream


def test_sql_value_too_long_is_row_error(server: Database) -> None:
    create_table(server, stream="VARCHAR(9)")
    replace(server, rows())
    check_refused(server, rows(LONG), "DataError", stream=LONG)


def test_sql_row_without_partition_is_row_error(server: Database) -> None:
    key = {"postgres": "LIST (stream)", "mysql": "LIST COLUMNS (stream) (PARTITION p VALUES IN ('camera', 'kamera'))"}
    create_table(server, options=f"PARTITION BY {key[server.kind]}")
    if server.kind == "postgres":
        server.run(f"CREATE TABLE {server.table}_p PARTITION OF {server.table} FOR VALUES IN ('camera', 'kamera')")
    replace(server, rows())
    # PostgreSQL raises an IntegrityError, MySQL an OperationalError.
    check_refused(server, rows("third"), "DatabaseError", stream="third")


@pytest.mark.parametrize(
    ("constraint", "cause"),
    [
        (", note INTEGER NOT NULL", "Error"),
        (", CHECK (passing_by < 10)", "Error"),
        (", UNIQUE (stream, passing_by)", "IntegrityError"),
    ],
)
def test_sql_constraint_of_the_user_is_row_error(database: Database, constraint: str, cause: str) -> None:
    """The unique key is violated by the new rows alone, so a retry cannot help."""
    create_table(database, more=constraint)
    with pytest.raises(AngusRowError) as raised:
        replace(database, [row | {"passing_by": 11} for row in rows()])
    assert cause in {kind.__name__ for kind in type(raised.value.__cause__).__mro__}
    assert database.count() == 0


def test_sql_null_character_in_json_is_row_error(postgres: Database) -> None:
    """PostgreSQL cannot store it in ``jsonb``."""
    create_table(postgres)
    replace(postgres, rows())
    check_refused(postgres, [row | {"other": {"satisfaction_x": "a\0b"}} for row in rows()], "DataError")


def test_sql_null_character_in_stream_is_row_error(postgres: Database) -> None:
    """The driver refuses it: psycopg2 with a ValueError."""
    create_table(postgres)
    replace(postgres, rows())
    check_refused(postgres, rows("a\0b"), "DataError", "ValueError", stream="a\0b")


def test_sql_too_large_integer_is_row_error(sqlite: Database) -> None:
    """The driver refuses it with an OverflowError."""
    create_table(sqlite)
    replace(sqlite, rows())
    check_refused(sqlite, [row | {"passing_by": 2**70} for row in rows()], "OverflowError")


def test_sql_deferred_constraint_is_row_error(postgres: Database) -> None:
    """The database checks it at the commit."""
    create_table(postgres, more=", UNIQUE (stream, passing_by) DEFERRABLE INITIALLY DEFERRED")
    with pytest.raises(AngusRowError, match="cannot take the rows of stream 'camera'"):
        replace(postgres, rows())
    assert postgres.count() == 0


def test_sql_value_error_of_the_rows_is_not_translated(sqlite: Database) -> None:
    """Only the driver's statements can refuse rows."""

    def broken() -> Iterator[Row]:
        yield from rows()
        raise ValueError("not a row")

    replace(sqlite, rows())
    with pytest.raises(ValueError, match="not a row"):
        replace(sqlite, broken())
    assert sqlite.count() == 3


# Lost races


@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_sql_unique_violation_after_lost_race_is_retryable(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer inserts the interval between our DELETE and INSERT, without our lock."""
    if kind == "postgres":
        monkeypatch.setitem(DIALECTS, kind, DIALECTS[kind]._replace(lock=None))
    for database in made(kind, tmp_path, monkeypatch):
        replace(database, [])

        def with_rival(database: Database = database) -> Iterator[Row]:
            yield from rows()
            # The first slice's rows are deleted and not yet inserted.
            yield from rows(interval=LATER, count=1)
            replace(database, rows())

        both = Interval(HOURS.start, LATER.end)
        with pytest.raises(AngusStorageError, match="another task has loaded the same interval") as raised:
            replace(database, with_rival(), interval=both)
        assert isinstance(raised.value.__context__, AngusRowError)
        assert database.count() == 3
        replace(database, rows())
        assert database.count() == 3


# The database


def unusable_connections(folder: Path) -> dict[str, Any]:
    return {
        "postgres database": f"{POSTGRES.rpartition('/')[0]}/no_such_database",
        "postgres role": POSTGRES.replace("postgres@", "no_such_role@"),
        "postgres TLS": f"{POSTGRES}?sslmode=require",
        "postgres option": f"{POSTGRES}?sslmode=nonsense",
        "mysql database": f"{MYSQL.rpartition('/')[0]}/no_such_database",
        "mysql password": MYSQL.replace("root@", "no_such_user:wrong@"),
        "sqlite folder": {"conn_type": "sqlite", "host": str(folder / "none" / "x.sqlite")},
        "sqlite junk": {"conn_type": "sqlite", "host": str(folder / "junk")},
        "sqlite read-only": {"conn_type": "sqlite", "host": str(folder / "tests.sqlite"), "extra": {"mode": "ro"}},
        "duckdb folder": {"conn_type": "duckdb", "host": str(folder / "none" / "x.duckdb")},
        "duckdb junk": {"conn_type": "duckdb", "host": str(folder / "junk")},
    }


@pytest.mark.parametrize("name", unusable_connections(Path("/")))
def test_sql_unusable_database_fails_at_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = name.partition(" ")[0]
    (tmp_path / "junk").write_text("not a database" * 1000)
    for database in made(kind, tmp_path, monkeypatch):
        replace(database, rows())
        connection = unusable_connections(tmp_path)[name]
        monkeypatch.setenv(
            "AIRFLOW_CONN_UNUSABLE", connection if isinstance(connection, str) else json.dumps(connection)
        )
        with pytest.raises(AngusTargetError, match="of connection 'unusable' could not be written") as raised:
            replace(Database(kind, "unusable", database.table), rows(passing_by=8))
        assert not isinstance(raised.value, AngusRowError)
        assert str(raised.value).endswith(". Existing rows are unchanged.")
        assert str(raised.value).isprintable()
        assert database.count() == 3


def test_sql_missing_permission_fails_at_once(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = postgres.table.partition(".")[0]
    role = f"{schema}_reader"
    replace(postgres, rows())
    postgres.run(f"CREATE ROLE {role} LOGIN")
    postgres.run(f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {postgres.table} TO {role}")
    monkeypatch.setenv("AIRFLOW_CONN_READER", POSTGRES.replace("postgres@", f"{role}@"))
    try:
        with pytest.raises(AngusTargetError, match="permission denied"):
            replace(Database("postgres", "reader", postgres.table), rows(passing_by=8))
        assert postgres.count() == 3
    finally:
        postgres.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_sql_locked_table_is_retryable(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(postgres, rows())
    monkeypatch.setenv("AIRFLOW_CONN_IMPATIENT", f"{POSTGRES}?options=-c%20lock_timeout%3D10")
    holder = postgres.hook.get_conn()
    holder.cursor().execute(f"LOCK TABLE {postgres.table} IN EXCLUSIVE MODE")
    try:
        with pytest.raises(AngusStorageError, match="lock timeout"):
            replace(Database("postgres", "impatient", postgres.table), rows(passing_by=8))
    finally:
        holder.close()
    replace(postgres, rows())


def test_sql_database_locked_by_a_process_is_retryable(duckdb: Database) -> None:
    path = duckdb.hook.get_connection(duckdb.conn_id).host
    script = f"import duckdb; connection = duckdb.connect({path!r}); print('locked', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(AngusStorageError, match="Could not set lock"):
            replace(duckdb, rows())
        holder.communicate("\n")
    replace(duckdb, rows())
    assert duckdb.count() == 3


def test_sql_read_only_server_is_retryable(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is read-only during a failover."""
    replace(postgres, rows())
    monkeypatch.setenv("AIRFLOW_CONN_STANDBY", f"{POSTGRES}?options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(AngusError) as raised:
        replace(Database("postgres", "standby", postgres.table), rows(passing_by=8))
    assert raised.type is AngusStorageError
    assert postgres.count() == 3
