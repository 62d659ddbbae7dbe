"""Compare a table with the API, and repair it: ``AngusSqlAuditOperator``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_provider_angus._transfer import SqlTransfer
from airflow_provider_angus.exceptions import AngusAuditError, AngusRequestError, AngusRowError
from airflow_provider_angus.model.arguments import check_flag, describe_argument
from airflow_provider_angus.model.buckets import whole_buckets

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_angus.loading.multi_stream import MultiStreamFetch
    from airflow_provider_angus.loading.sql_audit import AuditExtra, AuditReport
    from airflow_provider_angus.model.intervals import Interval


class AngusSqlAuditOperator(SqlTransfer):
    """Compare a table of ``AngusToSqlOperator`` with the API, and repair it if asked.

    It finds buckets that the table lacks, surplus buckets that the API lacks, and buckets whose values differ. The log
    and the result have the counts and the first differences with both values. It reads the table in slices, so memory
    does not grow with the interval. It accepts all parameters of
    :class:`~airflow_provider_angus.operators.AngusEntitiesOperator`.

    :param sql_conn_id: an Airflow connection to the database. An ``int`` is its digits (templated).
    :param table: ``table``, ``schema.table`` or ``database.schema.table``, as ``AngusToSqlOperator`` loads it
        (templated).
    :param repair: ``False``: differences are an ``AngusAuditError``, and nothing is written. The report is in XCom.
        ``True``: replace the rows that differ, as ``AngusToSqlOperator`` does.
    :param tolerance: the greatest difference between two equal values of a column of seconds, ``stop_time`` or
        ``attention_time``. Must not be negative. Counts are always compared exactly.
    :param allow_empty: whether, with ``repair=True`` and ``on_incomplete="warn"``, the rows of a stream may be deleted
        if the API has none in the interval; otherwise it is an ``AngusResponseError``.
    :param partition_events: with ``repair=True``, ``by_hour`` or ``by_day``: each asset in ``outlets`` gets one event
        per hour or day (UTC) within the interval that the repair changed. Needs Airflow 3.3. None: one event per run.
    :returns: ``{"table", "stream", "from_date", "to_date", "rows", "equal", "missing", "surplus", "differing",
        "streams", "differences"}``: ``streams`` has the counts of each stream and its days (UTC) with differences, at
        most 100; ``differences`` are the first 20. With ``repair=True``, the report is the state before the repair.
    :raises AngusAuditError: the table differs from the API, and ``repair`` is False.
    :raises AngusTargetError: invalid name, missing table, column, database or permission, or no SQL database
            with transactions.
    :raises AngusStorageError: the database failed. Existing rows are unchanged.
    :raises AngusError: any other error of the tree in :mod:`airflow_provider_angus.exceptions`.

    Example::

        audit = AngusSqlAuditOperator(
            task_id="audit", metrics="passing_by", time="by_hour", sql_conn_id="warehouse", table="audience"
        )
    """

    def __init__(
        self,
        *,
        sql_conn_id: str | int,
        table: str,
        repair: bool = False,
        tolerance: float = 0,
        allow_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(sql_conn_id=sql_conn_id, table=table, allow_empty=allow_empty, **kwargs)
        check_flag("repair", repair)
        if self.partition_events is not None and not repair:
            raise AngusRequestError("partition_events: expected None with repair=False, which changes no rows.")
        _check_tolerance(tolerance)
        self.repair = repair
        self.tolerance = tolerance

    def execute(self, context: Context) -> Any:
        """Return the report. Raise an error if the table differs and is not repaired."""
        from airflow_provider_angus.loading.sql_audit import describe_counts, describe_differences

        report: AuditReport = super().execute(context)
        if self.repair or not (report["missing"] or report["surplus"] or report["differing"]):
            return report
        # Airflow stores no return value of a task that fails.
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=report)
        first = next(describe_differences(report["differences"]))
        raise AngusAuditError(
            f"Table {self.table} differs from the API for {report['from_date']} .. {report['to_date']}: "
            f"{describe_counts(report)}. The first: {first}. Set repair=True to load the API's rows."
        )

    def _create_fetch(self, interval: Interval, **_: Any) -> MultiStreamFetch:
        fetch = super()._create_fetch(interval)
        fetch.allow_empty = self.allow_empty or not self.repair
        return fetch

    def _load(self, fetch: MultiStreamFetch) -> tuple[AuditReport, AuditExtra]:
        from airflow_provider_angus.loading.lineage import table_output
        from airflow_provider_angus.loading.sql_audit import Audit, AuditedTable, describe_counts, describe_differences

        hook, partitions = self._get_sql_hook(), self._partitions
        audit = Audit(self.tolerance, partitions)
        whole = whole_buckets(fetch.interval, fetch.time)
        with AuditedTable(hook, self.table, self._columns(), audit) as table:
            table.check()
            for stream_rows in fetch:
                found = audit.start(stream_rows.stream)
                compare = table.replace if self.repair else table.compare
                try:
                    with stream_rows.rows as rows:
                        changes = compare(stream_rows.stream, fetch.interval, rows, whole=whole)
                except AngusRowError as error:
                    # The table may take the rows of the other streams.
                    fetch.mark_failed(stream_rows, error)
                    continue
                if partitions:
                    partitions.keep()
                found["equal"] = changes.unchanged
                found["repaired"] = self.repair and bool(changes.added or changes.changed or changes.removed)
                state = f"{describe_counts(found)}, {found['equal']} equal{', repaired' * found['repaired']}"
                self.log.info("Audited stream %s in %s: %s", stream_rows.stream, table.name, state)
        for line in describe_differences(audit.differences):
            self.log.warning("Difference: %s", line)
        total = audit.total()
        if more := total["missing"] + total["surplus"] + total["differing"] - len(audit.differences):
            self.log.warning("Differences: %s more", more)
        if self.repair:
            self._lineage = list(fetch.row_counts), lambda: table_output(hook, self.table, self._columns())
        extra = self._event_extra(fetch)
        equal = sum(each["equal"] for each in audit.streams.values())
        counts: AuditExtra = {**extra, "table": self.table, "equal": equal, **total}
        return {**counts, "streams": audit.streams, "differences": audit.differences}, counts


def _check_tolerance(tolerance: object) -> None:
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf:
        raise AngusRequestError(f"tolerance: expected a number of at least 0, got {describe_argument(tolerance)}.")
