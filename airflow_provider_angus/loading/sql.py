"""Replace the rows of an interval in a table, in one transaction, on any DB-API database.

DELETE and INSERTs share a commit, unlike common-sql's ``insert_rows``, which commits by itself. The primary key, and a
lock on PostgreSQL and MySQL, serialize tasks. Names are validated, not quoted: they fold to the database's case.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Self

from airflow_provider_angus.exceptions import AngusError, AngusRowError, AngusStorageError, AngusTargetError
from airflow_provider_angus.loading.sql_dialects import DIALECTS, STANDARD
from airflow_provider_angus.model.columns import OTHER, Column
from airflow_provider_angus.model.entities import KEY_COLUMNS, Row
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.text import sanitize_line

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: The maximum number of parameters of a statement. SQL Server accepts 2,100, other databases more.
PARAMETERS = 2000

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}")


def check_table(table: str) -> str:
    """Return the name of a table, which may include a schema and a database, if it is valid.

    :raises AngusTargetError: any other value.
    """
    if not isinstance(table, str) or not _NAME.fullmatch(table):
        raise AngusTargetError(f"{table!r} is not a valid table name. Use letters, digits, _, $ and dots, no quotes.")
    return table


class SqlTable:
    """A table of loaded rows. The ``with`` statement opens and closes the database connection.

    Errors of the database driver become :class:`AngusTargetError` if a retry cannot help (no permission, no schema),
    otherwise :class:`AngusStorageError`.

    :param create: whether to create the table if it does not exist.
    :raises AngusTargetError: the name is invalid.
    """

    def __init__(self, hook: DbApiHook, table: str, columns: tuple[Column, ...], *, create: bool) -> None:
        self.name = check_table(table)
        self._hook, self._columns, self._create = hook, columns, create
        self._dialect = DIALECTS.get(hook.conn_type, STANDARD)
        self._sql_types = {name: self._dialect.types[kind] for name, kind in columns}
        # DuckDB's cursor is a connection of its own. It commits each statement outside of an explicit transaction.
        self._cursor_is_connection = hook.conn_type == "duckdb"
        self._present: dict[str, type] = {}

    def __enter__(self) -> Self:
        from airflow.providers.common.compat.sdk import AirflowException

        with ExitStack() as on_error, self._translate_error():
            try:
                self._connection = self._hook.get_conn()
            except (ValueError, ImportError, RuntimeError, AirflowException) as error:
                raise AngusTargetError(f"Connection {self._hook.get_conn_id()!r} cannot be used: {error}") from error
            on_error.callback(self._connection.close)
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(self._connection, autocommit=False)
            self._cursor = self._connection.cursor()
            on_error.pop_all()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # A broken connection must not hide the error that broke it.
        with suppress(AngusError), self._translate_error(), closing(self._connection), closing(self._cursor):
            if error is not None:
                self._roll_back()

    def replace(self, stream: str, interval: Interval, rows: Iterable[Row]) -> int:
        """Replace the rows of a stream's interval in one transaction.

        :param stream: the client ID.
        :param rows: as ``normalize_row`` returns them; consumed one at a time.
        :returns: the number of inserted rows.
        :raises AngusTargetError: the table or a column of it does not exist, or a retry cannot help.
        :raises AngusRowError: the table cannot take a row of this stream; it may take other streams.
        :raises AngusStorageError: the database failed. Existing rows are unchanged.
        """
        with self._translate_error():
            self._present = self._present or self._check_columns()
            self._begin()
            mark, dates = self._hook.placeholder, [self._dialect.adapt_timestamp(date) for date in interval]
            self._cursor.execute(
                f"DELETE FROM {self.name} "  # noqa: S608 (validated names; values are parameters)
                f"WHERE stream = {mark} AND bucket_start >= {mark} AND bucket_end <= {mark}",
                (stream, *dates),
            )
            try:
                count = self._insert(rows)
            except AngusRowError:
                self._roll_back()
                self._unlock()
                raise
            (self._cursor if self._cursor_is_connection else self._connection).commit()
            self._unlock()
        return count

    def _begin(self) -> None:
        if self._cursor_is_connection:
            self._cursor.begin()
        # GET_LOCK returns 0 after a time-out.
        if self._dialect.lock and self._select(self._dialect.lock) == 0:
            raise AngusStorageError(f"Table {self.name} is locked by another task. Existing rows are unchanged.")
        if self._dialect.set_utc:
            self._cursor.execute(self._dialect.set_utc)

    def _unlock(self) -> None:
        if self._dialect.unlock:
            self._select(self._dialect.unlock)

    def _select(self, statement: str) -> object:
        # MySQL limits the name of a lock to 64 characters.
        name = f"angus {hashlib.sha256(self.name.lower().encode()).hexdigest()[:40]}"
        self._cursor.execute(statement.format(self._hook.placeholder), (name,))
        (row,) = self._cursor.fetchall()
        (value,) = row.values() if isinstance(row, dict) else row
        return value

    def _insert(self, rows: Iterable[Row]) -> int:
        count, remaining = 0, iter(rows)
        marks = f"({', '.join([self._hook.placeholder] * len(self._present))})"
        while batch := list(islice(remaining, PARAMETERS // len(self._present))):
            self._cursor.execute(
                f"INSERT INTO {self.name} ({', '.join(self._present)}) "  # noqa: S608 (validated names)
                f"VALUES {', '.join([marks] * len(batch))}",
                [value for row in batch for value in self._values(row)],
            )
            count += len(batch)
        return count

    def _values(self, row: Row) -> list[object]:
        if row[OTHER] is not None and OTHER not in self._present:
            raise AngusRowError(
                f"Table {self.name} has no column {OTHER} ({self._sql_types[OTHER]}) for undocumented keys of stream "
                f"{row['stream']!r}: {', '.join(map(repr, row[OTHER]))[:200]}. Add the column."
            )
        return [self._dialect.adapt(kind, row[name]) for name, kind in self._present.items()]

    def _check_columns(self) -> dict[str, type]:
        """Return the columns to fill: all required columns, and ``other`` if the table has it."""
        try:
            existing = self._existing_columns()
        except AngusTargetError:
            if not self._create:
                raise
            existing = self._create_table()
        if missing := [f"{name} ({kind})" for name, kind in self._sql_types.items() if name not in {*existing, OTHER}]:
            raise AngusTargetError(
                f"Table {self.name} has no column {', '.join(missing)}; it has {', '.join(existing)}."
            )
        return {name: kind for name, kind in self._columns if name in existing}

    def _existing_columns(self) -> list[str]:
        try:
            self._cursor.execute(f"SELECT * FROM {self.name} WHERE 1 = 0")  # noqa: S608 (validated name)
            existing = [name.lower() for name, *_ in self._cursor.description]
            # Some cursors must be exhausted before the next statement.
            self._cursor.fetchall()
        except Exception as error:
            # SQLite raises an OperationalError, other databases a ProgrammingError.
            if not _is_driver_error(error, "ProgrammingError") and "no such table" not in str(error):
                raise
            raise AngusTargetError(
                f"Table {self.name} does not exist or is not readable. Create it or set create_table=True. "
                f"({_message(error)})"
            ) from error
        finally:
            self._roll_back()
        return existing

    def _create_table(self) -> list[str]:
        columns = [f"{name} {kind}{' NOT NULL' * (name in KEY_COLUMNS)}" for name, kind in self._sql_types.items()]
        key = f"PRIMARY KEY ({', '.join(KEY_COLUMNS)})"
        try:
            self._cursor.execute(f"CREATE TABLE {self.name} ({', '.join([*columns, key])})")
            if not self._cursor_is_connection:
                self._connection.commit()
        except Exception:
            self._roll_back()
            # Another task may have created the table at the same time.
            with suppress(AngusTargetError):
                return self._existing_columns()
            raise
        return list(self._sql_types)

    def _roll_back(self) -> None:
        if not self._cursor_is_connection:
            self._connection.rollback()
        elif self._present:
            self._cursor.rollback()

    @contextmanager
    def _translate_error(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not _is_driver_error(error):
                raise
            kind = AngusTargetError if _is_driver_error(error, "ProgrammingError") else AngusStorageError
            raise kind(
                f"Table {self.name} of connection {self._hook.get_conn_id()!r} could not be written: "
                f"{_message(error)}. Existing rows are unchanged."
            ) from error


def _message(error: Exception) -> str:
    return sanitize_line(str(error)).rstrip(".") or type(error).__name__


def _is_driver_error(error: Exception, name: str = "Error") -> bool:
    # Drivers share no base class, but PEP 249 names their classes.
    return name in {kind.__name__ for kind in type(error).__mro__}
