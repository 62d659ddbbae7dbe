"""Is the data of an interval there yet? The one rule, asked without an API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_angus.availability import check_minimum, describe, missing_buckets, settled_at, why_not_yet
from airflow_provider_angus.entities import bucket_starts
from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.interval import Interval

THIRD = datetime(2017, 9, 3, tzinfo=UTC)
DAY = Interval(THIRD, THIRD + timedelta(days=1))
CUT = Interval(THIRD + timedelta(minutes=30), THIRD + timedelta(hours=3, minutes=30))


def rows(interval: Interval, time: str, *, without: tuple[int, ...] = (), **values: Any) -> list[dict[str, Any]]:
    starts = list(bucket_starts(interval, time))
    return [{"bucket_start": start.isoformat(), **values} for start in starts if starts.index(start) not in without]


def test_data_has_settled_when_settle_has_passed_since_the_end_of_the_interval() -> None:
    assert settled_at(DAY, timedelta(minutes=2)) == datetime(2017, 9, 4, 0, 2, tzinfo=UTC)
    assert settled_at(DAY, timedelta(0)) == DAY.end


@pytest.mark.parametrize("interval", [DAY, CUT])
@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_an_interval_is_there_when_every_bucket_of_it_is(interval: Interval, time: str) -> None:
    assert why_not_yet(rows(interval, time), interval, time, None) is None
    assert missing_buckets(rows(interval, time), interval, time) == []


@pytest.mark.parametrize(
    ("interval", "time", "without", "why"),
    [
        (DAY, "by_day", (0,), "1 bucket (2017-09-03T00:00:00+00:00) is"),
        (CUT, "global", (0,), "1 bucket (2017-09-03T00:30:00+00:00) is"),
        (CUT, "by_hour", (0, 3), "2 buckets (2017-09-03T00:00:00+00:00, 2017-09-03T03:00:00+00:00) are"),
        (
            DAY,
            "by_hour",
            tuple(range(20, 24)),
            f"4 buckets ({', '.join(f'2017-09-03T{hour}:00:00+00:00' for hour in (20, 21, 22))} and 1 more) are",
        ),
    ],
)
def test_an_interval_is_not_there_while_a_bucket_is_missing_and_it_says_which(
    interval: Interval, time: str, without: tuple[int, ...], why: str
) -> None:
    assert why_not_yet(rows(interval, time, without=without), interval, time, None) == f"{why} missing"


@settings(deadline=None)
@given(st.sets(st.integers(0, 23)))
def test_exactly_the_buckets_that_no_row_is_of_are_missing(without: set[int]) -> None:
    found = missing_buckets(rows(DAY, "by_hour", without=tuple(without)), DAY, "by_hour")
    assert found == [THIRD + timedelta(hours=hour) for hour in sorted(without)]


def test_rows_of_another_interval_do_not_count() -> None:
    tomorrow = Interval(DAY.end, DAY.end + timedelta(days=1))
    assert len(missing_buckets(rows(tomorrow, "by_hour"), DAY, "by_hour")) == 24


@pytest.mark.parametrize(
    ("least", "why"), [(24, None), (23.5, None), (25, "passing_by is 24, 1 short of 25"), (0, None)]
)
def test_the_total_over_the_interval_must_reach_the_minimum(least: float, why: str | None) -> None:
    assert why_not_yet(rows(DAY, "by_hour", passing_by=1), DAY, "by_hour", {"passing_by": least}) == why


def test_every_minimum_that_is_short_is_told_and_no_other() -> None:
    silent = rows(DAY, "by_day", passing_by=3, interested=None, gender_male=0)
    minimum = {"passing_by": 3, "interested": 1, "gender_male": 2}
    assert (
        why_not_yet(silent, DAY, "by_day", minimum) == "interested is 0, 1 short of 1; gender_male is 0, 2 short of 2"
    )


def test_a_missing_bucket_is_told_before_a_minimum_that_is_short() -> None:
    part = rows(DAY, "by_hour", without=(5,), passing_by=0)
    assert why_not_yet(part, DAY, "by_hour", {"passing_by": 1}) == "1 bucket (2017-09-03T05:00:00+00:00) is missing"


def test_zeros_are_there_where_no_minimum_says_otherwise() -> None:
    assert why_not_yet(rows(DAY, "by_hour", passing_by=0), DAY, "by_hour", {}) is None


def test_buckets_are_described_as_the_subject_of_a_sentence() -> None:
    assert describe([THIRD]) == "1 bucket (2017-09-03T00:00:00+00:00) is"
    assert describe([THIRD, DAY.end]) == "2 buckets (2017-09-03T00:00:00+00:00, 2017-09-04T00:00:00+00:00) are"


@pytest.mark.parametrize(
    "minimum", [None, {}, {"passing_by": 1}, {"passing_by": 0.5, "gender_unknown": 2, "category_young_male": 0}]
)
def test_a_minimum_for_columns_of_the_metrics_asked_for_is_accepted(minimum: dict[str, float] | None) -> None:
    check_minimum(minimum, ["passing_by", "gender", "category"])


@pytest.mark.parametrize(
    ("minimum", "wrong"),
    [
        ({"interested": 1}, "minimum names 'interested'"),
        ({"gender": 1}, "minimum names 'gender'"),
        ({"stop_time": 1}, "minimum names 'stop_time'"),
        ({"stream": 1}, "minimum names 'stream'"),
        ({"passing_by": "1"}, r"minimum\['passing_by'\] must be a number, got '1'"),
        ({"passing_by": None}, r"minimum\['passing_by'\] must be a number, got None"),
        ({"passing_by": True}, r"minimum\['passing_by'\] must be a number, got True"),
        ({"passing_by": float("nan")}, r"minimum\['passing_by'\] must be a number, got nan"),
        (["passing_by"], "minimum"),
        (1, "minimum"),
    ],
)
def test_a_minimum_that_no_total_can_be_held_against_is_refused(minimum: Any, wrong: str) -> None:
    with pytest.raises(AngusRequestError, match=wrong):
        check_minimum(minimum, ["passing_by", "stop_time"])


def test_the_refusal_of_a_minimum_names_the_columns_that_add_up() -> None:
    with pytest.raises(AngusRequestError, match="only these add up over an interval: passing_by, gender_female, "):
        check_minimum({"visitors": 1}, ["passing_by", "stop_time", "gender"])
    with pytest.raises(AngusRequestError, match="only these add up over an interval: none"):
        check_minimum({"stop_time": 1}, ["stop_time", "attention_time"])
