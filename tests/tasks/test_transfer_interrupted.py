"""AngusToSqlOperator when the database or the worker dies between DELETE and INSERT: existing rows are unchanged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from transfers import load, to_table

from airflow_provider_angus.exceptions import AngusStorageError

if TYPE_CHECKING:
    import databases
    from airflow_runs import Airflow

pytestmark = pytest.mark.usefixtures("connection")

#: A PostgreSQL trigger that blocks each INSERT.
SLOW_INSERT = """
    CREATE FUNCTION {schema}.slowly() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(30); RETURN new; END $$
    LANGUAGE plpgsql;
    CREATE TRIGGER slowly BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.slowly();
"""

#: A worker process that loads a day without a task runner.
WORKER = """
    from airflow_provider_angus.transfers import AngusToSqlOperator

    {setup}
    AngusToSqlOperator(
        task_id="load", metrics="passing_by", time="by_hour", sql_conn_id={conn_id!r}, table={table!r},
        from_date="2026-11-20", to_date="2026-11-21",
    ).execute({{}})
"""

#: Adds an SQL function to SQLite that kills the process.
DEFINE_DIE = """
    import os, signal
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    connect = SqliteHook.get_conn
    def get_conn(self):
        connection = connect(self)
        connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
        return connection
    SqliteHook.get_conn = get_conn
"""


def load_wrong_rows(airflow: Airflow, database: databases.Database) -> list[Any]:
    """Load the table, and change its rows, so that the next load writes all rows. Return the wrong rows."""
    load(airflow, lambda: to_table(database))
    database.run(f"UPDATE {database.table} SET passing_by = -1")  # noqa: S608 (test data)
    return database.rows()


def block_inserts(postgres: databases.Database) -> None:
    postgres.run(SLOW_INSERT.format(schema=postgres.table.partition(".")[0], table=postgres.table))


def wait_for_insert(postgres: databases.Database) -> int:
    """Wait until a server process is blocked in its INSERT. Return its process ID."""
    never = threading.Event()
    for _ in range(2400):
        blocked = postgres.run(
            "SELECT pid FROM pg_stat_activity "  # noqa: S608 (test data)
            f"WHERE query LIKE 'INSERT INTO {postgres.table}%' AND wait_event = 'PgSleep'"
        )
        if blocked:
            return int(blocked[0][0])
        never.wait(0.05)
    pytest.fail("No process reached its INSERT.")


def start_worker(database: databases.Database, setup: str = "") -> subprocess.Popen[bytes]:
    script = textwrap.dedent(WORKER).format(
        setup=textwrap.dedent(setup), conn_id=database.conn_id, table=database.table
    )
    return subprocess.Popen([sys.executable, "-c", script], env=os.environ)


def test_table_lost_connection_rolls_back(airflow: Airflow, postgres: databases.Database) -> None:
    before = load_wrong_rows(airflow, postgres)
    block_inserts(postgres)
    killer = threading.Thread(target=lambda: postgres.run(f"SELECT pg_terminate_backend({wait_for_insert(postgres)})"))
    killer.start()
    outcome = load(airflow, lambda: to_table(postgres))
    killer.join()
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "terminat" in str(outcome.errors[0])
    postgres.run(f"DROP TRIGGER slowly ON {postgres.table}")
    assert postgres.rows() == before
    assert load(airflow, lambda: to_table(postgres)).returned["changed"] == 24
    assert min(row[2] for row in postgres.rows()) >= 0


def test_table_killed_worker_rolls_back_on_sqlite(airflow: Airflow, sqlite: databases.Database) -> None:
    before = load_wrong_rows(airflow, sqlite)
    sqlite.run(f"CREATE TRIGGER kills BEFORE INSERT ON {sqlite.table} BEGIN SELECT die(); END")
    assert start_worker(sqlite, DEFINE_DIE).wait(60) == -signal.SIGKILL
    assert sqlite.rows() == before


def test_table_killed_worker_rolls_back_on_postgres(airflow: Airflow, postgres: databases.Database) -> None:
    before = load_wrong_rows(airflow, postgres)
    block_inserts(postgres)
    worker = start_worker(postgres)
    backend = wait_for_insert(postgres)
    worker.kill()
    assert worker.wait(60) == -signal.SIGKILL
    # The server notices the lost client after the INSERT, so end its process now.
    postgres.run(f"SELECT pg_terminate_backend({backend}, 10000)")
    assert postgres.rows() == before
