"""How the rows of an interval replace those that a table has of it: in one transaction, on any DB-API database.

One connection, one cursor, a DELETE and INSERTs of many rows each, one commit; what common-sql's ``insert_rows`` does
cannot be one transaction with a DELETE. Whoever dies before the commit leaves what was there before. Two who load the
same interval at once are kept apart by the primary key, on PostgreSQL and MySQL by a lock as well.

Names are checked, never quoted: they fold to the case that the database folds names to. Values are parameters.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from airflow_provider_angus.exceptions import AngusError, AngusRowError, AngusStorageError, AngusTargetError
from airflow_provider_angus.schema import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.schema import Column

#: How many parameters one statement may have: SQL Server takes 2,100, all others more.
PARAMETERS = 2000

#: How long to wait for another task that writes the same table, on MySQL, in seconds.
LOCK_SECONDS = 300

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}")


def _same(moment: datetime) -> object:
    return moment


class Database(NamedTuple):
    """What differs between databases.

    The types of columns; how an instant (UTC) is handed over; the statement after which columns without a time zone
    hold UTC; the statements that keep two writers of one table apart and, unless the transaction's end does it, let
    the next one in, each with the lock's name for a parameter.
    """

    text: str
    instant: str
    whole: str
    number: str
    json: str
    hand_over: Callable[[datetime], object] = _same
    in_utc: str | None = None
    lock: str | None = None
    unlock: str | None = None


_STANDARD = Database("VARCHAR(255)", "TIMESTAMP WITH TIME ZONE", "BIGINT", "DOUBLE PRECISION", "VARCHAR(4000)")

#: By the type of the Airflow connection; the SQL standard's types for all others.
DATABASES = {
    # It has no dates: they are ISO 8601 texts, as its own date functions read them.
    "sqlite": Database("TEXT", "TEXT", "INTEGER", "REAL", "TEXT", datetime.isoformat),
    "postgres": Database(
        *("TEXT", "TIMESTAMP WITH TIME ZONE", "BIGINT", "DOUBLE PRECISION", "JSONB"),
        in_utc="SET LOCAL TIME ZONE 'UTC'",
        # Else a table without our primary key could get an interval twice.
        lock="SELECT pg_advisory_xact_lock(hashtext({}))",
    ),
    "duckdb": Database(
        *("VARCHAR", "TIMESTAMP WITH TIME ZONE", "BIGINT", "DOUBLE", "JSON"), in_utc="SET TimeZone = 'UTC'"
    ),
    # Its TIMESTAMP ends in 2038; its DATETIME knows no time zone and holds UTC. Its texts are the same in any case if
    # nobody says otherwise. Without the lock, two streams that are loaded for the first time block each other's gaps.
    "mysql": Database(
        *("VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "DATETIME(6)", "BIGINT", "DOUBLE", "JSON"),
        hand_over=lambda moment: moment.replace(tzinfo=None),
        in_utc="SET time_zone = '+00:00'",
        lock=f"SELECT GET_LOCK({{}}, {LOCK_SECONDS})",
        unlock="SELECT RELEASE_LOCK({})",
    ),
}


def check_table(table: str) -> str:
    """Return a table's name where it is one.

    :param table: ``table``, ``schema.table`` or ``database.schema.table``: letters, digits, ``_`` and ``$``.
    :raises AngusTargetError: it is something else.
    """
    if not isinstance(table, str) or not _NAME.fullmatch(table):
        raise AngusTargetError(
            f"{table!r} is no name of a table: table must be letters, digits, _ and $, with a schema and a dot before "
            "it where it needs one, and no quotes."
        )
    return table


class Table:
    """A table of landed rows, open in one connection to its database while in a ``with`` statement.

    Errors of the database's driver leave that statement as :class:`AngusStorageError` or, where the statement itself is
    wrong (no right, no schema) and a retry cannot help, as :class:`AngusTargetError`.

    :param hook: of the database.
    :param table: see :func:`check_table`.
    :param columns: the schema of the rows.
    :param create: whether to create it where it is not there.
    :raises AngusTargetError: the name is none.
    """

    def __init__(self, hook: DbApiHook, table: str, columns: tuple[Column, ...], *, create: bool) -> None:
        self.name = check_table(table)
        self._hook, self._columns, self._create = hook, columns, create
        self._database = DATABASES.get(hook.conn_type, _STANDARD)
        # DuckDB's cursor is a connection of its own, which commits by itself where nobody begins.
        self._commits_itself = hook.conn_type == "duckdb"
        self._there: dict[str, type] = {}

    def __enter__(self) -> Self:
        """Connect.

        :raises AngusTargetError: the connection's settings cannot be used.
        :raises AngusStorageError: the database cannot be reached.
        """
        from airflow.providers.common.compat.sdk import AirflowException

        with ExitStack() as unless_open, _Attempt() as attempt:
            try:
                self._connection = self._hook.get_conn()
            except (ValueError, ImportError, RuntimeError, AirflowException) as error:
                raise AngusTargetError(f"Connection {self._hook.get_conn_id()!r} cannot be used: {error}") from error
            unless_open.callback(self._connection.close)
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(self._connection, autocommit=False)
            self._cursor = self._connection.cursor()
            unless_open.pop_all()
        if attempt.error:
            raise self._told(attempt.error) from attempt.error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Disconnect; what was not committed never happened."""
        # What is broken already must not hide what broke it.
        with _Attempt():
            if error is not None:
                self._roll_back()
        with _Attempt():
            self._cursor.close()
            self._connection.close()
        if kind is not None and error is not None and _is_of_a_driver(kind):
            raise self._told(error) from error

    def replace(self, stream: str, interval: Interval, rows: Iterable[Row]) -> int:
        """Put a stream's rows of an interval in the place of those that the table has, in one transaction.

        :param stream: the stream's client ID.
        :param interval: half-open, in UTC; rows of the stream that lie in it are deleted.
        :param rows: as ``schema.landed`` returns them; consumed one after the other.
        :returns: how many rows there are now.
        :raises AngusTargetError: the table is not there, or a column of it is not.
        :raises AngusRowError: the table has no place for what the rows hold; the table may be used for others.
        """
        self._there = self._there or self._check()
        self._begin()
        mark, edges = self._hook.placeholder, [self._database.hand_over(edge) for edge in interval]
        self._cursor.execute(
            f"DELETE FROM {self.name} "  # noqa: S608 (checked names, values are parameters)
            f"WHERE stream = {mark} AND bucket_start >= {mark} AND bucket_end <= {mark}",
            (stream, *edges),
        )
        try:
            count = self._insert(rows)
        except AngusRowError:
            self._roll_back()
            self._end()
            raise
        self._transaction.commit()
        self._end()
        return count

    def _begin(self) -> None:
        if self._commits_itself:
            self._cursor.begin()
        if self._database.lock:
            (got,) = self._ask(self._database.lock)
            if got == 0:
                raise AngusStorageError(f"Table {self.name} is being written by another task for too long.")
        if self._database.in_utc:
            self._cursor.execute(self._database.in_utc)

    def _end(self) -> None:
        if self._database.unlock:
            self._ask(self._database.unlock)

    def _ask(self, statement: str) -> list[Any]:
        # MySQL's names of locks are short.
        name = f"angus {hashlib.sha256(self.name.lower().encode()).hexdigest()[:40]}"
        self._cursor.execute(statement.format(self._hook.placeholder), (name,))
        (row,) = self._cursor.fetchall()
        return list(row.values() if isinstance(row, dict) else row)

    @property
    def _transaction(self) -> Any:
        return self._cursor if self._commits_itself else self._connection

    def _insert(self, rows: Iterable[Row]) -> int:
        names, count, rest = list(self._there), 0, iter(rows)
        one = f"({', '.join([self._hook.placeholder] * len(names))})"
        while batch := list(islice(rest, PARAMETERS // len(names))):
            self._cursor.execute(
                f"INSERT INTO {self.name} ({', '.join(names)}) "  # noqa: S608 (checked names, values are parameters)
                f"VALUES {', '.join([one] * len(batch))}",
                [value for row in batch for value in self._values(row)],
            )
            count += len(batch)
        return count

    def _values(self, row: Row) -> list[Any]:
        if row[OTHER] is not None and OTHER not in self._there:
            raise AngusRowError(
                f"The API sent {', '.join(map(repr, row[OTHER]))[:200]} of stream {row['stream']!r}, which nobody "
                f"documented; table {self.name} needs a column {OTHER} ({self._database.json}) to keep that."
            )
        return [self._value(kind, row[name]) for name, kind in self._there.items()]

    def _value(self, kind: type, value: Any) -> object:
        if kind is datetime:
            return self._database.hand_over(datetime.fromisoformat(value).astimezone(UTC))
        return json.dumps(value) if kind is dict and value is not None else value

    def _check(self) -> dict[str, type]:
        """Return the columns to fill: all that the table must have, and ``other`` where it has that."""
        there, absent = self._columns_there()
        if absent and self._create:
            self._create_it()
            there, absent = self._columns_there()
        if absent:
            raise AngusTargetError(
                f"Table {self.name} is not there or not to be read: create it, or let create_table=True do so. "
                f"({_words(absent)})"
            ) from absent
        missing = [column for column in self._columns if column.name not in there and column.name != OTHER]
        if missing:
            wanted = ", ".join(f"{column.name} ({self._type(column)})" for column in missing)
            raise AngusTargetError(f"Table {self.name} has no column {wanted}; it has {', '.join(there)}.")
        return {column.name: column.type for column in self._columns if column.name in there}

    def _columns_there(self) -> tuple[list[str], BaseException | None]:
        """Return the table's columns, or none and what says that it is not there."""
        there = []
        with _Attempt() as attempt:
            self._cursor.execute(f"SELECT * FROM {self.name} WHERE 1 = 0")  # noqa: S608 (a checked name)
            there = [name.lower() for name, *_ in self._cursor.description]
            # Some cursors do not let go before.
            self._cursor.fetchall()
        self._roll_back()
        # PEP 249's class for a table that is not there; only SQLite has another.
        if attempt.error and not _is_wrong(attempt.error) and "no such table" not in str(attempt.error):
            raise attempt.error
        return there, attempt.error

    def _create_it(self) -> None:
        columns = ", ".join(
            f"{column.name} {self._type(column)}{' NOT NULL' * (column.type in {str, datetime})}"
            for column in self._columns
        )
        key = "stream, bucket_start, bucket_end"
        with _Attempt() as attempt:
            self._cursor.execute(f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({key}))")
            if not self._commits_itself:
                self._connection.commit()
        if attempt.error:
            self._roll_back()
            # Another task may have created it in the same moment.
            _, absent = self._columns_there()
            if absent:
                raise attempt.error

    def _type(self, column: Column) -> str:
        of = self._database
        return {str: of.text, datetime: of.instant, int: of.whole, float: of.number, dict: of.json}[column.type]

    def _roll_back(self) -> None:
        if not self._commits_itself:
            self._connection.rollback()
        elif self._there:
            self._cursor.rollback()

    def _told(self, error: BaseException) -> AngusError:
        kind = AngusTargetError if _is_wrong(error) else AngusStorageError
        return kind(
            f"Table {self.name} of connection {self._hook.get_conn_id()!r} could not be written: {_words(error)} "
            "What was there before still is."
        )


class _Attempt:
    """Ends a ``with`` statement where a database's driver raises, and keeps the error."""

    error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        self.error = error
        return kind is not None and _is_of_a_driver(kind)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _is_wrong(error: BaseException) -> bool:
    # PEP 249's class for statements that are wrong: no such table, no such right.
    return "ProgrammingError" in _lineage(type(error))


def _is_of_a_driver(kind: type[BaseException]) -> bool:
    # What PEP 249 says of drivers: the base class of their errors is called Error.
    return "Error" in _lineage(kind)


def _lineage(kind: type) -> set[str]:
    return {each.__name__ for each in kind.__mro__}
