"""Compare a table with the API, slice by slice, and report the differences. The report does not grow with the range."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from airflow_provider_angus.loading.manifests import EventExtra
from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.loading.sql_compare import Changes, Comparison, Difference, slices, to_utc
from airflow_provider_angus.model.columns import Column
from airflow_provider_angus.model.entities import KEY_COLUMNS, Row
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.partitions import ChangedPartitions

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: The maximum number of differences that a report describes, and of days of a stream that it lists.
MAX_DIFFERENCES, MAX_DAYS = 20, 100

# Characters of a text that a report shows.
_MAX_TEXT = 100

Kind = Literal["missing", "surplus", "differing"]


class AuditCounts(TypedDict):
    """The numbers of buckets that the table lacks, that the API lacks, and whose values differ."""

    missing: int
    surplus: int
    differing: int


class StreamAudit(AuditCounts):
    """The audit of one stream.

    ``equal`` counts the other buckets. ``days`` has the first 100 days (UTC) with differences. ``repaired`` tells
    whether the API's rows were loaded.
    """

    equal: int
    days: dict[str, AuditCounts]
    repaired: bool


class AuditDifference(TypedDict):
    """A bucket that differs. ``kind`` is ``missing``, ``surplus`` or ``differing``.

    ``table`` and ``api`` have the values that differ. They are null if the bucket is missing there.
    """

    stream: str
    bucket_start: str
    bucket_end: str
    kind: str
    table: dict[str, Any] | None
    api: dict[str, Any] | None


class AuditExtra(EventExtra, AuditCounts):
    """The extra of the asset events of an audit. The counts are those of all streams; ``rows`` are the API's rows."""

    table: str
    equal: int


class AuditReport(AuditExtra):
    """The return value of ``AngusSqlAuditOperator``. ``differences`` has the first 20 differences."""

    streams: dict[str, StreamAudit]
    differences: list[AuditDifference]


@dataclass
class Audit:
    """The differences between the streams of a table and the API.

    :param tolerance: the greatest difference between two equal values of a ``float`` column.
    :param partitions: the collector of the rows that a repair loads. None: none.
    """

    tolerance: float
    partitions: ChangedPartitions | None = None
    streams: dict[str, StreamAudit] = field(default_factory=dict)
    differences: list[AuditDifference] = field(default_factory=list)

    def start(self, stream: str) -> StreamAudit:
        """Add a stream and return its audit, which :meth:`add` fills."""
        self.streams[stream] = {"missing": 0, "surplus": 0, "differing": 0, "equal": 0, "days": {}, "repaired": False}
        return self.streams[stream]

    def total(self) -> AuditCounts:
        """Return the counts of all streams."""
        audits = self.streams.values()
        return {
            "missing": sum(each["missing"] for each in audits),
            "surplus": sum(each["surplus"] for each in audits),
            "differing": sum(each["differing"] for each in audits),
        }

    def add(self, difference: AuditDifference, kind: Kind) -> None:
        """Count a difference, and describe it if it is one of the first."""
        audit, day = self.streams[difference["stream"]], difference["bucket_start"][:10]
        audit[kind] += 1
        if day in audit["days"] or len(audit["days"]) < MAX_DAYS:
            audit["days"].setdefault(day, {"missing": 0, "surplus": 0, "differing": 0})[kind] += 1
        if len(self.differences) < MAX_DIFFERENCES:
            self.differences.append(difference)


class _Pair(NamedTuple):
    """A row of the table and a row of the API with the same key. One of them may be missing."""

    old: Sequence[Any] | None
    new: Row | None


