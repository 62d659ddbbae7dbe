"""Fetch one or several streams concurrently. Each stream is delivered after its last page, or fails as a unit."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusIncompleteError,
    AngusResponseError,
    is_retryable,
)
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.loading.row_buffer import RowBuffer
from airflow_provider_angus.model.availability import OnIncomplete, settled_at, unavailable_reason, unsettled_reason
from airflow_provider_angus.model.buckets import Time
from airflow_provider_angus.model.columns import Column, normalize_row
from airflow_provider_angus.model.entities import check_metrics, totals
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.text import sanitize_line

#: The maximum number of concurrent streams, and of complete streams that wait for the consumer. It is also the number
#: of concurrent requests that they share: 2 streams fetch up to 8 pages each at a time, 16 streams 1 page each.
STREAMS_AT_ONCE = 16

#: The number of rows of a stream that are kept in memory if memory must not grow with the interval.
ROWS_IN_MEMORY = 1000

_WAYS_OUT = (
    "Add an AngusEntitiesSensor before the task, or set retries. For a range that reaches up to now or back before a "
    "camera existed, set on_incomplete='warn'."
)


class StreamRows(NamedTuple):
    """All rows of one stream for the interval. The consumer closes ``rows``."""

    conn_id: str
    stream: str
    rows: RowBuffer


@dataclass(eq=False)
class MultiStreamFetch:
    """Fetches the streams of several connections. Iteration yields them in the order of the connections.

    A stream that fails is skipped and recorded. If all streams fail, iteration raises.

    :param conn_ids: duplicates are dropped.
    :param window: the longest range of one request, rounded down to whole buckets. Must be positive. None: no limit.
    :param settle: the time after the interval's end in which its data may still change.
    :param on_incomplete: ``fail``: an interval that has not settled is an error before any request, and a stream that
        lacks buckets fails. ``warn``: both are logged.
    :param columns: the columns that rows are normalized to. None: rows stay as the API has them.
    :param allow_empty: whether a stream may have no rows. Otherwise the stream fails.
    :param max_in_memory: rows of a stream in memory. Further rows go to a temporary file. None: no limit.
    """

    conn_ids: Sequence[str]
    _: KW_ONLY
    metrics: str | list[str]
    interval: Interval
    time: Time
    window: timedelta | None = None
    settle: timedelta = timedelta(0)
    on_incomplete: OnIncomplete = "fail"
    columns: tuple[Column, ...] | None = None
    allow_empty: bool = True
    max_in_memory: int | None = ROWS_IN_MEMORY

    def __post_init__(self) -> None:
        self.conn_ids, self.metrics = list(dict.fromkeys(self.conn_ids)), check_metrics(self.metrics)
        #: The errors of the streams that failed, by connection.
        self.failures: dict[str, AngusError] = {}
        #: The number of rows of each stream that was delivered.
        self.row_counts: dict[str, int] = {}
        self._cancelled = threading.Event()
        self._conn_id_by_stream: dict[str, str] = {}

    def __iter__(self) -> Generator[StreamRows, None, None]:
        now = datetime.now(UTC)
        if reason := unsettled_reason(self.interval, self.settle, now):
            seconds = (settled_at(self.interval, self.settle) - now).total_seconds()
            self._report_incomplete(AngusHook(self.conn_ids[0]), f"{self.interval}: {reason}.", seconds)
        if len(self.conn_ids) == 1:
            hook = AngusHook(self.conn_ids[0])
            stream_rows = self._fetch(hook, self._get_stream(hook))
            self.row_counts[stream_rows.stream] = len(stream_rows.rows)
            yield stream_rows
        else:
            yield from self._fetch_concurrently()
            if len(self.failures) == len(self.conn_ids):
                raise self.error()

    def mark_failed(self, stream_rows: StreamRows, error: AngusError) -> None:
        """Record a delivered stream as failed. If it is the only stream, raise ``error``."""
        if len(self.conn_ids) == 1:
            raise error
        del self.row_counts[stream_rows.stream]
        self._record_failure(AngusHook(stream_rows.conn_id), error)

    def error(self) -> AngusError:
        """Return one error that names all failures. It is retryable if a failure is, after the longest asked wait."""
        failures = list(self.failures.values())
        first = max(failures, key=lambda failure: (is_retryable(failure), failure.retry_after or 0.0))
        details = "".join(f"\n- {conn_id}: {error}" for conn_id, error in self.failures.items())
        error = type(first)(f"{len(failures)} of {len(self.conn_ids)} streams failed:{details}")
        error.__cause__ = first
        error.retry_after = first.retry_after
        return error

    def _fetch_concurrently(self) -> Iterator[StreamRows]:
        at_once = min(STREAMS_AT_ONCE, len(self.conn_ids))
        pool = ThreadPoolExecutor(at_once, "angus-stream")
        pending: deque[tuple[AngusHook, Future[StreamRows]]] = deque()
        try:
            for conn_id in self.conn_ids:
                hook = AngusHook(conn_id)
                try:
                    # Airflow's access to connections is not thread-safe, so this thread reads all connections.
                    stream = self._get_stream(hook)
                except AngusError as error:
                    self._record_failure(hook, error)
                    continue
                client = hook.get_conn()
                client.concurrency = min(client.concurrency, STREAMS_AT_ONCE // at_once)
                pending.append((hook, pool.submit(self._fetch, hook, stream)))
                if len(pending) == 2 * STREAMS_AT_ONCE:
                    yield from self._deliver_first(pending)
            while pending:
                yield from self._deliver_first(pending)
        finally:
            # After an error or a time-out of the task, threads may end later, but deliver nothing.
            self._cancelled.set()
            for hook, _ in pending:
                hook.get_conn().close()
            pool.shutdown(wait=False, cancel_futures=True)

    def _get_stream(self, hook: AngusHook) -> str:
        stream = hook.get_conn().client_id
        first = self._conn_id_by_stream.setdefault(stream, hook.angus_conn_id)
        if first != hook.angus_conn_id:
            raise AngusAuthError(f"Connections {first!r} and {hook.angus_conn_id!r} use the same stream {stream!r}.")
        return stream

    def _deliver_first(self, pending: deque[tuple[AngusHook, Future[StreamRows]]]) -> Iterator[StreamRows]:
        hook, future = pending[0]
        try:
            stream_rows = future.result()
        except AngusError as error:
            self._record_failure(hook, error)
        else:
            self.row_counts[stream_rows.stream] = len(stream_rows.rows)
            yield stream_rows
        pending.popleft()

    def _record_failure(self, hook: AngusHook, error: AngusError) -> None:
        hook.log.warning("Connection %s failed: %s", hook.angus_conn_id, error)
        self.failures[hook.angus_conn_id] = error

    def _report_incomplete(self, hook: AngusHook, problem: str, retry_after: float | None = None) -> None:
        if self.on_incomplete == "fail":
            raise AngusIncompleteError(f"{problem} {_WAYS_OUT}", retry_after=retry_after)
        hook.log.warning("Incomplete data: %s", problem)

    def _fetch(self, hook: AngusHook, stream: str) -> StreamRows:
        hook.log.info("Fetching %s (%s) of stream %s for %s", ", ".join(self.metrics), self.time, stream, self.interval)
        entities = hook.iter_entities(self.metrics, *self.interval, self.time, window=self.window)
        with ExitStack() as on_error, hook.get_conn(), closing(entities):
            rows = on_error.enter_context(RowBuffer(self.max_in_memory))
            for row in entities:
                if self._cancelled.is_set():
                    raise AngusError("Fetch cancelled: the task needs no more streams.")
                rows.append(normalize_row(row, self.columns, self.interval) if self.columns else row)
            if not rows and not self.allow_empty:
                raise AngusResponseError(f"Stream {stream!r}: no rows for {self.interval}, and allow_empty=False.")
            if reason := unavailable_reason(rows, self.interval, self.time):
                self._report_incomplete(hook, f"Stream {stream!r}, {self.interval}: {reason}.")
            on_error.pop_all()
        # Names of undocumented columns come from the API.
        sums = ", ".join(f"{sanitize_line(column)} {total}" for column, total in totals(rows).items())
        hook.log.info("Fetched %s rows; totals: %s", len(rows), sums or "none")
        return StreamRows(hook.angus_conn_id, stream, rows)
