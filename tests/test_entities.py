"""Metrics, buckets and rows, and what must hold for all of them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_angus.entities import (
    BUCKET_LENGTHS,
    MEANS,
    METRICS,
    bucket_starts,
    check_metrics,
    check_time,
    columns,
    partial_buckets,
    read_bucket_key,
    read_row,
    totals,
)
from airflow_provider_angus.exceptions import AngusError, AngusRequestError, AngusResponseError
from airflow_provider_angus.interval import Interval

THIRD = datetime(2017, 9, 3, tzinfo=UTC)
DAY = Interval(THIRD, THIRD + timedelta(days=1))
ALL_COLUMNS = [
    *["stream", "bucket_start", "bucket_end", "passing_by", "interested", "stop_time", "attention_time"],
    *["gender_female", "gender_male", "gender_unknown"],
    *["category_senior_female", "category_senior_male", "category_young_female", "category_young_male"],
]

instants = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
intervals = st.builds(
    lambda start, length: Interval(start, start + length),
    instants,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=4)),
)
sizes = st.sampled_from(["by_hour", "by_day"])
some_metrics = st.lists(st.sampled_from(list(METRICS)), min_size=1)
numbers = st.none() | st.integers(0, 10**6) | st.floats(0, 10**6)


@st.composite
def buckets(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Return a bucket as an answer may hold it: any part of what is documented, and keys nobody wrote down."""
    names = draw(st.sets(st.sampled_from([*METRICS, "mood"])))
    undocumented = st.dictionaries(st.sampled_from(["x", "value_2", "é"]), numbers | st.text() | st.lists(numbers))
    return {
        name: {key: draw(numbers) for key in METRICS.get(name, {}) if draw(st.booleans())} | draw(undocumented)
        for name in names
    }


# Metrics and time


@pytest.mark.parametrize(
    "metrics",
    ["gender, passing_by ,gender", ["gender", "passing_by"], ("passing_by", "gender"), {"gender", "passing_by"}],
)
def test_metrics_come_as_a_list_or_a_text_and_leave_in_the_order_of_rows_without_repetitions(metrics: Any) -> None:
    assert check_metrics(metrics) == ["passing_by", "gender"]


@pytest.mark.parametrize(
    ("metrics", "wrong"),
    [
        ("passing_by,visitors", "Unknown metric 'visitors'"),
        (["Gender", "mood"], "Unknown metric 'Gender', 'mood'"),
        ("", "Unknown metric ''"),
        ("gender,", "Unknown metric ''"),
        ([None, 7], "Unknown metric None, 7"),
        ([], "No metrics are asked for"),
        ([["gender"]], "Unknown metric"),
        (None, "etrics"),
        (7, "etrics"),
    ],
)
def test_metrics_that_the_api_does_not_have_are_refused_with_those_that_it_has(metrics: Any, wrong: str) -> None:
    with pytest.raises(AngusRequestError) as refused:
        check_metrics(metrics)
    assert wrong in str(refused.value)
    assert "passing_by, interested, stop_time, attention_time, gender, category, satisfaction" in str(refused.value)


@pytest.mark.parametrize("time", ["hour", "BY_DAY", "", None, 3600, ["by_day"]])
def test_a_time_that_the_api_does_not_have_is_refused_with_those_that_it_has(time: Any) -> None:
    with pytest.raises(AngusRequestError, match=r"Unknown time .*: time must be one of by_hour, by_day, global"):
        check_time(time)


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_a_time_of_the_api_is_returned_as_it_is(time: str) -> None:
    assert check_time(time) == time


# Buckets


@settings(deadline=None)
@given(intervals, sizes)
def test_buckets_cover_the_interval_exactly(interval: Interval, time: str) -> None:
    length, starts = BUCKET_LENGTHS[time], list(bucket_starts(interval, time))
    assert length
    assert starts[0] <= interval.start < starts[0] + length
    assert starts[-1] < interval.end <= starts[-1] + length
    assert {after - before for before, after in pairwise(starts)} <= {length}
    assert all((start - datetime(1970, 1, 1, tzinfo=UTC)) % length == timedelta(0) for start in starts)


@settings(deadline=None)
@given(instants, st.lists(st.integers(1, 50), min_size=2, max_size=5), sizes)
def test_the_buckets_of_consecutive_intervals_are_those_of_the_whole_each_once(
    moment: datetime, counts: list[int], time: str
) -> None:
    length = BUCKET_LENGTHS[time]
    assert length
    edges = [next(bucket_starts(Interval(moment, moment + length), time))]
    for count in counts:
        edges.append(edges[-1] + count * length)
    parts = [list(bucket_starts(Interval(*edge), time)) for edge in pairwise(edges)]
    assert list(map(len, parts)) == counts
    assert list(chain.from_iterable(parts)) == list(bucket_starts(Interval(edges[0], edges[-1]), time))


