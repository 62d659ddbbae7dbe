"""The comparison of a table's rows with the rows that replace them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loaded_rows import COLUMNS, HOURS, NOON, rows
from strategies import instants

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.loading.sql_compare import MAX_NAMED, Changes, Comparison, is_same, slices, to_utc
from airflow_provider_angus.model.intervals import Interval

KINDS = dict(COLUMNS)
NO_SCALES = [None] * len(COLUMNS)
HOUR = timedelta(hours=1)


def stored(start: int, end: int, passing_by: int | None = 7) -> tuple[Any, ...]:
    """Return a row of a table from hour to hour after noon, as a driver returns it."""
    return ("camera", NOON + start * HOUR, NOON + end * HOUR, passing_by, None)


@pytest.mark.parametrize(
    ("kind", "old", "new", "scale"),
    [
        (int, 7, 7, None),
        (int, Decimal(7), 7, 0),
        (int, Decimal("7.00"), 7, 2),
        (int, "7", 7, None),
        (int, 7.0, 7, None),
        (int, 2**63 - 1, 2**63 - 1, None),
        (int, None, None, None),
        (float, 2.5, 2.5, None),
        (float, "2.5", 2.5, None),
        (float, Decimal("0.1"), 0.1, None),
        (float, 0.10000000149011612, 0.1, None),
        (float, Decimal("3.14"), 3.14159, 2),
        (float, Decimal("2.68"), 2.675, 2),
        (float, 7, 7.0, None),
        (dict, '{"a": 1}', {"a": 1}, None),
        (dict, b'{"b": 2, "a": 1}', {"a": 1, "b": 2}, None),
        (dict, {"a": "\u00e9"}, {"a": "\u00e9"}, None),
        (dict, None, None, None),
    ],
)
def test_is_same_value_of_another_type_is_true(kind: type, old: Any, new: Any, scale: int | None) -> None:
    assert is_same(kind, old, new, scale)


@pytest.mark.parametrize(
    ("kind", "old", "new", "scale"),
    [
        (int, 7, 8, None),
        (int, None, 0, None),
        (int, 0, None, None),
        (int, 7.5, 7, None),
        (int, 2**63 - 1, 2**63 - 2, None),
        (int, "seven", 7, None),
        (int, b"7", 7, None),
        (float, 2.5, 2.500001, None),
        (float, Decimal("2.5"), 2.51, None),
        (float, Decimal(3), 3.2, 0),
        (float, Decimal("3.14"), 3.146, 2),
        (float, date(2026, 11, 20), 2.5, None),
        (float, b"2.5", 2.5, None),
        (dict, '{"a": 1}', {"a": 2}, None),
        (dict, "not JSON", {"a": 2}, None),
        (dict, None, {"a": 2}, None),
    ],
)
def test_is_same_other_value_is_false(kind: type, old: Any, new: Any, scale: int | None) -> None:
    assert not is_same(kind, old, new, scale)


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=5, minutes=45))),
        "2026-11-20T12:00:00+00:00",
        "2026-11-20 12:00:00",
        "2026-11-20T12:00:00Z",
    ],
)
def test_to_utc_timestamp_of_any_form_is_the_instant(value: object) -> None:
    assert to_utc("bucket_start", value) == NOON


def test_to_utc_date_is_its_midnight() -> None:
    assert to_utc("bucket_start", date(2026, 11, 20)) == datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("value", ["yesterday", 1_700_000_000, None, b"2026-11-20"])
def test_to_utc_other_value_is_refused(value: object) -> None:
    with pytest.raises(AngusTargetError, match="Column bucket_end: expected a timestamp, got .*. Change its type."):
        to_utc("bucket_end", value)


@given(
    start=instants,
    length=st.timedeltas(timedelta(microseconds=1), timedelta(days=1_000_000)),
)
def test_slices_cover_the_interval_once(start: datetime, length: timedelta) -> None:
    interval = Interval(start, start + length)
    parts = list(slices(interval))
    assert (parts[0].start, parts[-1].end) == interval
    assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]
    assert all(part.start < part.end for part in parts)
    assert len(parts) <= 1001


def test_comparison_counts_each_kind_of_change() -> None:
    new = rows(count=4)
    interval = Interval(NOON, NOON + 5 * HOUR)
    comparison = Comparison(interval, new, KINDS)
    difference = comparison.compare(interval.end, [stored(0, 1), stored(1, 2, 6), stored(4, 5)], NO_SCALES)
    assert comparison.changes == Changes(2, 1, 1, 1, [new[1]["bucket_start"]])
    assert difference.stale_starts == [NOON + HOUR, NOON + 4 * HOUR]
    assert difference.rows == new[1:]


def test_comparison_removes_duplicates_and_other_ends() -> None:
    """A table without our key may have the same row twice, or the parts of a bucket that is whole now."""
    comparison = Comparison(HOURS, rows(), KINDS)
    existing = [stored(0, 1), stored(0, 1), (*stored(1, 1)[:2], NOON + 1.5 * HOUR, 3, None), stored(2, 3)]
    difference = comparison.compare(HOURS.end, existing, NO_SCALES)
    assert comparison.changes == Changes(1, 1, 1, 2, [rows()[0]["bucket_start"]])
    assert set(difference.stale_starts) == {NOON, NOON + HOUR}
    assert difference.rows == rows()[:2]


def test_comparison_keeps_row_of_the_whole_bucket() -> None:
    """A later run has replaced the part of the last bucket by the whole bucket."""
    interval = Interval(NOON, NOON + 2.5 * HOUR)
    new = rows()
    new[2]["bucket_end"] = interval.end.isoformat()
    comparison = Comparison(interval, new, KINDS)
    part = (*stored(2, 3)[:2], interval.end, 3, None)
    difference = comparison.compare(interval.end, [stored(0, 1), stored(1, 2), stored(2, 3, 9), part], NO_SCALES)
    assert difference == ([NOON + 2 * HOUR], [])
    assert comparison.changes == Changes(unchanged=3, removed=1)


@pytest.mark.parametrize(("ends", "is_whole"), [(0.5, False), (0.75, False), (1, True), (2, True)])
def test_comparison_keeps_row_that_contains_the_first_part(ends: float, *, is_whole: bool) -> None:
    """A row that starts before the interval, and ends before it, within the part, with it or after it."""
    interval = Interval(NOON + 0.5 * HOUR, NOON + 3 * HOUR)
    new = rows()
    new[0]["bucket_start"] = interval.start.isoformat()
    comparison = Comparison(interval, new, KINDS)
    earlier = (*stored(0, 1)[:2], NOON + ends * HOUR, 9, None)
    difference = comparison.compare(interval.end, [earlier, stored(1, 2), stored(2, 3)], NO_SCALES)
    assert difference == ([], [] if is_whole else new[:1])
    assert comparison.changes == Changes(added=int(not is_whole), unchanged=2 + is_whole)
    assert comparison.found == 2


def test_comparison_undocumented_keys_need_their_column() -> None:
    """The table has no column for them, so they are not stored yet."""
    new = [row | {"other": {"satisfaction_smiles": 3}} for row in rows(count=1)]
    comparison = Comparison(HOURS, new, {name: kind for name, kind in KINDS.items() if name != "other"})
    assert comparison.compare(HOURS.end, [stored(0, 1)[:4]], NO_SCALES[:4]).rows == new


def test_changes_name_the_first_changed_buckets() -> None:
    new = rows(count=MAX_NAMED + 5)
    interval = Interval(NOON, NOON + len(new) * HOUR)
    comparison = Comparison(interval, new, KINDS)
    comparison.compare(interval.end, [stored(hour, hour + 1, 6) for hour in range(len(new))], NO_SCALES)
    starts = [row["bucket_start"] for row in new]
    assert comparison.changes.changed_buckets == starts[:MAX_NAMED]
    expected = (
        f"0 added, 25 changed, 0 unchanged, 0 removed. Changed buckets: {', '.join(starts[:MAX_NAMED])} and 5 more"
    )
    assert str(comparison.changes) == expected


def test_changes_of_streams_are_added() -> None:
    total = Changes()
    total.add(Changes(1, 2, 3, 4, ["c", "a"]))
    total.add(Changes(1, 1, 1, 1, ["b", "a"]))
    assert total == Changes(2, 3, 4, 5, ["a", "b", "c"])
    assert total.rows == 9


@given(
    before=st.dictionaries(st.integers(0, 9), st.integers(0, 2)),
    after=st.dictionaries(st.integers(0, 9), st.integers(0, 2)),
    edges=st.lists(st.integers(0, 10)),
    data=st.data(),
)
def test_comparison_writes_lead_to_the_new_rows(
    before: dict[int, int], after: dict[int, int], edges: list[int], data: st.DataObject
) -> None:
    """Also with rows in any order, which may write equal rows again. Ordered rows are counted exactly."""
    by_hour = dict(enumerate(rows(count=10)))
    order = data.draw(st.permutations(sorted(after)))
    interval = Interval(NOON, NOON + 10 * HOUR)
    new = [by_hour[hour] | {"passing_by": after[hour]} for hour in order]
    comparison, table, start = Comparison(interval, new, KINDS), dict(before), 0
    for end in [*sorted(edges), 10]:
        existing = [stored(hour, hour + 1, table[hour]) for hour in sorted(table) if start <= hour < end]
        stale, inserted = comparison.compare(NOON + end * HOUR, existing, NO_SCALES)
        for moment in stale:
            del table[(moment - NOON) // HOUR]
        for row in inserted:
            hour = (datetime.fromisoformat(row["bucket_start"]) - NOON) // HOUR
            assert hour not in table
            table[hour] = row["passing_by"]
        start = end
    assert table == after
    changes = comparison.changes
    if order == sorted(order):
        shared = before.keys() & after.keys()
        assert changes.unchanged == sum(before[hour] == after[hour] for hour in shared)
        assert changes.changed == len(shared) - changes.unchanged
        assert (changes.added, changes.removed) == (len(after) - len(shared), len(before) - len(shared))
