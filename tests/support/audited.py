"""Audits of a table for tests: the operator, and a comparison without a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loaded_rows import COLUMNS, HOURS

from airflow_provider_angus.audits import AngusSqlAuditOperator
from airflow_provider_angus.loading.sql_audit import Audit, AuditedTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from databases import Database

    from airflow_provider_angus.model.columns import Column
    from airflow_provider_angus.model.entities import Row
    from airflow_provider_angus.model.intervals import Interval


def audit(database: Database, **arguments: Any) -> AngusSqlAuditOperator:
    """Return a task ``audit`` that compares ``passing_by`` by the hour."""
    defaults = {"task_id": "audit", "metrics": "passing_by", "time": "by_hour"}
    return AngusSqlAuditOperator(**defaults | {"sql_conn_id": database.conn_id, "table": database.table} | arguments)


def compare(
    database: Database,
    rows: Iterable[Row],
    *,
    interval: Interval = HOURS,
    columns: tuple[Column, ...] = COLUMNS,
    tolerance: float = 0,
    hook: DbApiHook | None = None,
    whole: Interval | None = None,
) -> Audit:
    """Compare the rows of the stream ``camera`` with a table."""
    audit = Audit(tolerance)
    with AuditedTable(hook or database.hook, database.table, columns, audit) as table:
        table.check()
        found = audit.start("camera")
        changes = table.compare("camera", interval, rows, whole=whole or interval)
        found["equal"] = changes.unchanged
    return audit
