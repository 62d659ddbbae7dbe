"""How a task gets the rows of one stream or of several: side by side, each whole or not at all.

Nothing is handed on before all pages of a stream have been read, so that nobody lands the half of an answer. Of
several streams one may fail without taking the others' rows with it.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_angus.answers import one_line
from airflow_provider_angus.availability import describe, missing_buckets
from airflow_provider_angus.entities import check_metrics, count_buckets, totals
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusResponseError,
    AngusStorageError,
    can_be_retried,
)
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.masking import masked_together
from airflow_provider_angus.schema import landed
from airflow_provider_angus.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import timedelta

    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.schema import Column

#: How many streams are fetched at once at most, and how many more may be whole and wait for their turn. Where there are
#: several, they share as many requests: 2 streams ask for up to 8 pages each at once, 16 and more for one each.
STREAMS_AT_ONCE = 16

#: How many rows of a stream are kept in memory where memory must not grow with the interval.
ROWS_IN_MEMORY = 1000


class StreamRows(NamedTuple):
    """The rows of one stream, all of the interval."""

    conn_id: str
    stream: str
    rows: Spool


class Streams:
    """The streams of some connections: iterate over them to fetch them.

    They come in the order of the connections, also where the API answers in another. A stream that fails is left out;
    afterwards it stands in :attr:`failures`, the others in :attr:`landed`. Where all of them fail, iterating raises.

    :param conn_ids: Airflow connections of type ``angus``.
    :param metrics: see :func:`~airflow_provider_angus.entities.check_metrics`.
    :param interval: half-open, in UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :param window: how much of the interval is asked for at a time, see :meth:`AngusHook.iter_entities`.
    :param columns: the schema that rows are to have, see schema.py; None: as the API has them.
    :param allow_empty: whether a stream may have no rows; else that is a failure of the stream.
    :param in_memory: see :class:`~airflow_provider_angus.spool.Spool`.
    """

    def __init__(  # noqa: PLR0913 (by name)
        self,
        conn_ids: Sequence[str],
        *,
        metrics: str | list[str],
        interval: Interval,
        time: str,
        window: timedelta | None = None,
        columns: tuple[Column, ...] | None = None,
        allow_empty: bool = True,
        in_memory: int | None = ROWS_IN_MEMORY,
    ) -> None:
        self.conn_ids = list(dict.fromkeys(conn_ids))
        self.metrics, self.interval, self.time = check_metrics(metrics), interval, time
        self.window = window
        self.columns, self.allow_empty, self.in_memory = columns, allow_empty, in_memory
        #: What became of the streams that are left out: the connection -> its error.
        self.failures: dict[str, AngusError] = {}
        #: How many rows each stream had that has been handed out.
        self.landed: dict[str, int] = {}
        self._given_up = threading.Event()
        self._seen: dict[str, str] = {}

    def __iter__(self) -> Generator[StreamRows, None, None]:
        """Yield each stream when it is whole.

        :raises AngusError: the only stream's error, or all streams' as one, see :meth:`error`.
        """
        if len(self.conn_ids) == 1:
            hook = AngusHook(self.conn_ids[0])
            yield self._handed_out(self._fetch(hook, self._stream_of(hook)))
            return
        with masked_together():
            yield from self._side_by_side()
        self.check_any()

    def leave_out(self, whole: StreamRows, error: AngusError) -> None:
        """Count a stream among the failures whose rows could not be landed after all.

        :raises AngusError: the error itself, where there is no other stream.
        """
        if len(self.conn_ids) == 1:
            raise error
        del self.landed[whole.stream]
        self._leave_out(AngusHook(whole.conn_id), error)

    def check_any(self) -> None:
        """Refuse to go on where no stream is left.

        :raises AngusError: see :meth:`error`.
        """
        if len(self.failures) == len(self.conn_ids):
            raise self.error()

    def error(self) -> AngusError:
        """Return the failures as one error that names each; Airflow retries where that can help one of them."""
        told = "".join(f"\n- {conn_id}: {error}" for conn_id, error in self.failures.items())
        message = f"{len(self.failures)} of {len(self.conn_ids)} streams failed:{told}"
        failures = list(self.failures.values())
        first = next(filter(can_be_retried, failures), failures[0])
        error = type(first)(message)
        error.__cause__ = first
        return error

    def _side_by_side(self) -> Generator[StreamRows, None, None]:
        at_once = min(STREAMS_AT_ONCE, len(self.conn_ids))
        pool = ThreadPoolExecutor(at_once, "angus-stream")
        ahead: deque[tuple[AngusHook, Future[StreamRows]]] = deque()
        try:
            for conn_id in self.conn_ids:
                hook = AngusHook(conn_id)
                try:
                    # Connections are read here: Airflow's way to them is not made for threads.
                    stream = self._stream_of(hook)
                    client = hook.get_conn()
                    client.concurrency = min(client.concurrency, STREAMS_AT_ONCE // at_once)
                except AngusError as error:
                    self._leave_out(hook, error)
                    continue
                ahead.append((hook, pool.submit(self._fetch, hook, stream)))
                if len(ahead) == 2 * STREAMS_AT_ONCE:
                    yield from self._whole(*ahead[0])
                    ahead.popleft()
            while ahead:
                yield from self._whole(*ahead[0])
                ahead.popleft()
        finally:
            # Who has had enough (an error, a time-out of Airflow's) does not wait for the others' answers.
            self._given_up.set()
            for hook, _ in ahead:
                hook.get_conn().close()
            pool.shutdown(wait=False, cancel_futures=True)

    def _stream_of(self, hook: AngusHook) -> str:
        stream = hook.get_conn().stream.credentials.client_id
        other = self._seen.setdefault(stream, hook.angus_conn_id)
        if other != hook.angus_conn_id:
            raise AngusAuthError(f"It is stream {stream!r}, as connection {other!r} is: its rows would come twice.")
        return stream

    def _whole(self, hook: AngusHook, fetched: Future[StreamRows]) -> Iterator[StreamRows]:
        try:
            whole = fetched.result()
        except AngusError as error:
            self._leave_out(hook, error)
        else:
            yield self._handed_out(whole)

    def _handed_out(self, whole: StreamRows) -> StreamRows:
        self.landed[whole.stream] = len(whole.rows)
        return whole

    def _leave_out(self, hook: AngusHook, error: AngusError) -> None:
        hook.log.warning("Connection %s failed: %s", hook.angus_conn_id, error)
        self.failures[hook.angus_conn_id] = error

    def _fetch(self, hook: AngusHook, stream: str) -> StreamRows:
        asked = ", ".join(self.metrics)
        hook.log.info("Fetching %s (%s) of stream %s for %s", asked, self.time, stream, self.interval)
        with ExitStack() as unless_whole:
            rows = unless_whole.enter_context(Spool(self.in_memory))
            self._fill(rows, hook)
            if not rows and not self.allow_empty:
                raise AngusResponseError(
                    f"Stream {stream!r} has no rows for {self.interval}, and allow_empty is False."
                )
            unless_whole.pop_all()
        # Each row is another bucket of the interval: where there are as many as it has, none is missing.
        if len(rows) < count_buckets(self.interval, self.time):
            missing = missing_buckets(rows, self.interval, self.time)
            hook.log.warning("%s missing; an AngusEntitiesSensor before this task waits for them.", describe(missing))
        # Columns that nobody documented are called what the API says.
        sums = ", ".join(f"{one_line(column)} {total}" for column, total in totals(rows).items())
        hook.log.info("Fetched %s rows; totals: %s", len(rows), sums or "none")
        return StreamRows(hook.angus_conn_id, stream, rows)

    def _fill(self, rows: Spool, hook: AngusHook) -> None:
        asked = hook.iter_entities(self.metrics, *self.interval, self.time, window=self.window)
        with hook.get_conn(), closing(asked):
            try:
                for row in asked:
                    if self._given_up.is_set():
                        raise AngusError("Given up, because the task is.")
                    rows.append(landed(row, self.columns, self.interval) if self.columns else row)
                rows.flush()
            except OSError as error:
                raise AngusStorageError(f"The rows' temporary file cannot be written: {error}") from error
