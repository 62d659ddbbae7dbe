from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import DAY, MIDNIGHT

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.availability import (
    check_minimum,
    missing_buckets,
    settled_at,
    unavailable_reason,
    unsettled_reason,
)
from airflow_provider_angus.model.buckets import Time, bucket_starts
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from airflow_provider_angus.model.entities import Row

CUT = Interval(MIDNIGHT + timedelta(minutes=30), MIDNIGHT + timedelta(hours=3, minutes=30))


def rows_of(interval: Interval, time: Time, *, without: tuple[int, ...] = (), **values: Any) -> list[Row]:
    """Return a row for each bucket, except the buckets with the numbers ``without``."""
    starts = enumerate(bucket_starts(interval, time))
    return [{"bucket_start": start.isoformat(), **values} for number, start in starts if number not in without]


@pytest.mark.parametrize("interval", [DAY, CUT])
@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_unavailable_reason_all_buckets_is_none(interval: Interval, time: Time) -> None:
    assert unavailable_reason(rows_of(interval, time), interval, time) is None
    assert list(missing_buckets(rows_of(interval, time), interval, time)) == []


@pytest.mark.parametrize(
    ("interval", "time", "without", "missing"),
    [
        (DAY, "by_day", (0,), "1 bucket (2017-09-03T00:00:00+00:00)"),
        (CUT, "global", (0,), "1 bucket (2017-09-03T00:30:00+00:00)"),
        (CUT, "by_hour", (0, 3), "2 buckets (2017-09-03T00:00:00+00:00, 2017-09-03T03:00:00+00:00)"),
        (
            DAY,
            "by_hour",
            tuple(range(20, 24)),
            f"4 buckets ({', '.join(f'2017-09-03T{hour}:00:00+00:00' for hour in (20, 21, 22))} and 1 more)",
        ),
    ],
)
def test_unavailable_reason_names_missing_buckets(
    interval: Interval, time: Time, without: tuple[int, ...], missing: str
) -> None:
    rows = rows_of(interval, time, without=without)
    assert unavailable_reason(rows, interval, time) == f"missing {missing}"


@given(st.sets(st.integers(0, 23)))
def test_missing_buckets_are_those_without_a_row(without: set[int]) -> None:
    found = missing_buckets(rows_of(DAY, "by_hour", without=tuple(without)), DAY, "by_hour")
    assert list(found) == [MIDNIGHT + timedelta(hours=hour) for hour in sorted(without)]


def test_missing_buckets_ignores_rows_of_other_intervals() -> None:
    tomorrow = Interval(DAY.end, DAY.end + timedelta(days=1))
    assert len([*missing_buckets(rows_of(tomorrow, "by_hour"), DAY, "by_hour")]) == 24


