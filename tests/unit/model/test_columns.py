from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import MIDNIGHT
from strategies import bucket_times, intervals

from airflow_provider_angus.exceptions import AngusResponseError
from airflow_provider_angus.model.buckets import Time, bucket_at, bucket_starts
from airflow_provider_angus.model.columns import OTHER, normalize_row, table_columns
from airflow_provider_angus.model.entities import METRICS, check_metrics, read_row, totals
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from airflow_provider_angus.model.entities import Row

HOUR = Interval(MIDNIGHT, MIDNIGHT + timedelta(hours=1))

counts = st.none() | st.integers(0, 2**63 - 1)
# Not every larger integer has an equal float.
means = st.none() | st.integers(0, 2**53) | st.floats(0, allow_nan=False, allow_infinity=False)
metric_lists = st.lists(st.sampled_from(sorted(METRICS)), min_size=1, unique=True).map(check_metrics)


def buckets(metrics: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return what the API may send: some of these metrics, some of their keys, and undocumented keys."""
    optional = {
        metric: st.dictionaries(
            st.sampled_from([*METRICS[metric], "new"]), means if "time" in metric else counts, max_size=4
        )
        for metric in metrics
    }
    return st.fixed_dictionaries({}, optional=optional)


def normalize(metrics: list[str], values: dict[str, Any]) -> Row:
    return normalize_row(read_row("camera", metrics, HOUR, values), table_columns(metrics), HOUR)


def test_table_columns_have_documented_order_and_types() -> None:
    assert table_columns(["passing_by", "stop_time", "gender"]) == (
        ("stream", str),
        ("bucket_start", datetime),
        ("bucket_end", datetime),
        ("passing_by", int),
        ("stop_time", float),
        ("gender_female", int),
        ("gender_male", int),
        ("gender_unknown", int),
        ("other", dict),
    )


@given(st.data(), metric_lists)
def test_normalize_row_has_columns_and_types_of_metrics(data: st.DataObject, metrics: list[str]) -> None:
    columns = table_columns(metrics)
    row = normalize(metrics, data.draw(buckets(metrics)))
    assert list(row) == [column.name for column in columns]
    for name, kind in columns:
        assert row[name] is None or isinstance(row[name], str if kind is datetime else kind)


@given(st.data(), metric_lists)
def test_normalize_row_keeps_every_value(data: st.DataObject, metrics: list[str]) -> None:
    received = read_row("camera", metrics, HOUR, data.draw(buckets(metrics)))
    row = normalize_row(received, table_columns(metrics), HOUR)
    assert {name: value for name, value in row.items() if name != OTHER} | (row[OTHER] or {}) == received
    assert all(name not in row for name in row[OTHER] or {})


@given(intervals(timedelta(days=4)), bucket_times)
def test_normalize_row_rows_cover_the_interval_exactly(interval: Interval, time: Time) -> None:
    columns = table_columns(["passing_by"])
    rows = [
        normalize_row(read_row("camera", ["passing_by"], bucket_at(start, time), {}), columns, interval)
        for start in bucket_starts(interval, time)
    ]
    edges = [row["bucket_start"] for row in rows] + [rows[-1]["bucket_end"]]
    assert [row["bucket_end"] for row in rows] == edges[1:]
    assert (edges[0], edges[-1]) == tuple(edge.isoformat() for edge in interval)


def test_normalize_row_converts_counts_and_means() -> None:
    row = normalize(["passing_by", "stop_time"], {"passing_by": {"value": 4.0}, "stop_time": {"value": 4}})
    assert (repr(row["passing_by"]), repr(row["stop_time"])) == ("4", "4.0")


@pytest.mark.parametrize("count", [4.5, 2**63, pytest.param(10**4000, id="huge"), float("nan"), float("inf"), 1e300])
def test_normalize_row_count_without_integer_raises(count: float) -> None:
    with pytest.raises(AngusResponseError, match=r"passing_by: expected a 64-bit integer, got .{3,50}\.$"):
        normalize(["passing_by"], {"passing_by": {"value": count}})


@pytest.mark.parametrize(
    ("metric", "values", "problem"),
    [
        ("stop_time", {"value": 10**400}, "stop_time does not fit into a float"),
        ("satisfaction", {"\ud800": 1}, r"'satisfaction_\\ud800': text is not valid Unicode"),
        ("satisfaction", {"smile": "\ud800"}, "'satisfaction_smile': text is not valid Unicode"),
    ],
)
def test_normalize_row_value_without_column_type_raises(metric: str, values: dict[str, Any], problem: str) -> None:
    with pytest.raises(AngusResponseError, match=f"Bucket 2017-09-03T00:00:00.*{problem}"):
        normalize([metric], {metric: values})


def test_totals_ignore_undocumented_keys() -> None:
    assert totals([normalize(["satisfaction"], {"satisfaction": {"smiles": 3}})]) == {}
