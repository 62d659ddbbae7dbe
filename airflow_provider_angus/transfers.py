"""Load the rows of a DAG run's data interval into a file of any object store or a table of any SQL database."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast, get_args

from airflow_provider_angus._parameters import connection_id, is_template
from airflow_provider_angus._transfer import SqlTransfer, Transfer, chain_rows, start
from airflow_provider_angus.exceptions import AngusRowError, AngusTargetError
from airflow_provider_angus.loading.formats import Format, file_format, is_gzip, write_rows
from airflow_provider_angus.model.arguments import check_flag, describe_argument, digits_as_text, is_name
from airflow_provider_angus.model.buckets import whole_buckets
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.windows import check_lookback, look_back
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_angus.loading.manifests import FileManifest, SqlManifest
    from airflow_provider_angus.loading.multi_stream import MultiStreamFetch


class AngusToObjectStorageOperator(Transfer):
    """Write the rows of the DAG run's data interval to a file, atomically.

    The result is idempotent: a run that is cleared or backfilled replaces its file with the same bytes. Memory does
    not grow with the interval. With a list of connections, the file has the rows of all streams; a stream that fails
    is missing from it. It accepts all parameters of :class:`~airflow_provider_angus.operators.AngusEntitiesOperator`.

    :param path: the file: ``/data/{{ ds }}.jsonl``, ``s3://bucket/{{ ds }}.parquet``, a ``Path`` or an
        ``ObjectStoragePath``; the connection may be part of it (``s3://aws_default@bucket/...``). Missing folders are
        created. An ``int`` is its digits (templated).
    :param storage_conn_id: an Airflow connection for the object store, if ``path`` has none. An ``int`` is its digits
        (templated).
    :param format: ``jsonl``, ``csv`` or ``parquet``; None: the ending of ``path``. A path that ends with ``.gz`` is
        compressed with gzip (templated).
    :param allow_empty: whether, with ``on_incomplete="warn"``, a result without rows may replace a file; otherwise it
        is an ``AngusResponseError``. The API sends hours without people as zeros, which are rows.
    :param partition_events: ``by_hour`` or ``by_day``: each asset in ``outlets`` gets one event per hour or day (UTC)
        within the interval of which all loaded streams have all buckets. If the file is as before, there is no event,
        unless an earlier try of the run wrote it and failed. These events trigger only DAGs on a
        ``PartitionedAssetTimetable``. Needs Airflow 3.3. None: one event per run.
    :returns: ``{"path", "stream", "from_date", "to_date", "rows", "bytes", "checksum"}``: ``stream`` is a list if
        ``angus_conn_id`` is a list, dates are ISO 8601 in UTC, half-open, the checksum is ``sha256:...`` of the file.
    :raises AngusTargetError: unknown format or store, or no bucket, permission or credentials.
    :raises AngusStorageError: the disk or store failed. Existing data is unchanged.
    :raises AngusError: any other error of the tree in :mod:`airflow_provider_angus.exceptions`.

    Example::

        path = "s3://aws_default@bucket/{{ ds }}.csv"
        load = AngusToObjectStorageOperator(task_id="load", metrics="passing_by", time="by_hour", path=path)
    """

    template_fields = (*AngusEntitiesOperator.template_fields, "path", "storage_conn_id", "format")

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] | ObjectStoragePath,
        storage_conn_id: str | int | None = None,
        format: Format | None = None,  # noqa: A002 (Airflow's name for it)
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = _as_path(path)
        self.storage_conn_id = storage_conn_id
        self.format = format
        if not is_template(storage_conn_id):
            self._storage_conn_id()
        if not is_template(format):
            _check_format(format)
        if not is_template(_path_name(self.path)):
            name = _check_path(self.path)
            if not is_template(format):
                file_format(name, format)

    def _load(self, fetch: MultiStreamFetch) -> tuple[FileManifest, FileManifest]:
        from airflow_provider_angus.loading.lineage import file_output
        from airflow_provider_angus.loading.object_storage import checksum, resolve_path, write_atomically

        self.path, columns = _as_path(self.path), self._columns()
        name = _check_path(self.path)
        format_, compress = file_format(name, _check_format(self.format)), is_gzip(name)
        path = resolve_path(self.path, self._storage_conn_id())
        with start(fetch) as streams:
            rows = chain_rows(streams, self._partitions)
            old = checksum(path) if self._partitions else None
            if self._partitions:
                self._partitions.prepare_write()
            file = write_atomically(path, lambda file: write_rows(file, rows, columns, format_, compress=compress))
        if self._partitions and old != file.checksum:
            self._partitions.mark_all()
        self.log.info("Wrote %s rows to %s (%s bytes)", sum(fetch.row_counts.values()), path, file.size)
        self._lineage = list(fetch.row_counts), lambda: file_output(path, columns)
        manifest: FileManifest = {
            "path": str(path),
            **self._event_extra(fetch),
            "bytes": file.size,
            "checksum": file.checksum,
        }
        return manifest, manifest

    def _storage_conn_id(self) -> str | None:
        return None if self.storage_conn_id is None else connection_id("storage_conn_id", self.storage_conn_id)


class AngusToSqlOperator(SqlTransfer):
    """Load the rows of the DAG run's data interval into a table: each interval of each stream exactly once.

    One transaction per stream compares the stream's rows of the interval with the new rows. It deletes the rows that
    differ and inserts their replacements. So a run that is cleared, retried, backfilled or killed leaves the table
    correct, and a run without new data writes nothing. It works with any database whose hook is a ``DbApiHook``. A
    table is for one value of ``time``. Memory does not grow with the interval. It accepts all parameters of
    :class:`~airflow_provider_angus.operators.AngusEntitiesOperator`.

    The log and the result have the numbers of rows that were added, changed, unchanged and removed.

    Snowflake does not enforce primary keys. If two tasks may load the same interval of a stream at once, limit them
    with a pool of one slot; otherwise, a first load may insert each row twice.

    :param sql_conn_id: an Airflow connection to the database. An ``int`` is its digits (templated).
    :param table: ``table``, ``schema.table`` or ``database.schema.table``. A name is quoted where the database needs
        it, so its case is kept. Write a part with dots in double quotes: ``"my.schema".audience`` (templated).
    :param create_table: whether to create a missing table, with the primary key ``stream``, ``bucket_start``,
        ``bucket_end``.
    :param allow_empty: whether, with ``on_incomplete="warn"``, a result without rows may replace an interval; otherwise
        it is an ``AngusResponseError``. The API sends hours without people as zeros, which are rows.
    :param lookback: the length of the time before the run's interval that is fetched again, for data that arrives late
        or is corrected. Must be positive; the start is rounded down to a bucket. Not for ``global``. For a camera that
        is younger, set ``on_incomplete="warn"``. None: none.
    :param partition_events: ``by_hour`` or ``by_day``: each asset in ``outlets`` gets one event per hour or day (UTC)
        within the interval that the run changed and of which all loaded streams have all buckets. Without changes,
        there is no event. If an earlier try wrote rows and failed, unchanged hours or days get one too. These events
        trigger only DAGs on a ``PartitionedAssetTimetable``. Needs Airflow 3.3. None: one event per run.
    :returns: ``{"table", "stream", "from_date", "to_date", "rows", "added", "changed", "unchanged", "removed",
        "changed_buckets"}``: ``stream`` is a list if ``angus_conn_id`` is a list, dates are ISO 8601 in UTC, half-open,
        and include the lookback, as ``rows`` does; ``changed_buckets`` are the starts of the first 20 changed buckets.
    :raises AngusTargetError: invalid name, missing table, column, database or permission, or no SQL database
            with transactions.
    :raises AngusRowError: the table cannot take the rows of a stream: a value is too long, no partition takes a row.
    :raises AngusStorageError: the database failed. Existing rows are unchanged.
    :raises AngusError: any other error of the tree in :mod:`airflow_provider_angus.exceptions`.

    Example::

        load = AngusToSqlOperator(
            task_id="load", metrics="passing_by", time="by_hour", sql_conn_id="warehouse", table="audience"
        )
    """

    def __init__(
        self,
        *,
        sql_conn_id: str | int,
        table: str,
        create_table: bool = False,
        lookback: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(sql_conn_id=sql_conn_id, table=table, **kwargs)
        check_flag("create_table", create_table)
        check_lookback(lookback, None if is_template(self.time) else self.time)
        self.create_table = create_table
        self.lookback = lookback

    def _load(self, fetch: MultiStreamFetch) -> tuple[SqlManifest, SqlManifest]:
        from airflow_provider_angus.loading.lineage import table_output
        from airflow_provider_angus.loading.sql import SqlTable
        from airflow_provider_angus.loading.sql_compare import Changes

        hook, total, partitions = self._get_sql_hook(), Changes(), self._partitions
        whole = whole_buckets(fetch.interval, fetch.time)
        table = SqlTable(hook, self.table, self._columns(), create=self.create_table, partitions=partitions)
        with start(fetch) as streams, table:
            for stream_rows in streams:
                try:
                    with stream_rows.rows as rows:
                        changes = table.replace(stream_rows.stream, fetch.interval, rows, whole=whole)
                except AngusRowError as error:
                    # The table may take the rows of the other streams.
                    fetch.mark_failed(stream_rows, error)
                    continue
                total.add(changes)
                if partitions:
                    partitions.keep()
                message = "Loaded %s rows of stream %s into %s for %s: %s"
                self.log.info(message, changes.rows, stream_rows.stream, table.name, fetch.interval, changes)
        self._lineage = list(fetch.row_counts), lambda: table_output(hook, self.table, self._columns())
        manifest: SqlManifest = {
            "table": self.table,
            **self._event_extra(fetch),
            "added": total.added,
            "changed": total.changed,
            "unchanged": total.unchanged,
            "removed": total.removed,
            "changed_buckets": total.changed_buckets,
        }
        return manifest, manifest

    def _create_fetch(self, interval: Interval, **_: Any) -> MultiStreamFetch:
        return super()._create_fetch(look_back(interval, self.time, self.lookback))


def _as_path(value: Any) -> Any:
    """Return a path of the operating system as text, which Airflow renders. Any other value is returned unchanged."""
    if not isinstance(value, os.PathLike):
        return digits_as_text(value)
    # On Airflow 2, an ObjectStoragePath is a path of the operating system, too.
    return value if _is_storage_path(value) else os.fspath(value)


def _is_storage_path(value: object) -> bool:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return isinstance(value, ObjectStoragePath)


def _path_name(path: object) -> object:
    return str(path) if not isinstance(path, str) and _is_storage_path(path) else path


def _check_path(path: object) -> str:
    name = _path_name(path)
    if not isinstance(name, str) or not is_name(name) or is_template(name):
        raise AngusTargetError(f"path: expected the path or URL of a file, got {describe_argument(path)}.")
    if re.match(r"[^/]+://[^/]*:[^/]*@", name):
        # The value would appear in logs, in asset events and in the task's result.
        raise AngusTargetError("path: expected a URL without a password. Use a connection and storage_conn_id.")
    return name


def _check_format(format_: object) -> Format | None:
    known = get_args(Format)
    if format_ is not None and (not isinstance(format_, str) or format_ not in known):
        raise AngusTargetError(f"format: expected one of {', '.join(known)}, got {describe_argument(format_)}.")
    return cast("Format | None", format_)
