"""Rows of three hours, and the load of them into a table without a task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.model.columns import table_columns
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databases import Database

    from airflow_provider_angus.loading.sql_compare import Changes
    from airflow_provider_angus.model.entities import Row

COLUMNS = table_columns(["passing_by"])
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOURS = Interval(NOON, NOON + timedelta(hours=3))


def rows(stream: str = "camera", interval: Interval = HOURS, *, count: int = 3, passing_by: int = 7) -> list[Row]:
    """Return the rows of the first hours of an interval."""
    hours = [interval.start + timedelta(hours=hour) for hour in range(count)]
    return [
        {
            "stream": stream,
            "bucket_start": hour.isoformat(),
            "bucket_end": (hour + timedelta(hours=1)).isoformat(),
            "passing_by": passing_by,
            "other": None,
        }
        for hour in hours
    ]


def replace(
    database: Database, new_rows: Iterable[Row], *, stream: str = "camera", interval: Interval = HOURS
) -> Changes:
    """Replace the rows of an interval. The table is created if necessary."""
    with SqlTable(database.hook, database.table, COLUMNS, create=True) as table:
        return table.replace(stream, interval, new_rows)
