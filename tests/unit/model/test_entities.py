from __future__ import annotations

import json
import math
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import DAY

from airflow_provider_angus.exceptions import AngusError, AngusRequestError, AngusResponseError
from airflow_provider_angus.model.entities import (
    KEY_COLUMNS,
    MEANS,
    METRICS,
    check_metrics,
    metric_columns,
    read_row,
    totals,
)

ALL_COLUMNS = [
    *["stream", "bucket_start", "bucket_end", "passing_by", "interested", "stop_time", "attention_time"],
    *["gender_female", "gender_male", "gender_unknown"],
    *["category_senior_female", "category_senior_male", "category_young_female", "category_young_male"],
]

some_metrics = st.lists(st.sampled_from(list(METRICS)), min_size=1)
numbers = st.none() | st.integers(0, 10**6) | st.floats(0, 10**6)


@st.composite
def buckets(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Return a bucket as a response may contain it: some documented keys, and undocumented keys."""
    names = draw(st.sets(st.sampled_from([*METRICS, "mood"])))
    undocumented = st.dictionaries(st.sampled_from(["x", "value_2", "é"]), numbers | st.text() | st.lists(numbers))
    return {
        name: {key: draw(numbers) for key in METRICS.get(name, {}) if draw(st.booleans())} | draw(undocumented)
        for name in names
    }


@pytest.mark.parametrize(
    "metrics",
    [
        "gender, passing_by ,gender",
        ["gender", "passing_by"],
        ("passing_by", "gender"),
        {"gender", "passing_by"},
        iter(["gender", "passing_by"]),
    ],
)
def test_check_metrics_returns_column_order_without_duplicates(metrics: Any) -> None:
    assert check_metrics(metrics) == ["passing_by", "gender"]


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        ("passing_by,visitors", "str 'passing_by,visitors'. Unknown: str 'visitors'."),
        (["Gender", "mood"], "list ['Gender', 'mood']. Unknown: str 'Gender', str 'mood'."),
        ("", "str ''. Unknown: str ''."),
        ("gender,", "str 'gender,'. Unknown: str ''."),
        ([None, 7], "list [None, 7]. Unknown: None, int 7."),
        ([], "list []."),
        ([["gender"]], "list [['gender']]. Unknown: list ['gender']."),
        (None, "None."),
        (7, "int 7."),
        ({"gender": 1}, "dict {'gender': 1}."),
        (b"gender", "bytes b'gender'."),
    ],
)
def test_check_metrics_unknown_metric_raises_with_known_metrics(metrics: Any, problem: str) -> None:
    with pytest.raises(AngusRequestError) as raised:
        check_metrics(metrics)
    known = "passing_by, interested, stop_time, attention_time, gender, category, satisfaction"
    assert str(raised.value) == f"metrics: expected one or more of {known}, got {problem}"


def test_read_row_without_values_has_all_columns_in_order() -> None:
    row = read_row("shop", check_metrics(list(METRICS)), DAY, {})
    assert list(row) == metric_columns(check_metrics(list(METRICS))) == ALL_COLUMNS
    assert tuple(ALL_COLUMNS[:3]) == KEY_COLUMNS
    assert row == dict.fromkeys(ALL_COLUMNS) | {
        "stream": "shop",
        "bucket_start": "2017-09-03T00:00:00+00:00",
        "bucket_end": "2017-09-04T00:00:00+00:00",
    }


def test_read_row_documented_values_fill_their_columns() -> None:
    values = {
        "gender": {"?": 1, "female": 2, "male": 7},
        "category": {"senior_female": 3, "senior_male": 4, "young_female": 5, "young_male": 6},
        "passing_by": {"value": 18},
        "interested": {"value": 10},
        "stop_time": {"value": 4.2},
        "attention_time": {"value": None},
    }
    row = read_row("shop", check_metrics(list(METRICS)), DAY, values)
    assert list(row.values())[3:] == [18, 10, 4.2, None, 2, 7, 1, 3, 4, 5, 6]


@given(some_metrics, buckets(), st.randoms())
def test_read_row_columns_depend_on_metrics_only(
    metrics: list[str], values: dict[str, dict[str, Any]], random: Any
) -> None:
    shuffled = random.sample(metrics, len(metrics))
    expected = [column for column in ALL_COLUMNS if column in metric_columns(check_metrics(shuffled))]
    row = read_row("shop", check_metrics(shuffled), DAY, values)
    assert list(row)[: len(expected)] == expected == metric_columns(check_metrics(metrics))


@given(some_metrics, buckets())
def test_read_row_has_exactly_the_received_values(metrics: list[str], values: dict[str, dict[str, Any]]) -> None:
    received = {
        METRICS.get(metric, {}).get(key, f"{metric}_{key}"): value
        for metric, keys in values.items()
        for key, value in keys.items()
    }
    names = metric_columns(check_metrics(metrics))
    row = read_row("shop", check_metrics(metrics), DAY, values)
    assert {column: row[column] for column in received} == received
    assert row.keys() == {*names, *received}
    assert all(row[column] is None for column in names[3:] if column not in received)
    assert json.loads(json.dumps(row, allow_nan=False)) == row


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (None, "expected an object of metrics, got null"),
        ([], "expected an object of metrics, got list '[]'"),
        ({"passing_by": 3}, "'passing_by': expected an object, got int '3'"),
        ({"passing_by": 0}, "'passing_by': expected an object, got int '0'"),
        ({"passing_by": []}, "'passing_by': expected an object, got list '[]'"),
        ({"mood\nAll is well": 3}, r"'mood\nAll is well': expected an object, got int '3'"),
        ({"mood": "good"}, "'mood': expected an object, got str 'good'"),
        ({"passing_by": {"value": "3"}}, "'value' of passing_by: expected a number of at least 0 or null, got str '3'"),
        ({"passing_by": {"value": True}}, "expected a number of at least 0 or null, got bool 'True'"),
        ({"passing_by": {"value": -1}}, "'value' of passing_by: expected a number of at least 0 or null, got int '-1'"),
        ({"gender": {"?": {}}}, "'?' of gender: expected a number of at least 0 or null, got dict '{}'"),
        ({"gender": {"unknown": 3}}, "'unknown' of 'gender' collides with column 'gender_unknown'"),
        ({"gender": {"?": 3, "unknown": 3}}, "collides with column 'gender_unknown'"),
        ({"a": {"b_c": 1}, "a_b": {"c": 1}}, "'c' of 'a_b' collides with column 'a_b_c'"),
        ({"passing": {"by": 1}}, "'by' of 'passing' collides with column 'passing_by'"),
        ({"gender_\n": {"x": 1}, "gender": {"\n_x": 1}}, r"'\n_x' of 'gender' collides with column 'gender_\n_x'"),
        ({"bucket": {"start": "then"}}, "'start' of 'bucket' collides with column 'bucket_start'"),
        ({"bucket": {"end": "then"}}, "'end' of 'bucket' collides with column 'bucket_end'"),
    ],
)
def test_read_row_undocumented_values_raise(values: object, problem: str) -> None:
    with pytest.raises(AngusResponseError) as raised:
        read_row("shop", ["passing_by", "gender"], DAY, values)
    assert str(raised.value).startswith("Bucket 2017-09-03T00:00:00+00:00: ")
    assert problem in str(raised.value)
    assert str(raised.value).isprintable()


def test_read_row_key_may_not_take_column_of_other_metric() -> None:
    """Otherwise the column's meaning would depend on the requested metrics."""
    with pytest.raises(AngusResponseError, match="'unknown' of 'gender' collides with column 'gender_unknown'"):
        read_row("shop", ["passing_by"], DAY, {"gender": {"unknown": 3}})


def test_read_row_null_metric_equals_missing_metric() -> None:
    assert read_row("shop", ["gender"], DAY, {"gender": None}) == read_row("shop", ["gender"], DAY, {})


@given(
    st.recursive(numbers | st.booleans() | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner))
)
def test_read_row_any_value_becomes_a_row_or_our_error(values: object) -> None:
    for received in (values, {"gender": values}, {"gender": {"?": values}}):
        try:
            row = read_row("shop", ["gender"], DAY, received)
        except AngusError:
            continue
        assert list(row)[:6] == metric_columns(["gender"])


