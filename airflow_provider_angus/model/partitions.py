"""Find the hours or days that a load changed, for the partition events of assets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.arguments import check_choice
from airflow_provider_angus.model.availability import settled_at
from airflow_provider_angus.model.buckets import BUCKET_LENGTHS, Time, bucket_at, count_buckets
from airflow_provider_angus.model.entities import Row
from airflow_provider_angus.model.intervals import Interval

#: The length of a partition.
PartitionEvents = Literal["by_hour", "by_day"]

#: The maximum number of partitions of a run: 104 days by the hour. Airflow registers their events in one request.
MAX_PARTITIONS = 2500


def check_partition_events(partition_events: object, time: Time | None) -> None:
    """Reject a value that is neither None nor the length of partitions that buckets of ``time`` fit into.

    :param time: None: known only in a run.
    :raises AngusRequestError: any other value.
    """
    if partition_events is None:
        return
    check_choice("partition_events", partition_events, get_args(PartitionEvents))
    if time == "global" or (time == "by_day" and partition_events == "by_hour"):
        fix = "Use time='by_hour'." if partition_events == "by_hour" else "Use time='by_hour' or 'by_day'."
        raise AngusRequestError(
            f"partition_events: expected buckets that fit into partitions {partition_events}, got time={time!r}. {fix}"
        )


class ChangedPartitions:
    """Collects the partitions that a load changed, and of which it has all buckets of all streams.

    Only partitions within the interval that have settled count. Memory does not grow with the number of streams.

    :param partition_events: the length of a partition.
    :param interval: the interval of the load.
    :param time: the buckets of the load.
    :param settle: the time after a partition's end in which its data may still change.
    :param before_write: called before the first row is written.
    :raises AngusRequestError: the interval has more than :data:`MAX_PARTITIONS` partitions.
    """

    def __init__(
        self,
        partition_events: PartitionEvents,
        interval: Interval,
        time: Time,
        settle: timedelta,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        check_partition_events(partition_events, time)
        if (count := count_buckets(interval, partition_events)) > MAX_PARTITIONS:
            raise AngusRequestError(
                f"partition_events: expected an interval of at most {MAX_PARTITIONS} partitions {partition_events}, "
                f"got {count}. Load a shorter interval, or use by_day."
            )
        self._length, self._interval, self._settle = partition_events, interval, settle
        self._before_write: Callable[[], None] | None = before_write
        # Later data is not in the responses.
        self._now = datetime.now(UTC)
        self._buckets = (BUCKET_LENGTHS[partition_events] or timedelta(0)) // (BUCKET_LENGTHS[time] or timedelta(1))
        self._counts: Counter[str] = Counter()
        self._marked: set[str] = set()
        self._changed: set[str] = set()
        self._loaded: set[str] = set()
        self._complete: set[str] | None = None

    def observe(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Return the rows of the next stream, which are counted when they are read."""
        self._counts, self._marked = Counter(), set()
        return self._count(rows)

    def _count(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self._counts[self._key(row)] += 1
            yield row

    def mark(self, row: Row) -> None:
        """Record that a row of the stream is to be added or changed."""
        self.prepare_write()
        self._marked.add(self._key(row))

    def prepare_write(self) -> None:
        """Call ``before_write``, unless it has been called."""
        if self._before_write:
            self._before_write()
            self._before_write = None

    def keep(self) -> None:
        """Record that the observed stream is loaded. Without this call, the stream does not count."""
        complete = {key for key, count in self._counts.items() if count == self._buckets}
        self._complete = complete if self._complete is None else self._complete & complete
        self._loaded.update(self._counts)
        self._changed |= self._marked

    def mark_all(self) -> None:
        """Record that all rows of the loaded streams were changed."""
        self._changed = self._loaded

    def keys(self) -> list[str]:
        """Return the changed partitions as Airflow's partition keys: their starts (UTC) in Airflow's default format."""
        return [key for key in sorted(self._changed & (self._complete or set())) if self._has_ended(key)]

    def _key(self, row: Row) -> str:
        # ISO 8601 in UTC. Airflow's default format is %Y-%m-%dT%H:%M:%S.
        start: str = row["bucket_start"]
        return f"{start[:13]}:00:00" if self._length == "by_hour" else f"{start[:10]}T00:00:00"

    def _has_ended(self, key: str) -> bool:
        partition = bucket_at(datetime.fromisoformat(key).replace(tzinfo=UTC), self._length)
        within = self._interval.start <= partition.start and partition.end <= self._interval.end
        return within and settled_at(partition, self._settle) <= self._now
