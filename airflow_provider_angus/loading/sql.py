"""Replace the rows of an interval in a table, in one transaction, on any DB-API database.

DELETE and INSERTs share a commit, unlike common-sql's ``insert_rows``, which commits by itself. The primary key, and a
lock on PostgreSQL and MySQL, serialize tasks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Self

from airflow_provider_angus.api.redaction import quote_untrusted
from airflow_provider_angus.exceptions import AngusError, AngusRowError, AngusStorageError, AngusTargetError
from airflow_provider_angus.loading.sql_dialects import DIALECTS, STANDARD
from airflow_provider_angus.loading.sql_errors import VALUE_ERRORS, classify, is_driver_error
from airflow_provider_angus.loading.sql_names import check_table, quote_table
from airflow_provider_angus.loading.storage_errors import classify_store
from airflow_provider_angus.model.columns import OTHER, Column
from airflow_provider_angus.model.entities import KEY_COLUMNS, Row
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: The maximum number of parameters of a statement. SQL Server accepts 2,100, other databases more.
PARAMETERS = 2000

# Hooks raise these for fields of the connection that they cannot use.
_UNUSABLE = (AttributeError, ImportError, KeyError, RuntimeError, TypeError, ValueError)


class SqlTable:
    """A table of loaded rows. The ``with`` statement opens and closes the database connection.

    Errors of the database driver become :class:`AngusTargetError` if a retry cannot help (no permission, no schema),
    :class:`AngusRowError` if only the rows are wrong, otherwise :class:`AngusStorageError`.

    :param table: as :func:`check_table` accepts it.
    :param create: whether to create the table if it does not exist.
    :raises AngusTargetError: the name is invalid.
    """

    def __init__(self, hook: DbApiHook, table: str, columns: tuple[Column, ...], *, create: bool) -> None:
        #: The quoted name.
        self.name = quote_table(hook, table)
        # Statements with parameters need a doubled percent sign.
        self._name = self.name.replace("%", "%%") if hook.placeholder == "%s" else self.name
        # Names that differ in case or quotes may be one table. MySQL limits the name of a lock to 64 characters.
        self._lock = f"angus {hashlib.sha256('.'.join(check_table(table)).lower().encode()).hexdigest()[:40]}"
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
            except (*_UNUSABLE, OSError, AirflowException) as error:
                kind = classify_store(error) if isinstance(error, OSError) else AngusTargetError
                raise kind(
                    f"Connection {self._hook.get_conn_id()!r} cannot be used: {quote_untrusted(str(error))}"
                ) from error
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
        mark = self._hook.placeholder
        condition = f"stream = {mark} AND bucket_start >= {mark} AND bucket_end <= {mark}"
        keys = [stream, *map(self._dialect.adapt_timestamp, interval)]
        with self._translate_error():
            self._present = self._present or self._check_columns()
            self._begin()
            deleted = 0
            try:
                with self._translate_row_error(stream):
                    self._cursor.execute(f"DELETE FROM {self._name} WHERE {condition}", keys)  # noqa: S608 (quoted name)
                    deleted = self._cursor.rowcount
                count = self._insert(stream, rows)
                with self._translate_row_error(stream):
                    # Deferred constraints are checked now.
                    (self._cursor if self._cursor_is_connection else self._connection).commit()
            except AngusRowError as error:
                self._roll_back()
                if is_driver_error(error.__cause__, "IntegrityError"):
                    self._check_race(condition, keys, deleted)
                self._unlock()
                raise
            self._unlock()
        return count

    def _check_race(self, condition: str, keys: list[object], deleted: int) -> None:
        """Raise an error if another writer has inserted rows of the interval after the DELETE."""
        statement = f"SELECT COUNT(*) FROM {self._name} WHERE {condition}"  # noqa: S608 (quoted name)
        # Some drivers do not count deleted rows: -1.
        if int(str(self._select(statement, keys))) > max(deleted, 0):
            raise AngusStorageError(
                f"Table {self.name}: another task has loaded the same interval. Its rows are unchanged."
            )

    def _begin(self) -> None:
        if self._cursor_is_connection:
            self._cursor.begin()
        # GET_LOCK returns 0 after a time-out.
        if self._dialect.lock and self._select_lock(self._dialect.lock) == 0:
            raise AngusStorageError(f"Table {self.name} is locked by another task. Existing rows are unchanged.")
        if self._dialect.set_utc:
            self._cursor.execute(self._dialect.set_utc)

    def _unlock(self) -> None:
        if self._dialect.unlock:
            self._select_lock(self._dialect.unlock)

    def _select_lock(self, statement: str) -> object:
        return self._select(statement.format(self._hook.placeholder), [self._lock])

    def _select(self, statement: str, parameters: list[object]) -> object:
        self._cursor.execute(statement, parameters)
        (row,) = self._cursor.fetchall()
        (value,) = row.values() if isinstance(row, dict) else row
        return value

    def _insert(self, stream: str, rows: Iterable[Row]) -> int:
        count, remaining = 0, iter(rows)
        marks = f"({', '.join([self._hook.placeholder] * len(self._present))})"
        while batch := list(islice(remaining, PARAMETERS // len(self._present))):
            values = [value for row in batch for value in self._values(row)]
            with self._translate_row_error(stream):
                self._cursor.execute(
                    f"INSERT INTO {self._name} ({', '.join(self._present)}) "  # noqa: S608 (quoted name)
                    f"VALUES {', '.join([marks] * len(batch))}",
                    values,
                )
            count += len(batch)
        return count

    def _values(self, row: Row) -> list[object]:
        if row[OTHER] is not None and OTHER not in self._present:
            raise AngusRowError(
                f"Table {self.name} has no column {OTHER} ({self._sql_types[OTHER]}) for undocumented keys of stream "
                f"{row['stream']!r}: {', '.join(map(repr, row[OTHER]))[:200]}. Add the column. "
                "Existing rows are unchanged."
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
            self._cursor.execute(f"SELECT * FROM {self.name} WHERE 1 = 0")  # noqa: S608 (quoted name)
            existing = [name.lower() for name, *_ in self._cursor.description]
            # Some cursors must be exhausted before the next statement.
            self._cursor.fetchall()
        except Exception as error:
            # SQLite raises an OperationalError, other databases a ProgrammingError.
            if not is_driver_error(error, "ProgrammingError") and "no such table" not in str(error):
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
            if (kind := classify(error, self._hook.conn_type)) is None:
                raise
            raise kind(
                f"Table {self.name} of connection {self._hook.get_conn_id()!r} could not be written: "
                f"{_message(error)}. Existing rows are unchanged."
            ) from error

    @contextmanager
    def _translate_row_error(self, stream: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            kind = classify(error, self._hook.conn_type, rows=True)
            if kind is not AngusRowError and not isinstance(error, VALUE_ERRORS):
                raise
            raise AngusRowError(
                f"Table {self.name} of connection {self._hook.get_conn_id()!r} cannot take the rows of stream "
                f"{stream!r}: {_message(error)}. Existing rows are unchanged."
            ) from error


def _message(error: Exception) -> str:
    return quote_untrusted(str(error)).rstrip(".") or type(error).__name__
