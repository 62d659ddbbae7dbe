"""CREATE TABLE on each database: the compiled statement, the created table, and databases without transactions."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.sqlite.hooks.sqlite import SqliteHook
from loaded_rows import HOURS, rows
from other_hooks import hook_of

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.loading.sql_ddl import column_types, create_table_statement
from airflow_provider_angus.loading.sql_dialects import WITHOUT_TRANSACTIONS
from airflow_provider_angus.loading.sql_names import sqlalchemy_dialect
from airflow_provider_angus.model.columns import table_columns
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from databases import Database

COLUMNS = table_columns(["passing_by", "stop_time"])


# Statements

#: The types of ``stream``, ``bucket_start`` and ``bucket_end``, ``passing_by``, and ``other``, and the end of the
#: statement, by SQLAlchemy's dialect. SQLAlchemy has the first six.
PRIMARY_KEY = "PRIMARY KEY (stream, bucket_start, bucket_end) )"
BINARY_TEXT = "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
TIMESTAMPTZ = "TIMESTAMP WITH TIME ZONE"
DIALECTS: dict[str, tuple[str, str, str, str, str]] = {
    "postgresql": ("TEXT", TIMESTAMPTZ, "BIGINT", "JSONB", PRIMARY_KEY),
    "mysql": (BINARY_TEXT, "DATETIME(6)", "BIGINT", "JSON", f"{PRIMARY_KEY}ENGINE=InnoDB"),
    "mariadb": (BINARY_TEXT, "DATETIME(6)", "BIGINT", "JSON", f"{PRIMARY_KEY}ENGINE=InnoDB"),
    "sqlite": ("TEXT", "TEXT", "INTEGER", "TEXT", PRIMARY_KEY),
    "mssql": (
        *("VARCHAR(255) COLLATE Latin1_General_100_BIN2", "DATETIMEOFFSET", "BIGINT NULL", "VARCHAR(4000) NULL"),
        PRIMARY_KEY,
    ),
    # Oracle refuses a primary key on a timestamp with time zone.
    "oracle": ("VARCHAR2(255 CHAR)", "TIMESTAMP", "NUMBER(19)", "VARCHAR2(4000 CHAR)", PRIMARY_KEY),
    "duckdb": ("VARCHAR(255)", TIMESTAMPTZ, "BIGINT", "JSON", PRIMARY_KEY),
    "snowflake": ("VARCHAR(255)", "TIMESTAMP_TZ", "BIGINT", "VARCHAR(4000)", PRIMARY_KEY),
    "redshift": ("VARCHAR(255)", TIMESTAMPTZ, "BIGINT", "VARCHAR(4000)", PRIMARY_KEY),
    "databricks": (
        *("STRING", "TIMESTAMP", "BIGINT", "STRING"),
        f"{PRIMARY_KEY} USING DELTA TBLPROPERTIES('delta.feature.allowColumnDefaults' = 'enabled')",
    ),
    "bigquery": ("STRING(255)", "TIMESTAMP", "INT64", "STRING(4000)", ")"),
    "trino": ("VARCHAR(255)", TIMESTAMPTZ, "BIGINT", "VARCHAR(4000)", ")"),
}


def statement_of(text: str, timestamp: str, count: str, other: str, end: str) -> str:
    separator = ", " if end.startswith("PRIMARY") else " "
    return (
        f"CREATE TABLE audience ( stream {text} NOT NULL, bucket_start {timestamp} NOT NULL, "
        f"bucket_end {timestamp} NOT NULL, passing_by {count}, other {other}{separator}{end}"
    )


@pytest.mark.filterwarnings("ignore:Trino does not support PRIMARY KEY")
@pytest.mark.parametrize("dialect", DIALECTS)
def test_create_table_statement_of_sqlalchemy_dialect(dialect: str) -> None:
    hook = hook_of(dialect)
    if sqlalchemy_dialect(hook) is None:
        pytest.skip(f"SQLAlchemy's dialect {dialect} is not installed")
    statement = create_table_statement(hook, "audience", table_columns(["passing_by"]))
    assert " ".join(statement.replace("`", "").split()) == statement_of(*DIALECTS[dialect])


@pytest.mark.parametrize(
    ("conn_type", "other"),
    [("duckdb", "JSON"), *[(each, "VARCHAR(4000)") for each in ("redshift", "snowflake", "new")]],
)
def test_create_table_statement_without_dialect_is_standard_sql(conn_type: str, other: str) -> None:
    statement = create_table_statement(hook_of(conn_type=conn_type), "audience", table_columns(["passing_by"]))
    assert " ".join(statement.split()) == statement_of("VARCHAR(255)", TIMESTAMPTZ, "BIGINT", other, PRIMARY_KEY)


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "mssql", "oracle", "duckdb", "no_such_dialect"])
def test_column_type_of_means_has_64_bits(dialect: str) -> None:
    types = column_types(hook_of(dialect), COLUMNS)
    # Without a precision, Oracle's FLOAT has 126 bits.
    wide = {"double precision", "double", "float(53)", *["float"] * (dialect == "oracle")}
    assert types["stop_time"] in wide


def test_create_table_statement_quotes_the_table() -> None:
    statement = create_table_statement(hook_of("mssql"), 'db.Shop."100%.[x]"', COLUMNS)
    assert statement.startswith("CREATE TABLE db.[Shop].[100%.[x]]] (")


# Tables


def load(database: Database, row: dict[str, Any], *, create: bool = True) -> None:
    start = datetime.fromisoformat(row["bucket_start"])
    with SqlTable(database.hook, database.table, COLUMNS, create=create) as table:
        table.replace(row["stream"], Interval(start, start + timedelta(hours=1)), [row])


def test_created_table_keeps_extreme_values(database: Database) -> None:
    start = datetime(2199, 12, 31, 23, 0, 0, 123456, tzinfo=UTC)
    row = {
        "stream": "é" * 200,
        "bucket_start": start.isoformat(),
        "bucket_end": (start + timedelta(minutes=59)).isoformat(),
        "passing_by": 2**63 - 1,
        "stop_time": 0.1 + 0.2,
        "other": {"passing_by_é": [1, None, "x" * 3000]},
    }
    load(database, row)
    load(database, row | {"stop_time": 1.7976931348623157e308})
    load(database, row | {"stream": "É" * 200, "stop_time": None, "other": None})
    names = "stream, bucket_start, passing_by, stop_time, other"
    first, second = sorted(database.run(f"SELECT {names} FROM {database.table}"), reverse=True)  # noqa: S608 (test data)
    stream, found, *values, other = first
    found = datetime.fromisoformat(found) if isinstance(found, str) else found
    assert (found if found.tzinfo else found.replace(tzinfo=UTC)) == start
    assert (stream, *values) == (row["stream"], 2**63 - 1, 1.7976931348623157e308)
    assert (json.loads(other) if isinstance(other, str) else other) == row["other"]
    assert tuple(second[3:]) == (None, None)


#: The statements of version 0.4.
OLD_TYPES = {
    "sqlite": ("text", "text", "integer", "real", "text"),
    "postgres": ("text", "timestamp with time zone", "bigint", "double precision", "jsonb"),
    "duckdb": ("varchar(255)", "timestamp with time zone", "bigint", "double precision", "json"),
    "mysql": (BINARY_TEXT, "datetime(6)", "bigint", "double precision", "json"),
    "snowflake": ("varchar(255)", "timestamp_tz", "bigint", "double precision", "varchar(4000)"),
}


def test_table_of_an_older_version_is_loaded(database: Database) -> None:
    text, timestamp, count, mean, other = OLD_TYPES[database.kind]
    database.run(
        f"CREATE TABLE {database.table} (stream {text} NOT NULL, bucket_start {timestamp} NOT NULL, "
        f"bucket_end {timestamp} NOT NULL, passing_by {count}, stop_time {mean}, other {other}, "
        "PRIMARY KEY (stream, bucket_start, bucket_end))"
    )
    for _ in range(2):
        load(database, rows()[0] | {"stop_time": 1.5, "other": {"passing_by_new": 1}})
    ((stream, _, passing_by),) = database.rows()
    assert (stream, passing_by) == ("camera", 7)


# Databases without transactions


@pytest.mark.parametrize("conn_type", sorted(WITHOUT_TRANSACTIONS))
def test_sql_database_without_transactions_is_refused(conn_type: str) -> None:
    """Before a connection is opened: the hook has no connector."""
    with pytest.raises(AngusTargetError) as raised:
        SqlTable(hook_of(conn_type=conn_type), "audience", COLUMNS, create=True)
    assert str(raised.value).startswith(
        f"Connection 'default_conn_id': expected a database with transactions, got {conn_type}, which commits each"
    )


def test_sql_database_with_other_placeholders_is_refused() -> None:
    with pytest.raises(AngusTargetError, match="accepts the placeholders %s or ., got oracle. Write files with Angus"):
        SqlTable(hook_of("oracle", conn_type="oracle"), "audience", COLUMNS, create=True)


class CommittingHook(SqliteHook):
    """A database that commits each statement, whatever autocommit says, as hooks of ClickHouse are."""

    supports_autocommit = True

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:  # noqa: FBT001 (the signature of Airflow)
        """Have no effect."""

    def get_autocommit(self, conn: Any) -> bool:  # noqa: ARG002 (the signature of Airflow)
        return True


def test_sql_driver_that_commits_each_statement_is_refused(sqlite: Database) -> None:
    with (
        pytest.raises(AngusTargetError, match="expected a database with transactions, got sqlite"),
        SqlTable(CommittingHook(sqlite.conn_id), sqlite.table, table_columns(["passing_by"]), create=True) as table,
    ):
        table.replace("camera", HOURS, rows())
    with closing(sqlite.hook.get_conn()) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