@settings(deadline=None)
@given(intervals, sizes)
def test_the_partial_buckets_are_those_that_reach_over_an_end_of_the_interval(interval: Interval, time: str) -> None:
    length = BUCKET_LENGTHS[time]
    assert length
    over = [start for start in bucket_starts(interval, time) if start < interval.start or start + length > interval.end]
    assert partial_buckets(interval, time) == over


@settings(deadline=None)
@given(intervals)
def test_the_one_bucket_of_global_is_the_interval_itself_and_whole(interval: Interval) -> None:
    assert list(bucket_starts(interval, "global")) == [interval.start]
    assert partial_buckets(interval, "global") == []
    assert read_bucket_key("global", interval, "global") == interval


@settings(deadline=None)
@given(intervals, sizes, st.sampled_from(["Z", "+00:00", "+0000", "+02:00"]))
def test_a_bucket_is_read_however_its_start_is_written(interval: Interval, time: str, offset: str) -> None:
    start = next(bucket_starts(interval, time))
    zone = datetime.fromisoformat(f"2017-01-01T00:00{offset}").tzinfo
    key = start.astimezone(zone).replace(tzinfo=None).isoformat() + offset
    assert read_bucket_key(key, interval, time) == (start, start + (BUCKET_LENGTHS[time] or timedelta(0)))


@pytest.mark.parametrize(
    ("key", "time", "wrong"),
    [
        ("2017-09-03T10:30:00+00:00", "by_hour", "which starts at no UTC hour"),
        ("2017-09-03T10:00:00.000001+00:00", "by_hour", "which starts at no UTC hour"),
        ("2017-09-03T10:00:00+05:45", "by_hour", "which starts at no UTC hour"),
        ("2017-09-03T10:00:00+00:00", "by_day", "which starts at no UTC day"),
        ("2017-09-03T00:00:00+02:00", "by_day", "which starts at no UTC day"),
        ("2017-09-03T00:00:00", "by_day", "which starts at no UTC day"),
        ("2017-09-03", "by_day", "which starts at no UTC day"),
        ("global", "by_day", "which is not a date"),
        ("", "by_hour", "which is not a date"),
        ("2017-09-03T00:00:00+00:00", "global", "Asked for time=global"),
        ("0001-01-01T00:00:00+05:00", "by_day", "0001-01-01"),
        ("9999-12-31T00:00:00+00:00", "by_day", "9999-12-31"),
        ("9999-12-31T23:00:00+00:00", "by_hour", "9999-12-31"),
    ],
)
def test_a_key_that_is_no_start_of_a_bucket_is_refused(key: str, time: str, wrong: str) -> None:
    with pytest.raises(AngusResponseError) as refused:
        read_bucket_key(key, DAY, time)
    assert repr(key) in str(refused.value)
    assert wrong in str(refused.value)


# Rows


def test_a_row_has_every_documented_column_in_the_documented_order() -> None:
    assert columns(check_metrics(METRICS)) == ALL_COLUMNS
    row = read_row("shop", check_metrics(METRICS), DAY, {})
    assert list(row) == ALL_COLUMNS
    assert row == dict.fromkeys(ALL_COLUMNS) | {
        "stream": "shop",
        "bucket_start": "2017-09-03T00:00:00+00:00",
        "bucket_end": "2017-09-04T00:00:00+00:00",
    }


def test_the_documented_sample_becomes_the_documented_row() -> None:
    values = {
        "gender": {"?": 1, "female": 2, "male": 7},
        "category": {"senior_female": 3, "senior_male": 4, "young_female": 5, "young_male": 6},
        "passing_by": {"value": 18},
        "interested": {"value": 10},
        "stop_time": {"value": 4.2},
        "attention_time": {"value": None},
    }
    row = read_row("shop", check_metrics(METRICS), DAY, values)
    assert list(row.values())[3:] == [18, 10, 4.2, None, 2, 7, 1, 3, 4, 5, 6]


@settings(deadline=None)
@given(some_metrics, buckets(), st.randoms())
def test_the_columns_of_a_row_depend_on_the_metrics_asked_for_alone_and_not_on_their_order(
    metrics: list[str], values: dict[str, dict[str, Any]], random: Any
) -> None:
    shuffled = random.sample(metrics, len(metrics))
    expected = [column for column in ALL_COLUMNS if column in columns(check_metrics(shuffled))]
    row = read_row("shop", check_metrics(shuffled), DAY, values)
    assert list(row)[: len(expected)] == expected == columns(check_metrics(metrics))


