"""Waits between the checks of a trigger."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

_MAX_EXPONENT = 30
_MAX_JITTER = 0.1


def jitter(seconds: float) -> float:
    """Return a random part, at most a tenth, of a wait. It spreads the requests of triggers that start together."""
    return seconds * random.uniform(0.0, _MAX_JITTER)  # noqa: S311 (not a secret)


def wait_after(checks: int, poke_interval: float, *, exponential_backoff: bool, max_wait: float | None) -> timedelta:
    """Return the wait before the next check, with jitter.

    :param checks: the number of checks so far. At least 1.
    :param poke_interval: Seconds. With ``exponential_backoff`` it doubles with each check, up to ``max_wait`` seconds.
    """
    exponent = min(checks - 1, _MAX_EXPONENT) if exponential_backoff else 0
    seconds = poke_interval * 2**exponent
    seconds += jitter(seconds)
    return timedelta(seconds=seconds if max_wait is None else min(seconds, max_wait))


async def sleep_until(wake: datetime, deadline: datetime | None = None, *, max_sleep: float = 3600.0) -> bool:
    """Sleep until an instant or a deadline, whichever comes first. Return whether the instant came first.

    :param max_sleep: Seconds. The clock is read again after each sleep of this length, because it may be adjusted.
    """
    until = min(wake, deadline) if deadline else wake
    while (seconds := (until - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 (no event to wait for)
        await asyncio.sleep(min(seconds, max_sleep))
    return until == wake