def test_unavailable_reason_does_not_iterate_over_centuries() -> None:
    """87 million hours would take minutes and gigabytes."""
    years = Interval(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
    reason = unavailable_reason(
        rows_of(Interval(years.start, years.start + timedelta(hours=2)), "by_hour"), years, "by_hour"
    )
    hours = ", ".join(f"0001-01-01T0{hour}:00:00+00:00" for hour in (2, 3, 4))
    assert reason == f"missing 87640654 buckets ({hours} and 87640651 more)"


@pytest.mark.parametrize(
    ("row_starts", "missing"), [(("00:30", "01:00", "02:00", "03:00"), []), (("01:00", "02:00", "03:00"), [0])]
)
def test_missing_buckets_accepts_row_cut_to_interval(row_starts: tuple[str, ...], missing: list[int]) -> None:
    rows = [{"bucket_start": f"2017-09-03T{start}:00+00:00"} for start in row_starts]
    assert list(missing_buckets(rows, CUT, "by_hour")) == [MIDNIGHT + timedelta(hours=hour) for hour in missing]


@pytest.mark.parametrize(
    ("after_end", "reason"),
    [
        (timedelta(seconds=-1), "the interval ends at 2017-09-04T00:00:00+00:00"),
        (timedelta(0), "the data settles at 2017-09-04T00:02:00+00:00"),
        (timedelta(seconds=119), "the data settles at 2017-09-04T00:02:00+00:00"),
        (timedelta(seconds=120), None),
    ],
)
@pytest.mark.parametrize("settle", [timedelta(minutes=2), 120, 120.0])
def test_unsettled_reason_depends_on_time_since_end(
    after_end: timedelta, reason: str | None, settle: timedelta | float
) -> None:
    assert unsettled_reason(DAY, settle, DAY.end + after_end) == reason
    assert (DAY.end + after_end >= settled_at(DAY, settle)) == (reason is None)


def test_unsettled_reason_longest_settle_is_the_last_moment() -> None:
    assert unsettled_reason(DAY, timedelta.max, DAY.end) == "the data settles at 9999-12-31T23:59:59.999999+00:00"


@pytest.mark.parametrize(
    ("least", "reason"), [(24, None), (23.5, None), (25, "passing_by: expected at least 25, got 24"), (0, None)]
)
def test_unavailable_reason_compares_total_with_minimum(least: float, reason: str | None) -> None:
    rows = rows_of(DAY, "by_hour", passing_by=1)
    assert unavailable_reason(rows, DAY, "by_hour", {"passing_by": least}) == reason


def test_unavailable_reason_names_each_minimum_not_reached() -> None:
    rows = rows_of(DAY, "by_day", passing_by=3, interested=None, gender_male=0)
    minimum = {"passing_by": 3, "interested": 1, "gender_male": 2}
    expected = "interested: expected at least 1, got 0; gender_male: expected at least 2, got 0"
    assert unavailable_reason(rows, DAY, "by_day", minimum) == expected


def test_unavailable_reason_missing_bucket_precedes_minimum() -> None:
    rows = rows_of(DAY, "by_hour", without=(5,), passing_by=0)
    reason = unavailable_reason(rows, DAY, "by_hour", {"passing_by": 1})
    assert reason == "missing 1 bucket (2017-09-03T05:00:00+00:00)"


def test_unavailable_reason_zeros_without_minimum_is_none() -> None:
    assert unavailable_reason(rows_of(DAY, "by_hour", passing_by=0), DAY, "by_hour", {}) is None


@pytest.mark.parametrize(
    "minimum", [None, {}, {"passing_by": 1}, {"passing_by": 0.5, "gender_unknown": 2, "category_young_male": 0}]
)
def test_check_minimum_requested_columns_pass(minimum: dict[str, float] | None) -> None:
    check_minimum(minimum, ["passing_by", "gender", "category"])


@pytest.mark.parametrize(
    ("minimum", "problem"),
    [
        ({"interested": 1}, "minimum: expected requested columns that add up over an interval"),
        ({"gender": 1}, "minimum: expected requested columns that add up over an interval"),
        ({"stop_time": 1}, "minimum: expected requested columns that add up over an interval"),
        ({"stream": 1}, "minimum: expected requested columns that add up over an interval"),
        ({10**5000: 1}, "minimum: expected requested columns that add up over an interval"),
        ({"passing_by": "1"}, "minimum['passing_by']: expected a finite number, got str '1'."),
        ({"passing_by": None}, "minimum['passing_by']: expected a finite number, got None."),
        ({"passing_by": True}, "minimum['passing_by']: expected a finite number, got bool True."),
        ({"passing_by": float("nan")}, "minimum['passing_by']: expected a finite number, got float nan."),
        ({"passing_by": float("inf")}, "minimum['passing_by']: expected a finite number, got float inf."),
        ({"passing_by": 10**5000}, "minimum['passing_by']: expected a finite number, got int"),
        (["passing_by"], "minimum: expected a dict of columns and numbers, got list ['passing_by']."),
        (1, "minimum: expected a dict of columns and numbers, got int 1."),
    ],
)
def test_check_minimum_other_minimum_raises(minimum: Any, problem: str) -> None:
    with pytest.raises(AngusRequestError) as raised:
        check_minimum(minimum, ["passing_by", "stop_time"])
    assert str(raised.value).startswith(problem)


@pytest.mark.parametrize(
    ("metrics", "columns"),
    [
        (["passing_by", "stop_time", "gender"], "passing_by, gender_female, gender_male, gender_unknown"),
        (["stop_time", "attention_time"], "none"),
    ],
)
def test_check_minimum_error_names_allowed_columns(metrics: list[str], columns: str) -> None:
    with pytest.raises(AngusRequestError, match=rf"that add up over an interval \({columns}\), got str 'visitors'\.$"):
        check_minimum({"visitors": 1}, metrics)