@settings(deadline=None)
@given(some_metrics, buckets())
def test_a_row_holds_all_that_the_api_sent_and_nothing_else(
    metrics: list[str], values: dict[str, dict[str, Any]]
) -> None:
    sent = {
        METRICS.get(metric, {}).get(key, f"{metric}_{key}"): value
        for metric, keys in values.items()
        for key, value in keys.items()
    }
    names = columns(check_metrics(metrics))
    row = read_row("shop", check_metrics(metrics), DAY, values)
    assert {column: row[column] for column in sent} == sent
    assert row.keys() == {*names, *sent}
    assert all(row[column] is None for column in names[3:] if column not in sent)
    assert json.loads(json.dumps(row, allow_nan=False)) == row


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (None, "holds null where an object of metrics is documented"),
        ([], "holds list '[]' where an object of metrics is documented"),
        ({"passing_by": 3}, "'passing_by' is int '3' where an object is documented"),
        ({"passing_by": 0}, "'passing_by' is int '0' where an object is documented"),
        ({"passing_by": []}, "'passing_by' is list '[]' where an object is documented"),
        ({"mood\nAll is well": 3}, r"'mood\nAll is well' is int '3' where an object is documented"),
        ({"mood": "good"}, "'mood' is str 'good' where an object is documented"),
        (
            {"passing_by": {"value": "3"}},
            "of passing_by is str '3' where a number of zero or more is documented",
        ),
        (
            {"passing_by": {"value": True}},
            "is bool 'True' where a number of zero or more is documented",
        ),
        ({"passing_by": {"value": -1}}, "'value' of passing_by is int '-1' where a number of zero or more is"),
        ({"gender": {"?": {}}}, "'?' of gender is dict '{}' where a number of zero or more is documented"),
        ({"gender": {"unknown": 3}}, "'unknown' of 'gender' comes as 'gender_unknown', which is taken"),
        ({"gender": {"?": 3, "unknown": 3}}, "comes as 'gender_unknown', which is taken"),
        ({"a": {"b_c": 1}, "a_b": {"c": 1}}, "'c' of 'a_b' comes as 'a_b_c', which is taken"),
        ({"passing": {"by": 1}}, "'by' of 'passing' comes as 'passing_by', which is taken"),
        ({"gender_\n": {"x": 1}, "gender": {"\n_x": 1}}, r"'\n_x' of 'gender' comes as 'gender_\n_x', which is taken"),
        ({"bucket": {"start": "then"}}, "'start' of 'bucket' comes as 'bucket_start', which is taken"),
        ({"bucket": {"end": "then"}}, "'end' of 'bucket' comes as 'bucket_end', which is taken"),
    ],
)
def test_a_bucket_that_is_not_what_the_api_documents_is_refused(values: object, wrong: str) -> None:
    with pytest.raises(AngusResponseError) as refused:
        read_row("shop", ["passing_by", "gender"], DAY, values)
    assert str(refused.value).startswith("Bucket 2017-09-03T00:00:00+00:00")
    assert wrong in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_metric_that_is_null_is_a_metric_without_values() -> None:
    assert read_row("shop", ["gender"], DAY, {"gender": None}) == read_row("shop", ["gender"], DAY, {})


@settings(deadline=None)
@given(
    st.recursive(numbers | st.booleans() | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner))
)
def test_any_bucket_becomes_a_row_or_an_error_of_ours(values: object) -> None:
    for sent in (values, {"gender": values}, {"gender": {"?": values}}):
        try:
            row = read_row("shop", ["gender"], DAY, sent)
        except AngusError:
            continue
        assert list(row)[:6] == columns(["gender"])


# Totals


@settings(deadline=None)
@given(st.lists(buckets()))
def test_totals_add_up_what_adds_up_and_leave_the_rest_out(values: list[dict[str, dict[str, Any]]]) -> None:
    rows = [read_row("shop", check_metrics(METRICS), DAY, bucket) for bucket in values]
    sums = totals(rows)
    added = {
        column
        for row in rows
        for column, value in row.items()
        if isinstance(value, int | float) and column not in MEANS
    }
    assert sums.keys() == added
    for column, total in sums.items():
        found = [row[column] for row in rows if isinstance(row.get(column), int | float)]
        assert total == pytest.approx(sum(found))


def test_totals_of_more_digits_than_can_be_written_are_infinite() -> None:
    row = read_row("shop", ["passing_by"], DAY, {"passing_by": {"value": 9 * 10**4299}})
    assert totals([row, row]) == {"passing_by": math.inf}


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 10**6)), max_size=5))
def test_the_totals_of_parts_add_up_to_those_of_the_whole(parts: list[list[int]]) -> None:
    rows = [[{"stream": "shop", "passing_by": value, "stop_time": 4.2} for value in part] for part in parts]
    together = totals({"passing_by": totals(part).get("passing_by", 0)} for part in rows)
    assert totals(chain.from_iterable(rows)).get("passing_by", 0) == together.get("passing_by", 0)
    assert totals(chain.from_iterable(rows)).keys() <= {"passing_by"}


def test_a_total_beyond_all_numbers_is_infinite() -> None:
    assert totals([{"a": 10**400}, {"a": 0.5}]) == {"a": math.inf}
