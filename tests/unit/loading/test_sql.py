"""SqlTable on real databases: concurrent writers, unusual columns and cursors, errors of databases."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from databases import MYSQL, POSTGRES, Database, made
from loaded_rows import COLUMNS, HOURS, NOON, replace, rows

from airflow_provider_angus._compat import SUPERVISOR_LOCK
from airflow_provider_angus.exceptions import AngusRowError, AngusStorageError, AngusTargetError
from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.loading.sql_dialects import DIALECTS
from airflow_provider_angus.model.columns import table_columns
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_angus.model.entities import Row


@pytest.fixture(params=["postgres", "mysql"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Each kind of database that accepts concurrent writers."""
    yield from made(request.param, tmp_path, monkeypatch)


@pytest.fixture
def mysql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    yield from made("mysql", tmp_path, monkeypatch)


# Concurrent writers


def test_sql_connects_while_no_thread_masks_a_token(postgres: Database) -> None:
    """Airflow 3.0 and 3.1 do not lock the channel of a task, on which both are requests."""
    locked, hook = [], postgres.hook
    connect = hook.get_conn
    hook.get_conn = lambda: locked.append(SUPERVISOR_LOCK.locked()) or connect()
    with SqlTable(hook, postgres.table, COLUMNS, create=True):
        assert locked == [True]
        assert not SUPERVISOR_LOCK.locked()


#: Counts the connections that wait for a lock of SqlTable.
WAITING = {
    "postgres": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'",
}


