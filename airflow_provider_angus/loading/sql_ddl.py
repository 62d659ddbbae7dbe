"""Column types and CREATE TABLE statements, compiled by SQLAlchemy's dialect of the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.elements import quoted_name

from airflow_provider_angus.loading.sql_names import quote_table, sqlalchemy_dialect
from airflow_provider_angus.model.columns import Column
from airflow_provider_angus.model.entities import KEY_COLUMNS

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine


def _vary(default: TypeEngine[Any], **variants: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return a type with variants, by the name of SQLAlchemy's dialect. MariaDB has the variants of MySQL."""
    if "mysql" in variants:
        variants["mariadb"] = variants["mysql"]
    for name, variant in variants.items():
        default = default.with_variant(variant, name)
    return default


_TEXT = sqlalchemy.Text()
# Without a binary collation, MySQL and SQL Server compare text without case.
_MYSQL_TEXT = mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin")
_MSSQL_TEXT = sqlalchemy.String(255, collation="Latin1_General_100_BIN2")
# SQLAlchemy 1.4, which Airflow 2 has, lacks Double.
_DOUBLE = sqlalchemy.Double() if hasattr(sqlalchemy, "Double") else sqlalchemy.Float(53)

#: By the Python type of a column. A database has a variant if SQLAlchemy's type cannot hold or compare our values.
_TYPES: dict[type, TypeEngine[Any]] = {
    str: _vary(sqlalchemy.String(255), sqlite=_TEXT, postgresql=_TEXT, mysql=_MYSQL_TEXT, mssql=_MSSQL_TEXT),
    datetime: _vary(
        sqlalchemy.TIMESTAMP(timezone=True),
        # SQLite has no date type. Its date functions read ISO 8601 text.
        sqlite=_TEXT,
        # MySQL's TIMESTAMP ends in 2038. DATETIME has no time zone.
        mysql=mysql.DATETIME(fsp=6),
        # SQL Server's TIMESTAMP is the version of a row.
        mssql=sqlalchemy.DateTime(timezone=True),
        # Oracle refuses a primary key on a TIMESTAMP WITH TIME ZONE.
        oracle=sqlalchemy.TIMESTAMP(),
    ),
    int: _vary(sqlalchemy.BigInteger(), sqlite=sqlalchemy.Integer()),
    float: _vary(_DOUBLE, sqlite=sqlalchemy.REAL(), postgresql=postgresql.DOUBLE_PRECISION()),
    # Other databases have no type for JSON, or do not insert text into it.
    dict: _vary(
        sqlalchemy.String(4000),
        sqlite=_TEXT,
        postgresql=postgresql.JSONB(),
        mysql=mysql.JSON(),
        duckdb=sqlalchemy.JSON(),
    ),
}


def column_types(hook: DbApiHook, columns: Iterable[Column]) -> dict[str, str]:
    """Return the type of each column in this database, by name. It does not open a connection."""
    dialect = _dialect(hook)
    return {name: _TYPES[kind].compile(dialect=dialect).lower() for name, kind in columns}


def create_table_statement(hook: DbApiHook, table: str, columns: Iterable[Column]) -> str:
    """Return the statement that creates a table for these columns. It does not open a connection.

    :param table: as :func:`check_table` accepts it.
    :raises AngusTargetError: the name is invalid.
    """
    created = sqlalchemy.Table(
        quoted_name(quote_table(hook, table), quote=False),
        sqlalchemy.MetaData(),
        # Other statements do not quote names of columns.
        *(
            sqlalchemy.Column(name, _TYPES[kind], primary_key=name in KEY_COLUMNS, autoincrement=False, quote=False)
            for name, kind in columns
        ),
        # The server's default engine may have no transactions.
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )
    return str(CreateTable(created).compile(dialect=_dialect(hook))).strip()


def _dialect(hook: DbApiHook) -> Dialect:
    if (dialect := sqlalchemy_dialect(hook)) is None:
        # PostgreSQL has the types of standard SQL, SQLAlchemy's default dialect has no time zones.
        dialect = PGDialect(paramstyle="qmark")  # type: ignore[no-untyped-call]
        dialect.name = hook.conn_type
    return dialect
