"""Rows where they are wanted, whole and once: in a file of any object store, in a table of any SQL database.

Both are the entities operator, which says which rows they are; here is only where they go.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.entities import check_metrics
from airflow_provider_angus.exceptions import AngusRowError, AngusTargetError
from airflow_provider_angus.files import format_of, write
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.question import is_template
from airflow_provider_angus.schema import schema
from airflow_provider_angus.tables import Table, check_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.fetching import StreamRows, Streams
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.lineage import Output
    from airflow_provider_angus.schema import Column


class _Transfer(AngusEntitiesOperator):
    """An entities operator whose rows go elsewhere than to XCom."""

    def __init__(self, *, allow_empty: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.allow_empty = allow_empty
        self._landed: tuple[list[str], Callable[[], Output]] | None = None

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage[Any, Any] | None:
        """Return what OpenLineage should know of the run: from the streams' entities to the file or table.

        :returns: None where nothing has been landed, or the openlineage provider is not installed.
        """
        from airflow_provider_angus.lineage import lineage

        if self._landed is None:
            return None
        streams, output = self._landed
        return lineage(streams, output)

    def _streams(self, interval: Interval) -> Streams:
        from airflow_provider_angus.fetching import Streams

        return Streams(
            self._conn_ids(),
            metrics=self.metrics,
            interval=interval,
            time=self.time,
            window=self.window,
            columns=self._columns(),
            allow_empty=self.allow_empty,
        )

    def _columns(self) -> tuple[Column, ...]:
        return schema(check_metrics(self.metrics))


class AngusToObjectStorageOperator(_Transfer):
    """Write the rows of the DAG run's data interval to one file, which appears whole or not at all.

    The same interval and path give the same file again, so that a run that is cleared or backfilled replaces its own.
    Columns and types are those of :mod:`airflow_provider_angus.schema`. Memory does not grow with the interval. All
    other parameters are those of :class:`~airflow_provider_angus.operators.AngusEntitiesOperator`; rows of several
    streams stand in one file, and one that fails is missing from it.

    :param path: of the file: ``/data/{{ ds }}.jsonl``, ``s3://bucket/{{ ds }}.parquet`` or an ``ObjectStoragePath``,
        with the connection in it (``s3://aws_default@bucket/...``) or beside it (templated). Folders are made.
    :param storage_conn_id: an Airflow connection for the object store, where ``path`` names none (templated).
    :param format: ``jsonl``, ``csv`` or ``parquet``; by default what the path's ending says. A path that ends in
        ``.gz`` is compressed with gzip.
    :param allow_empty: whether an answer without any rows may replace a file; else it fails with
        ``AngusResponseError``. Angus sends hours without people as zeros: these are rows.
    :returns: ``{"path", "stream", "from_date", "to_date", "rows", "bytes", "checksum"}``: ``stream`` is a list where
        ``angus_conn_id`` is, dates are ISO 8601 in UTC, half-open, the checksum is ``sha256:...`` of the file.
    :raises AngusTargetError: the path's ending or ``format`` is none, or Airflow knows no store of the path's scheme.
    :raises AngusStorageError: the file cannot be written; what was there before still is.
    :raises AngusError: see :class:`~airflow_provider_angus.operators.AngusEntitiesOperator`.
    """

    template_fields = (*AngusEntitiesOperator.template_fields, "path", "storage_conn_id")

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        storage_conn_id: str | None = None,
        format: str | None = None,  # noqa: A002 (what it is called elsewhere in Airflow)
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.storage_conn_id = storage_conn_id
        self.format = format
        if isinstance(path, str) and not is_template(path):
            format_of(path, format)

    def _land(self, streams: Streams) -> tuple[Any, dict[str, Any]]:
        from airflow_provider_angus.lineage import file_output
        from airflow_provider_angus.publishing import place, publish

        name, columns = str(self.path), self._columns()
        form = format_of(name, self.format)
        path = place(self.path, self.storage_conn_id)
        with _begun(streams) as wholes:
            rows = _rows(wholes)
            published = publish(path, lambda file: write(file, rows, columns, form, compress=name.endswith(".gz")))
        self.log.info("Wrote %s rows to %s: %s bytes", sum(streams.landed.values()), path, published.size)
        self._landed = list(streams.landed), lambda: file_output(path, columns)
        manifest = {
            "path": str(path),
            **self._summary(streams),
            "bytes": published.size,
            "checksum": published.checksum,
        }
        return manifest, manifest


class AngusToSqlOperator(_Transfer):
    """Load the rows of the DAG run's data interval into a table: each interval of each stream exactly once.

    In one transaction for each stream its rows of the interval are deleted and the new ones inserted, so that a run
    that is cleared, retried, backfilled or killed in the middle leaves the table right. Any database whose hook is a
    ``DbApiHook``. Columns and types are those of :mod:`airflow_provider_angus.schema`; one table is for one ``time``.
    Memory does not grow with the interval. All other parameters are those of
    :class:`~airflow_provider_angus.operators.AngusEntitiesOperator`.

    :param sql_conn_id: an Airflow connection to the database (templated).
    :param table: its name, with a schema where it needs one; letters, digits, ``_`` and ``$``, no quotes (templated).
    :param create_table: whether to create the table where it is not there, with the primary key ``stream``,
        ``bucket_start``, ``bucket_end``.
    :param allow_empty: whether an answer without any rows may replace an interval; else it fails with
        ``AngusResponseError``. Angus sends hours without people as zeros: these are rows.
    :returns: ``{"table", "stream", "from_date", "to_date", "rows"}``: ``stream`` is a list where ``angus_conn_id``
        is, dates are ISO 8601 in UTC, half-open.
    :raises AngusTargetError: the table's name is none, the table or one of its columns is not there, or the
        connection is not one to an SQL database.
    :raises AngusStorageError: the database failed; what the table had of the interval it still has.
    :raises AngusError: see :class:`~airflow_provider_angus.operators.AngusEntitiesOperator`.
    """

    template_fields = (*AngusEntitiesOperator.template_fields, "sql_conn_id", "table")

    def __init__(self, *, sql_conn_id: str, table: str, create_table: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.create_table = create_table
        if not is_template(table):
            check_table(table)

    def _land(self, streams: Streams) -> tuple[Any, dict[str, Any]]:
        from airflow_provider_angus.lineage import table_output

        hook = self._hook()
        table = Table(hook, self.table, self._columns(), create=self.create_table)
        with _begun(streams) as wholes, table:
            for whole in wholes:
                try:
                    with whole.rows as rows:
                        count = table.replace(whole.stream, streams.interval, rows)
                except AngusRowError as error:
                    # The table takes the others' rows.
                    streams.leave_out(whole, error)
                    continue
                self.log.info(
                    "Loaded %s rows of stream %s into %s for %s", count, whole.stream, self.table, streams.interval
                )
        streams.check_any()
        self._landed = list(streams.landed), lambda: table_output(hook, self.table, self._columns())
        manifest = {"table": self.table, **self._summary(streams)}
        return manifest, manifest

    def _hook(self) -> DbApiHook:
        from airflow.providers.common.compat.sdk import AirflowException, BaseHook

        try:
            from airflow.providers.common.sql.hooks.sql import DbApiHook
        except ImportError as error:
            raise AngusTargetError("SQL needs common-sql: pip install 'airflow-provider-angus[sql]'.") from error
        try:
            hook = BaseHook.get_hook(self.sql_conn_id)
        except AirflowException as error:
            raise AngusTargetError(f"Connection {self.sql_conn_id!r} cannot be used: {error}") from error
        if not isinstance(hook, DbApiHook):
            raise AngusTargetError(
                f"Connection {self.sql_conn_id!r} is not one to an SQL database: its hook is {type(hook).__name__}."
            )
        return hook


@contextmanager
def _begun(streams: Streams) -> Iterator[Iterator[StreamRows]]:
    """Begin with the streams, the first of them fetched: nothing is opened before there is something to land."""
    with closing(iter(streams)) as wholes:
        yield chain([next(wholes)], wholes)


def _rows(wholes: Iterable[StreamRows]) -> Iterator[Row]:
    for whole in wholes:
        with whole.rows as rows:
            yield from rows
