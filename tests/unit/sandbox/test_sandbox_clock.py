"""The sandbox's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from airflow_provider_angus.sandbox import Clock


def test_clock_shows_the_real_time_until_set() -> None:
    clock = Clock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    clock.move(timedelta(days=-1))
    assert abs(clock.now() - datetime.now(UTC) + timedelta(days=1)) < timedelta(seconds=5)


def test_clock_after_set_stands_still_in_utc() -> None:
    clock = Clock()
    clock.move(timedelta(days=1))
    clock.set(datetime(2017, 9, 3, 2, tzinfo=timezone(timedelta(hours=2))))
    assert [clock.now().isoformat() for _ in range(2)] == ["2017-09-03T00:00:00+00:00"] * 2
    clock.move(timedelta(minutes=5))
    assert clock.now() == datetime(2017, 9, 3, 0, 5, tzinfo=UTC)


def test_clock_without_utc_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="UTC offset"):
        Clock().set(datetime(2017, 9, 3))  # noqa: DTZ001
