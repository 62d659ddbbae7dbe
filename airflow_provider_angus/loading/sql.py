"""Replace the rows of an interval in a table, in one transaction, on any DB-API database.

Rows that are equal are not written. DELETEs and INSERTs share a commit, unlike common-sql's ``insert_rows``, which
commits by itself. The primary key, and a lock on PostgreSQL, MySQL, SQLite and Redshift, serialize tasks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_angus.exceptions import AngusError, AngusRowError, AngusStorageError, AngusTargetError
from airflow_provider_angus.loading.sql_compare import Changes, Comparison, Difference, slices
from airflow_provider_angus.loading.sql_ddl import column_types, create_table_statement
from airflow_provider_angus.loading.sql_dialects import begin_transactions, execute_all, find_dialect, unsafe_engine
from airflow_provider_angus.loading.sql_errors import VALUE_ERRORS, classify, describe_error, is_driver_error
from airflow_provider_angus.loading.sql_hooks import connect
from airflow_provider_angus.loading.sql_names import check_table, quote_table
from airflow_provider_angus.model.columns import OTHER, Column
from airflow_provider_angus.model.entities import Row
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.partitions import ChangedPartitions

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: The maximum number of parameters of a statement, and of its executions at once. SQL Server accepts 2,100 parameters.
PARAMETERS, BATCHES = 2000, 10


class SqlTable:
    """A table of loaded rows. The ``with`` statement opens and closes the database connection.

    Errors of the database driver become :class:`AngusTargetError` if a retry cannot help (no permission, no schema),
    :class:`AngusRowError` if only the rows are wrong, otherwise :class:`AngusStorageError`.

    :param table: as :func:`check_table` accepts it.
    :param create: whether to create the table if it does not exist.
    :param partitions: the collector of the rows, and of those that are written. None: none.
    :raises AngusTargetError: the name is invalid, or the database cannot be loaded.
    """

    def __init__(
        self,
        hook: DbApiHook,
        table: str,
        columns: tuple[Column, ...],
        *,
        create: bool,
        partitions: ChangedPartitions | None = None,
    ) -> None:
        self._dialect = find_dialect(hook)
        # For both, the hook reads the connection from Airflow, so not while threads fetch streams: see SUPERVISOR_LOCK.
        self._mark, self._create = hook.placeholder, create_table_statement(hook, table, columns) if create else None
        #: The quoted name.
        self.name = quote_table(hook, table)
        # Statements with parameters need a doubled percent sign.
        self._name = self.name.replace("%", "%%") if self._mark == "%s" else self.name
        # Names that differ in case or quotes may be one table. MySQL limits the name of a lock to 64 characters.
        self._lock = f"angus {hashlib.sha256('.'.join(check_table(table)).lower().encode()).hexdigest()[:40]}"
        self._hook, self._table, self._columns = hook, table, columns
        self._sql_types, self._partitions = column_types(hook, columns), partitions
        # DuckDB's cursor is a connection of its own. It commits each statement outside of an explicit transaction.
        self._cursor_is_connection = hook.conn_type == "duckdb"
        self._present: dict[str, type] = {}

    def __enter__(self) -> Self:
        with ExitStack() as on_error, self._translate_error():
            self._connection = connect(self._hook)
            on_error.callback(self._connection.close)
            begin_transactions(self._hook, self._connection)
            self._cursor = self._connection.cursor()
            on_error.pop_all()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # A broken connection must not hide the error that broke it.
        with suppress(AngusError), self._translate_error(), closing(self._connection), closing(self._cursor):
            if error is not None:
                self._roll_back()

    def replace(
        self, stream: str, interval: Interval, rows: Iterable[Row], *, whole: Interval | None = None
    ) -> Changes:
        """Replace the rows of a stream's interval in one transaction. Rows that are equal are not written.

        :param stream: the client ID.
        :param rows: as ``normalize_row`` returns them, ordered by ``bucket_start``; consumed one at a time.
        :param whole: the buckets that the interval overlaps. If the table has a row of a whole bucket that the interval
            cuts, this row stays. None: the interval cuts no bucket.
        :returns: the numbers of rows that were added, changed, unchanged and removed.
        :raises AngusTargetError: the table or a column of it does not exist, or a retry cannot help.
        :raises AngusRowError: the table cannot take a row of this stream; it may take other streams.
        :raises AngusStorageError: the database failed. Existing rows are unchanged.
        """
        with self._translate_error():
            self._present = self._present or self._check_columns()
            comparison = self._comparison(stream, interval, rows)
            self._begin()
            try:
                self._insert(stream, self._delete_stale(stream, comparison, whole or interval))
                with self._translate_row_error(stream):
                    # Deferred constraints are checked now.
                    (self._cursor if self._cursor_is_connection else self._connection).commit()
            except AngusRowError as error:
                self._roll_back()
                if is_driver_error(error.__cause__, "IntegrityError"):
                    self._check_race(stream, comparison)
                self._unlock()
                raise
            self._unlock()
        return comparison.changes

    def _comparison(self, stream: str, interval: Interval, rows: Iterable[Row]) -> Comparison:  # noqa: ARG002 (a subclass uses it)
        return Comparison(interval, rows, self._present, partitions=self._partitions)

    def _delete_stale(self, stream: str, comparison: Comparison, whole: Interval) -> Iterator[Row]:
        """Delete the rows that differ, slice by slice, and yield the rows to insert."""
        for part in slices(comparison.interval):
            stale, rows = self._compare(stream, comparison, part, whole)
            if not self._dialect.lock and not self._dialect.begin:
                # Another writer may have inserted these rows since the SELECT.
                stale += [self._dialect.adapt(datetime, row["bucket_start"]) for row in rows]
            with self._translate_row_error(stream):
                self._delete(stream, stale, comparison.interval.end)
            yield from rows

    def _compare(self, stream: str, comparison: Comparison, part: Interval, whole: Interval) -> Difference:
        start = whole.start if part.start == comparison.interval.start else part.start
        with self._translate_row_error(stream):
            existing = self._select(", ".join(self._present), stream, Interval(start, part.end), whole.end)
            scales = [description[5] for description in self._cursor.description]
        return comparison.compare(part.end, existing, scales)

    def _delete(self, stream: str, starts: list[object], end: datetime) -> None:
        mark, remaining = self._mark, iter(dict.fromkeys(starts))
        while batch := list(islice(remaining, PARAMETERS)):
            self._cursor.execute(
                f"DELETE FROM {self._name} WHERE stream = {mark} AND bucket_end <= {mark} "  # noqa: S608 (quoted name)
                f"AND bucket_start IN ({', '.join([mark] * len(batch))})",
                [stream, self._dialect.adapt_timestamp(end), *batch],
            )

    def _select(self, columns: str, stream: str, starting: Interval, end: datetime) -> list[Sequence[Any]]:
        """Return columns of the stream's rows that start in an interval and end until an instant."""
        mark = self._mark
        return self._fetch(
            f"SELECT {columns} FROM {self._name} WHERE stream = {mark} "  # noqa: S608 (quoted name)
            f"AND bucket_start >= {mark} AND bucket_start < {mark} AND bucket_end <= {mark}",
            [stream, *map(self._dialect.adapt_timestamp, (*starting, end))],
        )

    def _check_race(self, stream: str, comparison: Comparison) -> None:
        """Raise an error if another writer has inserted rows of the interval after they were compared."""
        ((count,),) = self._select("COUNT(*)", stream, comparison.compared, comparison.interval.end)
        if int(str(count)) > comparison.found:
            raise AngusStorageError(
                f"Table {self.name}: another task has loaded the same interval. Its rows are unchanged."
            )

    def _begin(self, *, write: bool = True) -> None:
        if self._cursor_is_connection:
            self._cursor.begin()
        # GET_LOCK returns 0 after a time-out.
        if write and self._dialect.lock and self._select_lock(self._dialect.lock) == 0:
            raise AngusStorageError(f"Table {self.name} is locked by another task. Existing rows are unchanged.")
        begin = self._dialect.begin.format(self.name) if write and self._dialect.begin else None
        for statement in filter(None, (begin, self._dialect.set_utc)):
            self._cursor.execute(statement)

    def _unlock(self) -> None:
        if self._dialect.unlock:
            self._select_lock(self._dialect.unlock)

    def _select_lock(self, statement: str) -> object:
        ((value,),) = self._fetch(statement.format(self._mark), [self._lock])
        return value

    def _fetch(self, statement: str, parameters: Sequence[object]) -> list[Sequence[Any]]:
        self._cursor.execute(statement, parameters)
        return [tuple(row.values()) if isinstance(row, dict) else row for row in self._cursor.fetchall()]

    def _insert(self, stream: str, rows: Iterator[Row]) -> None:
        width, mark = len(self._present), self._mark
        values = (value for row in rows for value in self._values(row))
        batches = iter(lambda: list(islice(values, PARAMETERS // width * width)), [])
        while group := list(islice(batches, BATCHES)):
            for size, parameters in groupby(group, len):
                marks = ", ".join([f"({', '.join([mark] * width)})"] * (size // width))
                statement = f"INSERT INTO {self._name} ({', '.join(self._present)}) VALUES {marks}"  # noqa: S608 (quoted name)
                with self._translate_row_error(stream):
                    execute_all(self._hook, self._cursor, statement, parameters)

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
            existing = self._create_table(self._create)
        if missing := [f"{name} ({kind})" for name, kind in self._sql_types.items() if name not in {*existing, OTHER}]:
            raise AngusTargetError(
                f"Table {self.name} has no column {', '.join(missing)}; it has {', '.join(existing)}."
            )
        self._check_engine()
        return {name: kind for name, kind in self._columns if name in existing}

    def _check_engine(self) -> None:
        if self._dialect.find_unsafe:
            statement = self._dialect.find_unsafe.format(*[self._mark] * 2)
            found = self._fetch(statement, [None, *map(str, check_table(self._table))][-2:])
            self._roll_back()
            if found:
                raise unsafe_engine(self.name, *found[0])

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
                f"Table {self.name} does not exist or is not readable. Create it, or set create_table=True of "
                f"AngusToSqlOperator. ({describe_error(error)})"
            ) from error
        finally:
            self._roll_back()
        return existing

    def _create_table(self, statement: str) -> list[str]:
        try:
            self._cursor.execute(statement)
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
                f"{describe_error(error)}. Existing rows are unchanged."
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
                f"{stream!r}: {describe_error(error)}. Existing rows are unchanged."
            ) from error
