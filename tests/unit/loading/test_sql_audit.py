"""The comparison of a table with the API, on real databases."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from audited import compare
from counted_rows import CountedRow
from loaded_rows import HOURS, NOON, replace, rows
from recorded_statements import record_statements, writes

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.loading.sql_audit import MAX_DAYS, MAX_DIFFERENCES, Audit, describe_differences
from airflow_provider_angus.model.columns import table_columns
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from databases import Database

    from airflow_provider_angus.model.entities import Row

HOUR = timedelta(hours=1)
SECONDS = table_columns(["passing_by", "stop_time"])


def counts(audit: Audit) -> tuple[int, ...]:
    """Return the numbers of missing, surplus, differing and equal buckets."""
    audited = audit.streams["camera"]
    return (audited["missing"], audited["surplus"], audited["differing"], audited["equal"])


def test_audit_finds_missing_surplus_and_differing_buckets(database: Database) -> None:
    four = Interval(NOON, NOON + 4 * HOUR)
    replace(database, rows(count=4), interval=four)
    # The second bucket differs, the fourth is surplus, the fifth is missing.
    new = rows(count=5)
    new[1]["passing_by"] = 8
    new[4]["other"] = {"passing_by_smiles": 3}
    del new[3]
    audit = compare(database, new, interval=Interval(NOON, NOON + 5 * HOUR))
    assert counts(audit) == (1, 1, 1, 2)
    assert audit.streams["camera"]["days"] == {"2026-11-20": {"missing": 1, "surplus": 1, "differing": 1}}
    assert [(each["kind"], each["bucket_start"][11:13], each["table"], each["api"]) for each in audit.differences] == [
        ("differing", "13", {"passing_by": 7}, {"passing_by": 8}),
        ("surplus", "15", {"passing_by": 7, "other": None}, None),
        ("missing", "16", None, {"passing_by": 7, "other": {"passing_by_smiles": 3}}),
    ]
    assert json.loads(json.dumps(audit.differences)) == audit.differences
    assert next(describe_differences(audit.differences)) == (
        "stream 'camera', 2026-11-20T13:00:00+00:00: differing: table {'passing_by': 7}, api {'passing_by': 8}"
    )


def test_audit_of_equal_rows_sends_no_write_and_takes_no_lock(database: Database) -> None:
    replace(database, rows())
    hook = database.hook
    statements = record_statements(hook)
    assert counts(compare(database, rows(), hook=hook)) == (0, 0, 0, 3)
    assert counts(compare(database, rows(passing_by=8), hook=hook)) == (0, 0, 3, 0)
    assert writes(statements) == []
    assert [each for each in statements if "lock" in each.lower() or "IMMEDIATE" in each] == []
    assert [row[2] for row in database.rows()] == [7, 7, 7]


def test_audit_works_while_another_task_writes(sqlite: Database) -> None:
    replace(sqlite, rows())
    with closing(sqlite3.connect(sqlite.hook.get_connection(sqlite.conn_id).host)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert counts(compare(sqlite, rows())) == (0, 0, 0, 3)


def test_audit_ignores_other_streams_and_intervals(sqlite: Database) -> None:
    replace(sqlite, rows("other", passing_by=1), stream="other")
    later = Interval(HOURS.end, HOURS.end + 3 * HOUR)
    replace(sqlite, rows(interval=later), interval=later)
    assert counts(compare(sqlite, rows())) == (3, 0, 0, 0)


@pytest.mark.parametrize(
    ("tolerance", "stored", "differing"),
    [(0, 2.6, 1), (0.05, 2.6, 1), (0.2, 2.6, 0), (1, 3.5, 0), (1, 3.6, 1), (1, None, 1), (0, 2.5, 0)],
)
def test_audit_tolerance_is_for_seconds_only(
    sqlite: Database, tolerance: float, stored: float | None, differing: int
) -> None:
    sqlite.run(
        f"CREATE TABLE {sqlite.table} (stream TEXT, bucket_start TEXT, bucket_end TEXT, passing_by INT, stop_time REAL)"
    )
    new = [row | {"stop_time": 2.5} for row in rows(count=2)]
    for row, passing_by in zip(new, (7, 8), strict=True):
        values = [row["stream"], row["bucket_start"], row["bucket_end"], passing_by, stored]
        shown = ", ".join("NULL" if value is None else repr(value) for value in values)
        sqlite.run(f"INSERT INTO {sqlite.table} VALUES ({shown})")  # noqa: S608 (test data)
    audit = compare(sqlite, new, columns=SECONDS, tolerance=tolerance)
    # The second bucket's count differs by 1.
    assert audit.streams["camera"]["differing"] == 1 + differing
    assert audit.differences[-1]["table"] == {"passing_by": 8} | ({"stop_time": stored} if differing else {})


def test_audit_tolerance_applies_to_rounded_columns(postgres: Database) -> None:
    postgres.run(
        f"CREATE TABLE {postgres.table} (stream TEXT, bucket_start TIMESTAMPTZ, bucket_end TIMESTAMPTZ, "
        "passing_by NUMERIC, stop_time NUMERIC(6,2))"
    )
    postgres.run(
        f"INSERT INTO {postgres.table} VALUES "  # noqa: S608 (test data)
        "('camera', '2026-11-20T12:00:00Z', '2026-11-20T13:00:00Z', 7, 2.60)"
    )
    new = [row | {"stop_time": 2.5} for row in rows(count=1)]
    assert counts(compare(postgres, new, columns=SECONDS, tolerance=0.1)) == (0, 0, 0, 1)
    audit = compare(postgres, new, columns=SECONDS, tolerance=0.05)
    assert audit.differences[0]["table"] == {"stop_time": 2.6}
    json.dumps(audit.differences)


def test_audit_of_a_row_twice_is_surplus(sqlite: Database) -> None:
    """A table of the user may have no key."""
    sqlite.run(f"CREATE TABLE {sqlite.table} (stream TEXT, bucket_start TEXT, bucket_end TEXT, passing_by INT)")
    replace(sqlite, rows())
    sqlite.run(f"INSERT INTO {sqlite.table} SELECT * FROM {sqlite.table} WHERE bucket_start LIKE '%T13%'")  # noqa: S608
    audit = compare(sqlite, rows())
    assert (audit.streams["camera"]["surplus"], audit.streams["camera"]["equal"]) == (1, 2)


def test_audit_of_whole_buckets_is_equal(database: Database) -> None:
    """The interval cuts the first and the last bucket, of which the table has the whole."""
    replace(database, rows())
    half = timedelta(minutes=30)
    cut, parts = Interval(HOURS.start + half, HOURS.end - half), rows()
    parts[0] |= {"bucket_start": cut.start.isoformat(), "passing_by": 3}
    parts[2] |= {"bucket_end": cut.end.isoformat(), "passing_by": 3}
    assert counts(compare(database, parts, interval=cut, whole=HOURS)) == (0, 0, 0, 3)
    # A row of the part, beside that of the whole bucket, would be counted twice.
    assert replace(database, parts, interval=cut).added == 2
    audit = compare(database, parts, interval=cut, whole=HOURS)
    assert counts(audit) == (0, 2, 0, 3)
    assert [each["bucket_start"] for each in audit.differences] == [cut.start.isoformat(), rows()[2]["bucket_start"]]


def test_audit_memory_and_report_do_not_grow_with_the_interval(sqlite: Database) -> None:
    hours, most = 5000, 0
    interval = Interval(NOON, NOON + hours * HOUR)
    replace(sqlite, rows(interval=interval, count=hours), interval=interval)

    def counted() -> Iterator[Row]:
        nonlocal most
        for row in rows(interval=interval, count=hours, passing_by=8):
            yield CountedRow(row)
            most = max(most, CountedRow.alive)

    audit = compare(sqlite, counted(), interval=interval)
    assert counts(audit) == (0, 0, hours, 0)
    assert most < 2500
    assert len(audit.differences) == MAX_DIFFERENCES
    days = audit.streams["camera"]["days"]
    assert len(days) == MAX_DAYS
    assert list(days)[:2] == ["2026-11-20", "2026-11-21"]
    assert days["2026-11-21"]["differing"] == 24


def test_audit_of_undocumented_key_without_column_differs(sqlite: Database) -> None:
    sqlite.run(f"CREATE TABLE {sqlite.table} (stream TEXT, bucket_start TEXT, bucket_end TEXT, passing_by INT)")
    replace(sqlite, rows())
    new = [rows()[0] | {"other": {"passing_by_smiles": 3}}, *rows()[1:]]
    (difference,) = compare(sqlite, new).differences
    assert (difference["table"], difference["api"]) == ({"other": None}, {"other": {"passing_by_smiles": 3}})


def test_audit_shows_any_value_as_json_on_one_line(sqlite: Database) -> None:
    sqlite.run(f"CREATE TABLE {sqlite.table} (stream TEXT, bucket_start TEXT, bucket_end TEXT, passing_by)")
    replace(sqlite, rows())
    values: list[Any] = ["x'00ff'", "9e999", f"'{'long' * 99}'||char(10)||'x'"]
    for row, value in zip(rows(), values, strict=True):
        condition = f"bucket_start = '{row['bucket_start']}'"
        sqlite.run(f"UPDATE {sqlite.table} SET passing_by = {value} WHERE {condition}")  # noqa: S608 (test data)
    audit = compare(sqlite, rows())
    json.dumps(audit.differences, allow_nan=False)
    assert audit.streams["camera"]["differing"] == 3
    assert all(line.isprintable() and len(line) < 300 for line in describe_differences(audit.differences))


@pytest.mark.parametrize("columns", ["stream TEXT, bucket_start TEXT, bucket_end TEXT", "id INT"])
def test_audit_table_without_column_is_rejected(sqlite: Database, columns: str) -> None:
    sqlite.run(f"CREATE TABLE {sqlite.table} ({columns})")
    with pytest.raises(AngusTargetError, match="has no column .*passing_by"):
        compare(sqlite, rows())
