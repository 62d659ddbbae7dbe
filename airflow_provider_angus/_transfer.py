"""The base classes of the transfers: lineage, partition events of their outlets, and the table as a target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_angus._compat import HAS_PARTITIONS, is_asset
from airflow_provider_angus._parameters import connection_id, is_template, table_name
from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.arguments import check_flag
from airflow_provider_angus.model.columns import Column, table_columns
from airflow_provider_angus.model.entities import Row, check_metrics
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.partitions import ChangedPartitions, PartitionEvents, check_partition_events
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_angus.loading.lineage import OutputDataset
    from airflow_provider_angus.loading.manifests import EventExtra
    from airflow_provider_angus.loading.multi_stream import MultiStreamFetch, StreamRows


# The key of the task's state that holds the last try that emitted events of all its writes. 0: later writes have none.
_EMITTED = "angus_partition_events_emitted_by_try"


class Transfer(AngusEntitiesOperator):
    """An entities operator that loads its rows into a target instead of XCom."""

    def __init__(
        self, *, allow_empty: bool = True, partition_events: PartitionEvents | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_flag("allow_empty", allow_empty)
        check_partition_events(partition_events, None if is_template(self.time) else self.time)
        if partition_events is not None:
            self._check_outlets()
        self.allow_empty = allow_empty
        self.partition_events = partition_events
        self._partitions: ChangedPartitions | None = None
        self._repeats_events = False
        self._before_write: Callable[[], None] = lambda: None
        self._lineage: tuple[list[str], Callable[[], OutputDataset]] | None = None

    def execute(self, context: Context) -> Any:
        """Load the rows of the run's interval, and emit its events."""
        if self.partition_events is None:
            return super().execute(context)
        # The state of a task outlives its tries, also if the run is cleared.
        state, ti = context["task_state_store"], context["ti"]
        emitted_by: Any = state.get(_EMITTED)
        # Airflow drops the events of a try that fails. It adds to max_tries when it clears a task.
        first_try = ti.max_tries - (self.retries or 0) + 1
        self._repeats_events = emitted_by is not None and not 0 < emitted_by < first_try
        self._before_write = lambda: state.set(_EMITTED, 0)
        result = super().execute(context)
        state.set(_EMITTED, ti.try_number)
        return result

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage[Any, Any] | None:
        """Return the run's lineage, from the streams' entities to the file or table.

        :returns: None if nothing was loaded or the openlineage provider is not installed.
        """
        from airflow_provider_angus.loading.lineage import operator_lineage

        return operator_lineage(*self._lineage) if self._lineage else None

    def _check_outlets(self) -> None:
        if not HAS_PARTITIONS:
            raise AngusRequestError("partition_events: expected None before Airflow 3.3, which has no such events.")
        from airflow.sdk import AssetAlias

        if any(isinstance(outlet, AssetAlias) for outlet in self.outlets):
            raise AngusRequestError("partition_events: expected outlets that are assets, got an AssetAlias.")
        if not any(map(is_asset, self.outlets)):
            raise AngusRequestError(
                "partition_events: expected an asset in outlets, got none. Add outlets=[Asset(...)]."
            )

    def _create_fetch(self, interval: Interval, **_: Any) -> MultiStreamFetch:
        if self.partition_events is not None:
            self._partitions = ChangedPartitions(
                self.partition_events, interval, self.time, self.settle, self._before_write
            )
        return super()._create_fetch(interval, columns=self._columns(), allow_empty=self.allow_empty)

    def _columns(self) -> tuple[Column, ...]:
        return table_columns(check_metrics(self.metrics))

    def _attach_asset_extra(self, context: Context, extra: EventExtra) -> None:
        super()._attach_asset_extra(context, extra)
        if self._partitions is None:
            return
        if self._repeats_events:
            self.log.info("An earlier try wrote rows and failed. All complete partitions get an event.")
            self._partitions.mark_all()
        keys = self._partitions.keys()
        found = f"{len(keys)} changed, {keys[0]} .. {keys[-1]}" if keys else "none changed"
        self.log.info("Complete partitions (%s): %s", self.partition_events, found)
        if not keys:
            # Airflow creates an event for each outlet of a task that succeeds.
            self.outlets = [outlet for outlet in self.outlets if not is_asset(outlet)]
        for outlet in filter(is_asset, self.outlets):
            context["outlet_events"][outlet].add_partitions(keys)


class SqlTransfer(Transfer):
    """A transfer whose target is a table of an SQL database."""

    template_fields = (*Transfer.template_fields, "sql_conn_id", "table")

    def __init__(self, *, sql_conn_id: str | int, table: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        if not is_template(sql_conn_id):
            connection_id("sql_conn_id", sql_conn_id)
        if not is_template(table):
            table_name(table)

    def _get_sql_hook(self) -> DbApiHook:
        """Return the hook of the rendered connection, after checking the rendered name of the table."""
        from airflow_provider_angus.loading.sql_hooks import get_sql_hook

        self.table = table_name(self.table)
        return get_sql_hook(connection_id("sql_conn_id", self.sql_conn_id))


@contextmanager
def start(fetch: MultiStreamFetch) -> Iterator[Iterator[StreamRows]]:
    """Fetch the first stream before the target is opened, so that a failed fetch leaves the target untouched."""
    with closing(iter(fetch)) as streams:
        yield chain([next(streams)], streams)


def chain_rows(streams: Iterable[StreamRows], partitions: ChangedPartitions | None) -> Iterator[Row]:
    """Yield the rows of all streams, and record them in ``partitions``."""
    for stream_rows in streams:
        with stream_rows.rows as rows:
            yield from partitions.observe(rows) if partitions else rows
        if partitions:
            partitions.keep()
