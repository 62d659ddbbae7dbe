"""Record the hours or days whose rows a load adds or changes in a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.loading.sql_compare import Comparison, Difference
from airflow_provider_angus.model.columns import Column
from airflow_provider_angus.model.entities import Row
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.partitions import ChangedPartitions

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook


class PartitionedTable(SqlTable):
    """A table that records the rows that it writes.

    :param table: as ``check_table`` accepts it.
    :param create: whether to create the table if it does not exist.
    :param partitions: the collector of the rows.
    :raises AngusTargetError: the name is invalid, or the database has no transactions.
    """

    def __init__(
        self, hook: DbApiHook, table: str, columns: tuple[Column, ...], *, create: bool, partitions: ChangedPartitions
    ) -> None:
        super().__init__(hook, table, columns, create=create)
        self._partitions = partitions

    def _comparison(self, stream: str, interval: Interval, rows: Iterable[Row]) -> Comparison:  # noqa: ARG002 (the base's signature)
        return _MarkingComparison(interval, self._partitions.observe(rows), self._present, self._partitions)


class _MarkingComparison(Comparison):
    def __init__(
        self, interval: Interval, rows: Iterable[Row], columns: Mapping[str, type], partitions: ChangedPartitions
    ) -> None:
        super().__init__(interval, rows, columns)
        self._partitions = partitions

    def compare(self, end: datetime, existing: Sequence[Sequence[Any]], scales: Sequence[Any]) -> Difference:
        difference = super().compare(end, existing, scales)
        for row in difference.rows:
            self._partitions.mark(row)
        return difference
