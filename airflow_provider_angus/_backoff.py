"""Waits between the checks of a sensor and of a trigger."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

from airflow_provider_angus.exceptions import AngusError, AngusUnavailableError
from airflow_provider_angus.model.arguments import LONGEST
from airflow_provider_angus.model.intervals import later

#: The longest wait that a ``Retry-After`` of the API causes.
MAX_RETRY_AFTER = timedelta(hours=1)

_MAX_EXPONENT = 30
_MAX_JITTER = 0.1


def retry_time(error: AngusError) -> datetime | None:
    """Return the moment until which the API asked to wait with ``Retry-After``, at most an hour from now, or None."""
    seconds = error.retry_after if isinstance(error, AngusUnavailableError) else None
    return None if seconds is None else later(datetime.now(UTC), min(seconds, MAX_RETRY_AFTER.total_seconds()))


def jitter(seconds: float) -> float:
    """Return a random part, at most a tenth, of a wait. It spreads the requests of triggers that start together."""
    return seconds * random.uniform(0.0, _MAX_JITTER)  # noqa: S311 (not a secret)


def wait_after(checks: int, poke_interval: float, *, exponential_backoff: bool, max_wait: float | None) -> timedelta:
    """Return the wait before the next check, with jitter.

    :param checks: the number of checks so far. At least 1.
    :param poke_interval: Seconds. With ``exponential_backoff`` it doubles with each check, up to ``max_wait`` seconds.
    :returns: at most :data:`~airflow_provider_angus.model.arguments.LONGEST`.
    """
    exponent = min(checks - 1, _MAX_EXPONENT) if exponential_backoff else 0
    seconds = poke_interval * 2**exponent
    seconds += jitter(seconds)
    longest = LONGEST.total_seconds()
    return timedelta(seconds=min(seconds, longest if max_wait is None else min(max_wait, longest)))


def next_check(
    checks: int,
    poke_interval: float,
    *,
    exponential_backoff: bool = True,
    max_wait: float | None = None,
    retry_at: datetime | None = None,
) -> datetime:
    """Return the moment of the next check: after :func:`wait_after` from now, and not before ``retry_at``."""
    wait = wait_after(checks, poke_interval, exponential_backoff=exponential_backoff, max_wait=max_wait)
    moment = later(datetime.now(UTC), wait)
    return max(moment, later(retry_at, jitter(poke_interval))) if retry_at else moment


async def sleep_until(wake: datetime, deadline: datetime | None = None, *, max_sleep: float = 3600.0) -> bool:
    """Sleep until an instant or a deadline, whichever comes first. Return whether the instant came first.

    :param max_sleep: Seconds. The clock is read again after each sleep of this length, because it may be adjusted.
    """
    until = min(wake, deadline) if deadline else wake
    while (seconds := (until - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 (no event to wait for)
        await asyncio.sleep(min(seconds, max_sleep))
    return until == wake
