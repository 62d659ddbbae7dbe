"""Compare the rows of a table with the rows that replace them. Pure: values come from the driver of any database."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.model.arguments import describe_argument
from airflow_provider_angus.model.columns import OTHER
from airflow_provider_angus.model.entities import KEY_COLUMNS, Row
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.partitions import ChangedPartitions

#: The maximum number of buckets that a report names.
MAX_NAMED = 20

# The relative error of a 32-bit float, the type that a user may have chosen.
_PRECISION = 1e-7

# A slice of rows by the hour has 1,000 rows. There are at most as many slices, also of 10,000 years.
_SLICE, _MAX_SLICES = timedelta(hours=1000), 1000


@dataclass
class Changes:
    """The numbers of rows that a load added, changed, left unchanged and removed. A row is identified by its key.

    ``changed_buckets`` are the starts (ISO 8601, UTC) of the first :data:`MAX_NAMED` changed rows.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    changed_buckets: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of loaded rows."""
        return self.added + self.changed + self.unchanged

    def add(self, other: Changes) -> None:
        """Add the changes of another stream."""
        for name in ("added", "changed", "unchanged", "removed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.changed_buckets = sorted({*self.changed_buckets, *other.changed_buckets})[:MAX_NAMED]

    def __str__(self) -> str:
        """Return the counts and the changed buckets of one stream, for logs."""
        counts = f"{self.added} added, {self.changed} changed, {self.unchanged} unchanged, {self.removed} removed"
        if not self.changed_buckets:
            return counts
        others = self.changed - len(self.changed_buckets)
        more = f" and {others} more" if others > 0 else ""
        return f"{counts}. Changed buckets: {', '.join(self.changed_buckets)}{more}"


class Difference(NamedTuple):
    """The writes that make a slice of a table right: delete the rows with these starts, then insert these rows."""

    stale_starts: list[object]
    rows: list[Row]


class _Stored(NamedTuple):
    """A row of the table, and its bucket (UTC)."""

    start: datetime
    end: datetime
    values: Sequence[Any]


class Comparison:
    """Compares one stream's rows of an interval, slice by slice, and counts the changes.

    :param interval: the rows that the table has and the replacing rows end within it.
    :param rows: the replacing rows, ordered by ``bucket_start``; consumed one at a time.
    :param columns: the columns of the table's rows; the first three are the key.
    :param tolerance: the greatest difference between two equal values of a ``float`` column.
    :param partitions: the collector of the rows, and of those to write. None: none.
    """

    def __init__(
        self,
        interval: Interval,
        rows: Iterable[Row],
        columns: Mapping[str, type],
        tolerance: float = 0,
        partitions: ChangedPartitions | None = None,
    ) -> None:
        self._rows = iter(partitions.observe(rows) if partitions else rows)
        self.interval, self._columns, self._tolerance, self._partitions = interval, columns, tolerance, partitions
        self._next: Row | None = None
        self.changes = Changes()
        #: The number of the table's rows that were compared, and the part of the interval that they belong to.
        self.found, self.compared = 0, Interval(interval.start, interval.start)

    def compare(self, end: datetime, existing: Sequence[Sequence[Any]], scales: Sequence[Any]) -> Difference:
        """Return the difference between the table's rows of the next slice and the rows that replace them.

        A row of the table that contains a replacing row, which the interval cuts, stays, so that no part of the bucket
        is counted twice.

        :param end: the end of the slice.
        :param existing: the table's rows that start in the slice or, before the first slice, in the bucket that the
            interval's start cuts, in any order.
        :param scales: the digits after the decimal point of each column, or None.
        """
        self.compared = Interval(self.interval.start, end)
        difference = Difference([], [])
        if existing:
            self._compare(end, existing, scales, difference)
        else:
            # The first load.
            difference.rows.extend(self._rows_before(end))
            self.changes.added += len(difference.rows)
        if self._partitions:
            for row in difference.rows:
                self._partitions.mark(row)
        return difference

    def _compare(
        self, end: datetime, existing: Sequence[Sequence[Any]], scales: Sequence[Any], difference: Difference
    ) -> None:
        by_start = defaultdict(list)
        for values in existing:
            stored = _Stored(to_utc("bucket_start", values[1]), to_utc("bucket_end", values[2]), values)
            # A row that starts before the interval may contain the first replacing row.
            by_start[max(stored.start, self.interval.start)].append(stored)
        for row in self._rows_before(end):
            row_end = datetime.fromisoformat(row["bucket_end"])
            found = by_start.pop(datetime.fromisoformat(row["bucket_start"]), [])
            within = self._within(found)
            same_key = [stored for stored in within if stored.end == row_end]
            if len(found) > len(within) and any(stored.end >= row_end for stored in found if stored not in within):
                self.changes.unchanged += 1
                same_key = []
            elif len(within) == len(same_key) == 1 and not any(self.differing_columns(within[0].values, scales, row)):
                self.changes.unchanged += 1
                continue
            else:
                difference.rows.append(row)
                self._count(row, is_changed=bool(same_key))
            self._remove(within, difference, others=len(within) - bool(same_key))
        for found in by_start.values():
            within = self._within(found)
            self._remove(within, difference, others=len(within))

    def differing_columns(self, existing: Sequence[Any], scales: Sequence[Any], row: Row) -> Iterator[str]:
        """Yield the columns, except for the key, in which a row of the table differs from a row with its key."""
        if row[OTHER] is not None and OTHER not in self._columns:
            yield OTHER
        compared = zip(self._columns.items(), existing, scales, strict=True)
        for (name, kind), old, scale in islice(compared, len(KEY_COLUMNS), None):
            if not is_same(kind, old, row[name], scale, self._tolerance):
                yield name

    def _rows_before(self, end: datetime) -> Iterator[Row]:
        # ISO 8601 texts of the same form and offset sort like their instants.
        limit = end.isoformat()
        while row := self._next or next(self._rows, None):
            self._next = None if row["bucket_start"] < limit else row
            if self._next:
                return
            yield row

    def _within(self, found: Iterable[_Stored]) -> list[_Stored]:
        start, end = self.interval
        within = [stored for stored in found if start <= stored.start and stored.end <= end]
        self.found += len(within)
        return within

    def _remove(self, rows: list[_Stored], difference: Difference, *, others: int) -> None:
        difference.stale_starts.extend(stored.values[1] for stored in rows)
        self.changes.removed += others

    def _count(self, row: Row, *, is_changed: bool) -> None:
        if not is_changed:
            self.changes.added += 1
            return
        self.changes.changed += 1
        if len(self.changes.changed_buckets) < MAX_NAMED:
            self.changes.changed_buckets.append(row["bucket_start"])


def slices(interval: Interval) -> Iterator[Interval]:
    """Yield consecutive parts of an interval, so short that their rows fit into memory."""
    start, end = interval
    length = max(_SLICE, (end - start) / _MAX_SLICES)
    while end - start > length:
        yield Interval(start, start + length)
        start += length
    yield Interval(start, end)


def to_utc(column: str, value: object) -> datetime:
    """Return a timestamp of a table as an instant. Without a time zone it is UTC.

    :param column: the name, for the message.
    :param value: a datetime, a date or ISO 8601 text.
    :raises AngusTargetError: any other value.
    """
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(moment, datetime):
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(moment, date):
        return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    raise AngusTargetError(f"Column {column}: expected a timestamp, got {describe_argument(value)}. Change its type.")


def is_same(kind: type, old: Any, new: Any, scale: int | None = None, tolerance: float = 0) -> bool:
    """Return whether a value of a table is the value that would be written.

    :param kind: the type of the column: ``int``, ``float`` or ``dict``.
    :param old: as the driver returns it: numbers may be ``Decimal`` or text, JSON may be text.
    :param new: of a row of ``normalize_row``.
    :param scale: the number of digits after the decimal point to which the column rounds. None or 0: unknown.
    :param tolerance: the greatest difference between two equal values of type ``float``.
    """
    if old is None or new is None:
        return old is new
    try:
        if kind is dict:
            return bool((json.loads(old) if isinstance(old, str | bytes) else old) == new)
        old = Decimal(old) if isinstance(old, str) else old
        if old == new or kind is int:
            return bool(old == new)
        if isinstance(old, Decimal) and scale is not None and scale > 0:
            return abs(old - Decimal(str(new))) <= Decimal(5).scaleb(-scale - 1) + Decimal(str(tolerance))
        return math.isclose(old, new, rel_tol=_PRECISION, abs_tol=tolerance)
    except (ValueError, TypeError, ArithmeticError):
        # The column has another type, so the value differs.
        return False
