"""Differences between SQL databases, except for their types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_angus.exceptions import AngusTargetError

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook


class SqlDialect(NamedTuple):
    """Statements and parameters of one database.

    ``adapt_timestamp`` turns a UTC datetime into a parameter. After ``set_utc``, columns without a time zone hold UTC.
    ``lock`` serializes writers of one table until ``unlock`` or, if that is None, until the end of the transaction.
    Both take the name of the lock as their parameter; ``{}`` is the placeholder. ``begin`` starts a transaction that
    excludes other writers; ``{}`` is the table. Without it, the first statement that writes starts a transaction.
    ``find_unsafe`` returns the table's storage engine if it has no transactions. Its parameters are the schema, which
    may be null, and the table.
    """

    adapt_timestamp: Callable[[datetime], object] = lambda moment: moment
    set_utc: str | None = None
    lock: str | None = None
    unlock: str | None = None
    begin: str | None = None
    find_unsafe: str | None = None

    def adapt(self, kind: type, value: Any) -> object:
        """Return a value of a row as a parameter for a column of this Python type."""
        if kind is datetime:
            return self.adapt_timestamp(datetime.fromisoformat(value).astimezone(UTC))
        return json.dumps(value) if kind is dict and value is not None else value


#: By the type of the Airflow connection.
DIALECTS = {
    "sqlite": SqlDialect(datetime.isoformat, begin="BEGIN IMMEDIATE"),
    "postgres": SqlDialect(
        set_utc="SET LOCAL TIME ZONE 'UTC'",
        # A table that the user created may lack our primary key.
        lock="SELECT pg_advisory_xact_lock(hashtext({}))",
    ),
    "duckdb": SqlDialect(set_utc="SET TimeZone = 'UTC'"),
    # Redshift does not enforce primary keys and has no advisory locks.
    "redshift": SqlDialect(begin="LOCK TABLE {}"),
    # Without the lock, gap locks let the first loads of two streams block each other.
    "mysql": SqlDialect(
        adapt_timestamp=lambda moment: moment.replace(tzinfo=None),
        set_utc="SET time_zone = '+00:00'",
        lock="SELECT GET_LOCK({}, 300)",  # seconds
        unlock="SELECT RELEASE_LOCK({})",
        find_unsafe=(
            "SELECT engine FROM information_schema.tables JOIN information_schema.engines USING (engine) "
            "WHERE transactions <> 'YES' AND table_schema = COALESCE({}, DATABASE()) AND table_name = {}"
        ),
    ),
}

#: Types of connections to databases that commit each statement at once, or whose drivers do.
WITHOUT_TRANSACTIONS = {
    *("athena", "clickhouse", "databricks", "drill", "druid", "elasticsearch", "gcpbigquery"),
    *("hiveserver2", "impala", "kylin", "pinot", "presto", "trino"),
}

_WAY_OUT = "Write files with AngusToObjectStorageOperator, and load these into the database."


def find_dialect(hook: DbApiHook) -> SqlDialect:
    """Return the dialect of a database. It does not open a connection.

    :raises AngusTargetError: the database cannot be loaded.
    """
    if hook.conn_type in WITHOUT_TRANSACTIONS:
        raise _no_transactions(hook)
    if hook.conn_type == "oracle":
        # Its driver needs named parameters, and a server before version 23 an INSERT for each row.
        raise AngusTargetError(
            f"Connection {hook.get_conn_id()!r}: expected a database whose driver accepts the placeholders %s or ?, "
            f"got oracle. {_WAY_OUT}"
        )
    return DIALECTS.get(hook.conn_type, SqlDialect())


def begin_transactions(hook: DbApiHook, connection: Any) -> None:
    """Stop a new connection from committing each statement.

    :raises AngusTargetError: it still does.
    """
    if hook.supports_autocommit:
        hook.set_autocommit(connection, autocommit=False)
        if hook.get_autocommit(connection):
            raise _no_transactions(hook)


def execute_all(hook: DbApiHook, cursor: Any, statement: str, parameters: Iterable[Sequence[object]]) -> None:
    """Execute a statement once for each list of parameters."""
    if hook.supports_executemany:
        # psycopg 3 parses the statement once, which takes longer than the INSERT, and does not wait for each result.
        cursor.executemany(statement, list(parameters))
        return
    for each in parameters:
        cursor.execute(statement, each)


def unsafe_engine(table: str, engine: str) -> AngusTargetError:
    """Return the error for a table whose storage engine has no transactions."""
    return AngusTargetError(
        f"Table {table}: expected a storage engine with transactions, got {engine}. A failed task would leave an "
        f"interval without rows. Run ALTER TABLE {table} ENGINE=InnoDB."
    )


def _no_transactions(hook: DbApiHook) -> AngusTargetError:
    return AngusTargetError(
        f"Connection {hook.get_conn_id()!r}: expected a database with transactions, got {hook.conn_type}, which "
        f"commits each statement. A failed task would leave an interval without rows. {_WAY_OUT}"
    )