class AuditComparison(Comparison):
    """A comparison that adds each difference to an audit."""

    def __init__(
        self, stream: str, interval: Interval, rows: Iterable[Row], columns: Mapping[str, type], audit: Audit
    ) -> None:
        super().__init__(interval, rows, columns, audit.tolerance, audit.partitions)
        self._stream, self._names, self._audit = stream, tuple(columns), audit

    def compare(self, end: datetime, existing: Sequence[Sequence[Any]], scales: Sequence[Any]) -> Difference:
        """Return the difference of the next slice, as the base class does."""
        difference = super().compare(end, existing, scales)
        pairs = self._pairs(existing, difference) if any(difference) else {}
        for (start, bucket_end), of_key in sorted(pairs.items()):
            for old, new in of_key:
                kind: Kind = "missing" if old is None else "surplus" if new is None else "differing"
                names = self._names[len(KEY_COLUMNS) :]
                if old is not None and new is not None:
                    names = tuple(self.differing_columns(old, scales, new))
                found: AuditDifference = {
                    "stream": self._stream,
                    "bucket_start": start,
                    "bucket_end": bucket_end,
                    "kind": kind,
                    "table": None if old is None else self._shown(names, dict(zip(self._names, old, strict=True))),
                    "api": None if new is None else self._shown(names, new),
                }
                self._audit.add(found, kind)
        return difference

    def _pairs(self, existing: Sequence[Sequence[Any]], difference: Difference) -> dict[tuple[str, str], list[_Pair]]:
        """Return the rows that differ, by the start and end of their buckets (ISO 8601, UTC)."""
        stale = {to_utc("bucket_start", start) for start in difference.stale_starts}
        pairs: defaultdict[tuple[str, str], list[_Pair]] = defaultdict(list)
        for old in existing:
            start, end = to_utc("bucket_start", old[1]), to_utc("bucket_end", old[2])
            if start in stale and end <= self.interval.end:
                pairs[start.isoformat(), end.isoformat()].append(_Pair(old, None))
        for new in difference.rows:
            of_key = pairs[new["bucket_start"], new["bucket_end"]]
            # A table without a key may have a row twice. All but the first are surplus.
            of_key[:1] = [_Pair(of_key[0].old if of_key else None, new)]
        return pairs

    @staticmethod
    def _shown(names: Iterable[str], row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _json_value(row.get(name)) for name in names}


class AuditedTable(SqlTable):
    """A table whose comparisons fill an audit.

    :param table: as ``check_table`` accepts it.
    :raises AngusTargetError: the name is invalid, or the database cannot be loaded.
    """

    def __init__(self, hook: DbApiHook, table: str, columns: tuple[Column, ...], audit: Audit) -> None:
        super().__init__(hook, table, columns, create=False)
        self._audit = audit

    def check(self) -> None:
        """Check that the table has the columns.

        :raises AngusTargetError: the table or a column of it does not exist, or a retry cannot help.
        :raises AngusStorageError: the database failed.
        """
        with self._translate_error():
            self._present = self._check_columns()

    def compare(self, stream: str, interval: Interval, rows: Iterable[Row], *, whole: Interval) -> Changes:
        """Return the changes that :meth:`replace` would make. It takes no lock and writes nothing.

        :param whole: as :meth:`replace` accepts it.
        """
        with self._translate_error():
            comparison = self._comparison(stream, interval, rows)
            self._begin(write=False)
            try:
                for part in slices(interval):
                    self._compare(stream, comparison, part, whole)
            finally:
                with suppress(Exception):
                    self._roll_back()
        return comparison.changes

    def _comparison(self, stream: str, interval: Interval, rows: Iterable[Row]) -> Comparison:
        return AuditComparison(stream, interval, rows, self._present, self._audit)


def describe_counts(counts: AuditCounts) -> str:
    """Return the counts as text, for logs."""
    return f"{counts['missing']} missing, {counts['surplus']} surplus, {counts['differing']} differing buckets"


def describe_differences(differences: Iterable[AuditDifference]) -> Iterator[str]:
    """Yield one line for each difference, for logs. Python's ``repr`` escapes control characters."""
    for each in differences:
        shown = [f"{side} {each[side]}" for side in ("table", "api") if each[side] is not None]
        yield f"stream {each['stream']!r}, {each['bucket_start']}: {each['kind']}: {', '.join(shown)}"


def _json_value(value: Any) -> Any:
    """Return a value of a driver as a value of JSON. Long texts are cut."""
    if isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | dict) else str(value)[:_MAX_TEXT]