@given(st.lists(buckets(), max_size=8))
def test_totals_add_up_all_numbers_but_means(values: list[dict[str, dict[str, Any]]]) -> None:
    rows = [read_row("shop", check_metrics(list(METRICS)), DAY, bucket) for bucket in values]
    sums = totals(rows)
    summed = {
        column
        for row in rows
        for column, value in row.items()
        if isinstance(value, int | float) and column not in MEANS
    }
    assert sums.keys() == summed
    for column, total in sums.items():
        found = [row[column] for row in rows if isinstance(row.get(column), int | float)]
        assert total == pytest.approx(sum(found))


@given(st.lists(st.lists(st.integers(0, 10**6)), max_size=5))
def test_totals_of_parts_add_up(parts: list[list[int]]) -> None:
    rows = [[{"stream": "shop", "passing_by": value, "stop_time": 4.2} for value in part] for part in parts]
    together = totals({"passing_by": totals(part).get("passing_by", 0)} for part in rows)
    assert totals(chain.from_iterable(rows)).get("passing_by", 0) == together.get("passing_by", 0)
    assert totals(chain.from_iterable(rows)).keys() <= {"passing_by"}


@pytest.mark.parametrize("rows", [[{"a": 10**400}, {"a": 0.5}], [{"a": 9 * 10**4299}] * 2])
def test_totals_too_large_are_infinite(rows: list[dict[str, Any]]) -> None:
    """Python refuses to add a float to such an integer, or to format it."""
    assert totals(rows) == {"a": math.inf}
