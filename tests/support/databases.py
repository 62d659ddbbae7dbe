"""Databases for tests: SQLite and DuckDB in a folder, PostgreSQL and MySQL or MariaDB on a server, a fake Snowflake."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: The servers, as Airflow connection URIs. Tests drop everything that they create.
POSTGRES = os.environ.get("ANGUS_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test")
MYSQL = os.environ.get("ANGUS_TEST_MYSQL", "mysql://root@127.0.0.1:3306/test")

#: Databases and tools whose absence fails a test instead of skipping it: names separated by commas.
REQUIRED = os.environ.get("ANGUS_TEST_REQUIRE", "").split(",")


@dataclass
class Database:
    """A database that Airflow can reach by ``conn_id``, and the name of a table for one test."""

    kind: str
    conn_id: str
    #: The table does not exist yet.
    table: str

    @property
    def hook(self) -> DbApiHook:
        return BaseHook.get_hook(self.conn_id)

    def run(self, statement: str) -> list[Any]:
        """Run a statement, commit, and return its rows."""
        with closing(self.hook.get_conn()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description and statement.startswith("SELECT") else []
            if self.kind != "duckdb":
                connection.commit()
            return rows

    def table_names(self) -> list[str]:
        """Return the names of all tables, as the database stores them."""
        source = "sqlite_master" if self.kind == "sqlite" else "information_schema.tables"
        name = "name" if self.kind == "sqlite" else "table_name"
        return [row[0] for row in self.run(f"SELECT {name} FROM {source}")]  # noqa: S608 (test data)

    def rows(self, columns: str = "stream, bucket_start, passing_by") -> list[Any]:
        return self.run(f"SELECT {columns} FROM {self.table} ORDER BY stream, bucket_start")  # noqa: S608 (test data)

    def count(self) -> int:
        return int(self.run(f"SELECT COUNT(*) FROM {self.table}")[0][0])  # noqa: S608 (test data)


@contextmanager
def own_postgres() -> Iterator[str]:
    """Create a database on the PostgreSQL server and yield its SQLAlchemy URL. Skips the test without a server."""
    server = make_url(POSTGRES).set(drivername="postgresql+psycopg2")
    name = f"angus_{uuid.uuid4().hex[:10]}"
    try:
        connection = create_engine(server, isolation_level="AUTOCOMMIT").connect()
    except Exception as error:  # noqa: BLE001 (a missing driver and a missing server have different classes)
        _no_server("postgres", POSTGRES, error)
    with connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            # FORCE: a killed process may still be connected.
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def made(kind: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Yield a database of a kind and clean up afterwards. Skips the test without a server.

    :param kind: ``sqlite``, ``duckdb``, ``postgres``, ``mysql`` or ``snowflake``.
    :param folder: for the files of SQLite and DuckDB.
    :param patch: sets the Airflow connection.
    """
    name = f"angus_{uuid.uuid4().hex[:10]}"
    database = Database(kind, f"{kind}_tests", name)
    connection = {
        "sqlite": json.dumps({"conn_type": "sqlite", "host": str(folder / "tests.sqlite")}),
        "duckdb": json.dumps({"conn_type": "duckdb", "host": str(folder / "tests.duckdb")}),
        "postgres": POSTGRES,
        "mysql": MYSQL,
        "snowflake": json.dumps(
            {"conn_type": "snowflake", "login": "tests", "schema": "public", "extra": {"database": "tests"}}
        ),
    }[kind]
    patch.setenv(f"AIRFLOW_CONN_{database.conn_id.upper()}", connection)
    if kind in {"sqlite", "duckdb"}:
        yield database
        return
    if kind == "snowflake":
        import fakesnow

        # It replaces the connector's function connect, and its server has no TLS, which the hook needs.
        with fakesnow.patch():
            yield database
        return
    try:
        database.run("SELECT 1")
    except Exception as error:  # noqa: BLE001 (a missing provider, driver and server have different classes)
        _no_server(kind, connection, error)
    if kind == "postgres":
        database.run(f"CREATE SCHEMA {name}")
        database.table = f"{name}.audience"
        yield database
        database.run(f"DROP SCHEMA {name} CASCADE")
    else:
        yield database
        database.run(f"DROP TABLE IF EXISTS {name}")


def skip_or_fail(name: str, reason: str) -> NoReturn:
    """Skip the test because a tool is missing, or fail it if ``ANGUS_TEST_REQUIRE`` names the tool."""
    if name in REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def _no_server(kind: str, connection: str, error: Exception) -> NoReturn:
    message = str(error).partition("\n")[0]
    skip_or_fail(kind, f"no {kind} at {connection}, set ANGUS_TEST_{kind.upper()} to another: {message}")