def replace_concurrently(database: Database, first: str, second: str) -> list[BaseException]:
    """Start the second writer while the first is between delete and insert; return the errors of both."""
    inserting, resume, errors = threading.Event(), threading.Event(), []

    def slow_rows() -> Iterator[Row]:
        inserting.set()
        assert resume.wait(60)
        yield from rows(first)

    def attempt(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 (the test compares it)
            errors.append(error)

    one = threading.Thread(target=attempt, args=(lambda: replace(database, slow_rows(), stream=first),))
    two = threading.Thread(target=attempt, args=(lambda: replace(database, rows(second), stream=second),))
    one.start()
    assert inserting.wait(60)
    two.start()
    pause = threading.Event()
    for _ in range(600):
        if not two.is_alive() or database.run(WAITING[database.kind])[0][0]:
            break
        pause.wait(0.05)
    resume.set()
    one.join(60)
    two.join(60)
    return errors


def test_sql_concurrent_loads_of_one_interval_do_not_duplicate(server: Database) -> None:
    """The lock also protects a table without a primary key."""
    replace(server, [])
    key = {"postgres": f"CONSTRAINT {server.table.partition('.')[2]}_pkey", "mysql": "PRIMARY KEY"}[server.kind]
    server.run(f"ALTER TABLE {server.table} DROP {key}")
    assert replace_concurrently(server, "camera", "camera") == []
    assert server.count() == 3


class RedshiftDatabase(Database):
    """A PostgreSQL that is treated as Redshift, which has the same LOCK statement and ignores primary keys."""

    @property
    def hook(self) -> DbApiHook:
        hook = super().hook
        hook.conn_type = "redshift"
        return hook


def test_sql_concurrent_first_loads_on_redshift_do_not_duplicate(postgres: Database) -> None:
    postgres.run(
        f"CREATE TABLE {postgres.table} (stream TEXT, bucket_start TIMESTAMPTZ, bucket_end TIMESTAMPTZ, passing_by INT)"
    )
    redshift = RedshiftDatabase(postgres.kind, postgres.conn_id, postgres.table)
    assert replace_concurrently(redshift, "camera", "camera") == []
    assert postgres.count() == 3


def test_sql_concurrent_first_loads_of_two_streams_succeed(server: Database) -> None:
    replace(server, rows("another"), stream="another")
    server.run(f"TRUNCATE TABLE {server.table}")
    assert replace_concurrently(server, "camera", "kamera") == []
    assert [row[0] for row in server.rows("stream")] == ["camera"] * 3 + ["kamera"] * 3


def test_sql_lock_held_too_long_raises_storage_error(mysql: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = DIALECTS["mysql"]._replace(lock="SELECT GET_LOCK({}, 0)")
    monkeypatch.setitem(DIALECTS, "mysql", impatient)
    refused: list[BaseException] = []

    def rows_during_second_load() -> Iterator[Row]:
        with pytest.raises(AngusStorageError, match="is locked by another task") as raised:
            replace(mysql, rows())
        refused.append(raised.value)
        yield from rows()

    replace(mysql, rows_during_second_load())
    assert len(refused) == 1
    assert mysql.count() == 3


def test_sql_spellings_of_a_name_share_a_lock(postgres: Database) -> None:
    """Names that differ in quotes are one table, names that differ in case may be one."""
    schema, locks = postgres.table.partition(".")[0], []

    def watch_lock() -> Iterator[Row]:
        locks.append({*postgres.run("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND granted")})
        yield from rows()

    for spelling in ("audience", '"audience"', "Audience"):
        postgres.table = f"{schema}.{spelling}"
        replace(postgres, watch_lock())
    assert set.intersection(*locks)


# Rows and columns


def test_sql_streams_that_differ_in_case_are_distinct(database: Database) -> None:
    for stream in ("camera", "CAMERA", "camera"):
        replace(database, rows(stream), stream=stream)
    assert database.count() == 6


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York"])
def test_sql_columns_without_time_zone_hold_utc(database: Database, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's time zone and its daylight saving have no effect."""
    for name in ("TZ", "PGTZ"):
        monkeypatch.setenv(name, zone)
    database.run(
        f"CREATE TABLE {database.table} (stream VARCHAR(40), bucket_start TIMESTAMP NULL, bucket_end TIMESTAMP NULL, "
        "passing_by INTEGER)"
    )
    # Daylight saving ends in Paris in this night, in New York a week later.
    nights = [Interval(start, start + timedelta(hours=3)) for start in (NOON, datetime(2026, 10, 24, 23, tzinfo=UTC))]
    nights += [Interval(nights[1].end, nights[1].end + timedelta(hours=3))]
    for night in (*nights, *nights):
        replace(database, rows(interval=night), interval=night)
    assert database.count() == 9
    if database.kind != "mysql":
        start = str(database.rows("bucket_start")[0][0])
        assert start[:19].replace("T", " ") == "2026-10-24 23:00:00"


def test_sql_refused_stream_keeps_rows_and_table_usable(database: Database) -> None:
    """After an AngusRowError, the same open table takes other streams."""
    replace(database, rows())
    database.run(f"ALTER TABLE {database.table} DROP COLUMN other")
    undocumented = [row | {"other": {"satisfaction_smiles": 3}} for row in rows()]
    with SqlTable(database.hook, database.table, COLUMNS, create=False) as table:
        with pytest.raises(AngusRowError, match="has no column other .*: 'satisfaction_smiles'. Add the column."):
            table.replace("camera", HOURS, [*rows(), *undocumented])
        assert table.replace("kamera", HOURS, rows("kamera")).added == 3
    assert database.count() == 6


def test_sql_missing_columns_are_named_with_types(postgres: Database) -> None:
    postgres.run(f"CREATE TABLE {postgres.table} (stream TEXT, bucket_start TIMESTAMP, bucket_end TIMESTAMP)")
    columns = table_columns(["stop_time"])
    message = "has no column stop_time (double precision); it has stream, bucket_start, bucket_end."
    with (
        pytest.raises(AngusTargetError) as raised,
        SqlTable(postgres.hook, postgres.table, columns, create=True) as table,
    ):
        table.replace("camera", HOURS, [])
    assert str(raised.value) == f"Table {postgres.table} {message}"


@pytest.mark.parametrize(
    ("server", "cursor"),
    [("postgres", "dictcursor"), ("mysql", "dictcursor"), ("mysql", "sscursor")],
    indirect=["server"],
)
def test_sql_other_cursor_classes_work(server: Database, cursor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = {"postgres": POSTGRES, "mysql": MYSQL}[server.kind]
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_CURSOR", f"{uri}?cursor={cursor}")
    replace(Database(server.kind, "other_cursor", server.table), rows())
    assert server.count() == 3


# Errors of databases


@pytest.mark.parametrize("engine", ["MyISAM", "MEMORY"])
def test_sql_mysql_engine_without_transactions_is_refused(mysql: Database, engine: str) -> None:
    mysql.run(
        f"CREATE TABLE {mysql.table} (stream VARCHAR(40), bucket_start DATETIME, bucket_end DATETIME, passing_by INT) "
        f"ENGINE={engine}"
    )
    table, schema = mysql.table, mysql.run("SELECT DATABASE()")[0][0]
    for mysql.table in (table, f"{schema}.{table}", f'"{schema}"."{table}"'):
        with pytest.raises(AngusTargetError, match=f"expected a storage engine with transactions, got {engine}."):
            replace(mysql, rows())
    mysql.table = table
    assert mysql.count() == 0
    mysql.run(f"ALTER TABLE {table} ENGINE=InnoDB")
    replace(mysql, rows())
    assert mysql.count() == 3


def test_sql_programming_error_is_not_retryable(server: Database) -> None:
    """The schema does not exist."""
    server.table = "no_such_schema.audience"
    with pytest.raises(AngusTargetError, match=f"Table {server.table} of connection .* could not be written") as raised:
        replace(server, rows())
    assert raised.value.__cause__ is not None


def test_sql_unusable_connection_is_not_retryable(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", f"{POSTGRES}?cursor=nonsense")
    with pytest.raises(AngusTargetError, match="Connection 'wrong' cannot be used: .*nonsense") as raised:
        replace(Database("postgres", "wrong", postgres.table), rows())
    assert raised.value.__cause__ is not None
