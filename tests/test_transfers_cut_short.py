"""Landing in tables when the database or the worker dies between delete and insert: what was there before is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest
from landing import land, to_table

from airflow_provider_angus.exceptions import AngusStorageError

if TYPE_CHECKING:
    import databases
    from airflow_runs import Airflow


pytestmark = pytest.mark.usefixtures("connection")


SLOW_INSERT = """
    CREATE FUNCTION {schema}.slowly() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(30); RETURN new; END $$
    LANGUAGE plpgsql;
    CREATE TRIGGER slowly BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.slowly();
"""


def inserting(postgres: databases.Database) -> int:
    """Wait until somebody is between delete and insert, and return the ID of the server's process for them."""
    waited = threading.Event()
    for _ in range(600):
        found = postgres.run(
            "SELECT pid FROM pg_stat_activity "  # noqa: S608 (a test's)
            f"WHERE query LIKE 'INSERT INTO {postgres.table}%' AND wait_event = 'PgSleep'"
        )
        if found:
            return int(found[0][0])
        waited.wait(0.05)
    pytest.fail("Nobody has come to the insert.")


def test_a_database_that_goes_away_in_the_middle_keeps_what_it_had(
    airflow: Airflow, postgres: databases.Database
) -> None:
    land(airflow, lambda: to_table(postgres))
    before = postgres.rows()
    postgres.run(SLOW_INSERT.format(schema=postgres.table.partition(".")[0], table=postgres.table))
    killer = threading.Thread(target=lambda: postgres.run(f"SELECT pg_terminate_backend({inserting(postgres)})"))
    killer.start()
    outcome = land(airflow, lambda: to_table(postgres))
    killer.join()
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "terminat" in str(outcome.errors[0])
    postgres.run(f"DROP TRIGGER slowly ON {postgres.table}")
    assert postgres.rows() == before
    land(airflow, lambda: to_table(postgres))
    assert postgres.rows() == before


#: A worker's process: it loads a day, as the test says, without anything of Airflow around it.
WORKER = """
    import sys
    from airflow_provider_angus.transfers import AngusToSqlOperator

    {before}
    AngusToSqlOperator(
        task_id="land", metrics="passing_by", time="by_hour", sql_conn_id={conn_id!r}, table={table!r},
        from_date="2026-11-20", to_date="2026-11-21",
    ).execute({{}})
"""

DIES_AT_INSERT = """
    import os, signal
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    connect = SqliteHook.get_conn
    def get_conn(self):
        connection = connect(self)
        connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
        return connection
    SqliteHook.get_conn = get_conn
"""


def worker(database: databases.Database, before: str = "") -> subprocess.Popen[bytes]:
    script = textwrap.dedent(WORKER).format(
        before=textwrap.dedent(before), conn_id=database.conn_id, table=database.table
    )
    return subprocess.Popen([sys.executable, "-c", script], env=os.environ)


def test_a_worker_killed_between_delete_and_insert_leaves_what_was_there_in_sqlite(
    airflow: Airflow, sqlite: databases.Database
) -> None:
    land(airflow, lambda: to_table(sqlite))
    before = sqlite.rows()
    sqlite.run(f"CREATE TRIGGER kills BEFORE INSERT ON {sqlite.table} BEGIN SELECT die(); END")
    assert worker(sqlite, DIES_AT_INSERT).wait(60) == -signal.SIGKILL
    assert sqlite.rows() == before


def test_a_worker_killed_between_delete_and_insert_leaves_what_was_there_in_postgres(
    airflow: Airflow, postgres: databases.Database
) -> None:
    land(airflow, lambda: to_table(postgres))
    before = postgres.rows()
    postgres.run(SLOW_INSERT.format(schema=postgres.table.partition(".")[0], table=postgres.table))
    process = worker(postgres)
    backend = inserting(postgres)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    # The server has not noticed yet; what its process does is what it would do half a minute later.
    postgres.run(f"SELECT pg_terminate_backend({backend}, 10000)")
    assert postgres.rows() == before
