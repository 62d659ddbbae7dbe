"""Waits between the checks of a trigger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus._backoff import jitter, sleep_until, wait_after


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
    """A wait is the poke interval, doubled if requested, plus at most a tenth, and never above max_wait."""
    assert seed  # varies the jitter between examples
    wait = wait_after(checks, poke_interval, exponential_backoff=exponential_backoff, max_wait=max_wait)
    least = poke_interval * (2 ** min(checks - 1, 30) if exponential_backoff else 1)
    most = least * 1.1
    if max_wait is not None:
        least, most = min(least, max_wait), min(most, max_wait)
    # A timedelta has a resolution of a microsecond.
    assert least - 1e-6 <= wait.total_seconds() <= most + 1e-6


def test_wait_after_spreads_simultaneous_triggers() -> None:
    assert len({wait_after(1, 60, exponential_backoff=False, max_wait=None) for _ in range(100)}) > 50


def test_jitter_is_at_most_a_tenth() -> None:
    assert all(0 <= jitter(60) <= 6 for _ in range(100))


def test_sleep_until_divides_a_long_sleep() -> None:
    wake = datetime.now(UTC) + timedelta(seconds=0.1)
    assert asyncio.run(sleep_until(wake, max_sleep=0.03))
    assert datetime.now(UTC) >= wake


def test_sleep_until_a_past_deadline_returns_false() -> None:
    now = datetime.now(UTC)
    assert not asyncio.run(sleep_until(now + timedelta(hours=1), deadline=now))
