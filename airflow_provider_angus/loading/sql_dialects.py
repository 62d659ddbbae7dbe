"""Differences between SQL databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple


class SqlDialect(NamedTuple):
    """Column types, by the Python type of a column, and statements of one database.

    ``adapt_timestamp`` turns a UTC datetime into a parameter. After ``set_utc``, columns without a time zone hold UTC.
    ``lock`` serializes writers of one table until ``unlock`` or, if that is None, until the end of the transaction.
    Both take the name of the lock as their parameter; ``{}`` is the placeholder.
    """

    types: dict[type, str]
    adapt_timestamp: Callable[[datetime], object] = lambda moment: moment
    set_utc: str | None = None
    lock: str | None = None
    unlock: str | None = None

    def adapt(self, kind: type, value: Any) -> object:
        """Return a value of a row as a parameter for a column of this Python type."""
        if kind is datetime:
            return self.adapt_timestamp(datetime.fromisoformat(value).astimezone(UTC))
        return json.dumps(value) if kind is dict and value is not None else value


# Standard SQL, which has no type for JSON.
_TYPES = {str: "varchar(255)", datetime: "timestamp with time zone", int: "bigint", float: "double precision"}

#: For databases without a dialect.
STANDARD = SqlDialect(_TYPES | {dict: "varchar(4000)"})

#: By the type of the Airflow connection.
DIALECTS = {
    # SQLite has no date type. Its date functions read ISO 8601 text.
    "sqlite": SqlDialect(
        {str: "text", datetime: "text", int: "integer", float: "real", dict: "text"}, datetime.isoformat
    ),
    "postgres": SqlDialect(
        _TYPES | {str: "text", dict: "jsonb"},
        set_utc="SET LOCAL TIME ZONE 'UTC'",
        # A table that the user created may lack our primary key.
        lock="SELECT pg_advisory_xact_lock(hashtext({}))",
    ),
    "duckdb": SqlDialect(_TYPES | {dict: "json"}, set_utc="SET TimeZone = 'UTC'"),
    # TIMESTAMP ends in 2038 and DATETIME has no time zone. Text is case-insensitive without a binary collation. Without
    # the lock, gap locks let the first loads of two streams block each other.
    "mysql": SqlDialect(
        _TYPES | {str: "varchar(255) character set utf8mb4 collate utf8mb4_bin", datetime: "datetime(6)", dict: "json"},
        adapt_timestamp=lambda moment: moment.replace(tzinfo=None),
        set_utc="SET time_zone = '+00:00'",
        lock="SELECT GET_LOCK({}, 300)",  # seconds
        unlock="SELECT RELEASE_LOCK({})",
    ),
}
