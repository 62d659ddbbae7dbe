"""Landed rows: the same columns of the same types whatever an answer held, covering no more than their interval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.entities import METRICS, bucket_starts, check_metrics, read_row, totals
from airflow_provider_angus.exceptions import AngusResponseError
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.schema import OTHER, landed, schema

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = Interval(NOON, NOON + timedelta(days=1))
HOUR = Interval(NOON, NOON + timedelta(hours=1))

counts = st.integers(0, 2**63 - 1)
numbers = st.none() | counts
# Larger whole numbers are no floats; nobody stops for 285 million years.
means = st.none() | st.integers(0, 2**53) | st.floats(0, allow_nan=False, allow_infinity=False)
metric_lists = st.lists(st.sampled_from(sorted(METRICS)), min_size=1, unique=True).map(check_metrics)


def buckets(metrics: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return what the API may send of these metrics: some of them, some of their keys, and keys nobody documented."""
    of = {
        metric: st.dictionaries(
            st.sampled_from([*METRICS[metric], "new"]), means if "time" in metric else numbers, max_size=4
        )
        for metric in metrics
    }
    return st.fixed_dictionaries({}, optional=of)


@given(st.data(), metric_lists)
def test_columns_and_types_are_those_of_the_metrics_whatever_came(data: st.DataObject, metrics: list[str]) -> None:
    columns = schema(metrics)
    row = landed(read_row("camera", metrics, HOUR, data.draw(buckets(metrics))), columns, HOUR)
    assert list(row) == [column.name for column in columns]
    for name, kind in columns:
        assert row[name] is None or isinstance(row[name], str if kind is datetime else kind)


@given(st.data(), metric_lists)
def test_nothing_is_lost_and_nothing_is_made_up(data: st.DataObject, metrics: list[str]) -> None:
    came = read_row("camera", metrics, HOUR, data.draw(buckets(metrics)))
    row = landed(came, schema(metrics), HOUR)
    assert {name: value for name, value in row.items() if name != OTHER} | (row[OTHER] or {}) == came
    assert all(name not in row for name in row[OTHER] or {})


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(timedelta(minutes=1), timedelta(days=4)),
    st.sampled_from([timedelta(hours=1), timedelta(days=1)]),
)
def test_rows_of_an_interval_cover_it_without_a_gap_or_an_overlap(
    start: datetime, length: timedelta, bucket: timedelta
) -> None:
    interval = Interval(start, start + length)
    time = "by_hour" if bucket == timedelta(hours=1) else "by_day"
    columns = schema(["passing_by"])
    rows = [
        landed(read_row("camera", ["passing_by"], Interval(each, each + bucket), {}), columns, interval)
        for each in bucket_starts(interval, time)
    ]
    edges = [row["bucket_start"] for row in rows] + [rows[-1]["bucket_end"]]
    assert [row["bucket_end"] for row in rows] == edges[1:]
    assert (edges[0], edges[-1]) == (start.isoformat(), interval.end.isoformat())


def test_counts_that_came_as_floats_are_counts_and_means_that_came_whole_are_floats() -> None:
    row = read_row(
        "camera", ["passing_by", "stop_time"], HOUR, {"passing_by": {"value": 4.0}, "stop_time": {"value": 4}}
    )
    fit = landed(row, schema(["passing_by", "stop_time"]), HOUR)
    assert (repr(fit["passing_by"]), repr(fit["stop_time"])) == ("4", "4.0")


@pytest.mark.parametrize("count", [4.5, 2**63, pytest.param(10**4000, id="huge"), float("nan"), float("inf"), 1e300])
def test_a_count_that_a_table_would_have_to_change_is_an_error(count: float) -> None:
    row = read_row("camera", ["passing_by"], HOUR, {"passing_by": {"value": count}})
    with pytest.raises(AngusResponseError, match="passing_by is .{3,50} where a count is documented"):
        landed(row, schema(["passing_by"]), HOUR)


@pytest.mark.parametrize(
    ("metric", "values"),
    [("stop_time", {"value": 10**400}), ("satisfaction", {"\ud800": 1}), ("satisfaction", {"smile": "\ud800"})],
)
def test_what_no_table_can_hold_is_an_error(metric: str, values: dict[str, Any]) -> None:
    row = read_row("camera", [metric], HOUR, {metric: values})
    with pytest.raises(AngusResponseError, match="Bucket 2026-11-20T12"):
        landed(row, schema([metric]), HOUR)


def test_what_nobody_documented_is_no_total() -> None:
    row = read_row("camera", ["satisfaction"], HOUR, {"satisfaction": {"smiles": 3}})
    assert totals([landed(row, schema(["satisfaction"]), HOUR)]) == {}
