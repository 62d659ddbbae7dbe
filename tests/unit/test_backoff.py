"""Waits between the checks of a trigger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus._backoff import jitter, next_check, retry_time, sleep_until, wait_after
from airflow_provider_angus.exceptions import AngusError, AngusResponseError, AngusUnavailableError
from airflow_provider_angus.model.arguments import LONGEST
from airflow_provider_angus.model.intervals import later

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@given(
    checks=st.integers(1, 10_000),
    poke_interval=st.floats(0, 3600),
    exponential_backoff=st.booleans(),
    max_wait=st.none() | st.floats(0, 86_400),
    seed=st.random_module(),
)
def test_wait_after_doubles_up_to_max_wait(
    *, checks: int, poke_interval: float, exponential_backoff: bool, max_wait: float | None, seed: object
) -> None:
    """A wait is the poke interval, doubled if requested, plus at most a tenth, and never above max_wait or LONGEST."""
    assert seed  # varies the jitter between examples
    wait = wait_after(checks, poke_interval, exponential_backoff=exponential_backoff, max_wait=max_wait)
    least = poke_interval * (2 ** min(checks - 1, 30) if exponential_backoff else 1)
    most = least * 1.1
    bound = LONGEST.total_seconds() if max_wait is None else max_wait
    least, most = min(least, bound), min(most, bound)
    # A timedelta has a resolution of a microsecond.
    assert least - 1e-6 <= wait.total_seconds() <= most + 1e-6


def test_wait_after_spreads_simultaneous_triggers() -> None:
    assert len({wait_after(1, 60, exponential_backoff=False, max_wait=None) for _ in range(100)}) > 50


def test_jitter_is_at_most_a_tenth() -> None:
    assert all(0 <= jitter(60) <= 6 for _ in range(100))


@pytest.mark.parametrize("wait", [timedelta.max, 1e300, 9e11, pendulum.duration(years=9000)])
def test_later_is_at_most_the_last_moment(wait: timedelta | float) -> None:
    assert later(NOW, wait) == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("wait", [60, 60.0, timedelta(minutes=1), pendulum.duration(minutes=1)])
def test_later_adds_seconds_or_a_timedelta(wait: timedelta | float) -> None:
    assert later(NOW, wait) == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("asked", "expected"), [(0.0, 0), (5.0, 5), (3600.0, 3600), (3601.0, 3600), (float("inf"), 3600), (-60.0, -60)]
)
def test_retry_time_is_at_most_in_an_hour(asked: float, expected: float) -> None:
    moment = retry_time(AngusUnavailableError("Not now.", retry_after=asked))
    assert moment is not None
    assert (moment - datetime.now(UTC)).total_seconds() == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("error", [AngusUnavailableError("Not now."), AngusResponseError("HTML")])
def test_retry_time_without_retry_after_is_none(error: AngusError) -> None:
    assert retry_time(error) is None


def test_next_check_is_not_before_the_retry_time() -> None:
    retry_at = datetime.now(UTC) + timedelta(minutes=30)
    assert retry_at <= next_check(1, 60, retry_at=retry_at) <= retry_at + timedelta(seconds=6)
    assert next_check(1, 7200, retry_at=retry_at) > retry_at + timedelta(hours=1)


def test_sleep_until_divides_a_long_sleep() -> None:
    wake = datetime.now(UTC) + timedelta(seconds=0.1)
    assert asyncio.run(sleep_until(wake, max_sleep=0.03))
    assert datetime.now(UTC) >= wake


def test_sleep_until_a_past_deadline_returns_false() -> None:
    now = datetime.now(UTC)
    assert not asyncio.run(sleep_until(now + timedelta(hours=1), deadline=now))
