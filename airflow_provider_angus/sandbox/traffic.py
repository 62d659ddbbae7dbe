"""Who came to the made-up shop: stream and hour -> people. Pure, and the same answer every time.

People pass at even distances through their hour, and each has a gender, an age and times of their own. So the
counts of parts add up to those of the whole, and in every part ``interested <= passing_by``,
``female + male + unknown == interested``, the categories fit in the genders, and ``attention <= stop``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import shake_128
from operator import add
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Microseconds: whole numbers, so that parts add up exactly.
_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1) // _MICROSECOND

# People per hour in a shop of middling size, from midnight UTC, and what a day from Monday on makes of them.
_DAY = (0.6, 0.5, 0.4, 0.4, 0.4, 0.6, 3, 8, 14, 20, 26, 34, 40, 44, 50, 54, 56, 52, 40, 24, 10, 4, 2, 1)
_WEEK = (0.8, 0.8, 0.9, 0.9, 1.1, 1.5, 0.4)

# How many, of 16 who stop, count as (female, male, unknown gender, and the four categories).
_KINDS = (
    *[(1, 0, 0, 0, 0, 1, 0)] * 5,
    *[(1, 0, 0, 1, 0, 0, 0)] * 3,
    *[(1, 0, 0, 0, 0, 0, 0)] * 1,
    *[(0, 1, 0, 0, 0, 0, 1)] * 3,
    *[(0, 1, 0, 0, 1, 0, 0)] * 2,
    *[(0, 1, 0, 0, 0, 0, 0)] * 1,
    *[(0, 0, 1, 0, 0, 0, 0)] * 1,
)


class Counts(NamedTuple):
    """What a camera counted in a stretch of time; all of it adds up. ``stop`` and ``attention``: seconds."""

    passing_by: int = 0
    interested: int = 0
    stop: int = 0
    attention: int = 0
    female: int = 0
    male: int = 0
    unknown: int = 0
    senior_female: int = 0
    senior_male: int = 0
    young_female: int = 0
    young_male: int = 0


def count(client_id: str, start: datetime, end: datetime) -> Counts:
    """Return what the camera of a stream counted; zeros where ``end`` is not after ``start``.

    :param client_id: the stream; any text is a shop of its own size.
    :param start: the first instant, with a UTC offset.
    :param end: the first instant that does not count any more, with a UTC offset.
    """
    first, last = (start - EPOCH) // _MICROSECOND, (end - EPOCH) // _MICROSECOND
    total = Counts()
    if first < last:
        for hour in range(first // _HOUR, -(-last // _HOUR)):
            part = _count(client_id, hour, max(first - hour * _HOUR, 0), min(last - hour * _HOUR, _HOUR))
            total = Counts._make(map(add, total, part))
    return total


# Room for the hours of ten years, so that asking again is quick.
@lru_cache(maxsize=2**17)
def _count(client_id: str, hour: int, start: int, end: int) -> Counts:
    """Return the counts between two microseconds of an hour, which is numbered from the epoch."""
    moment = EPOCH + timedelta(hours=hour)
    dice = shake_128(f"{client_id} {hour}".encode())
    crowd, share = dice.digest(2)
    passing_by = int(_DAY[moment.hour] * _WEEK[moment.weekday()] * _size(client_id) * (0.5 + crowd / 256))
    interested = passing_by * (10 + share % 21) // 100
    first, last = passing_by * start // _HOUR, passing_by * end // _HOUR
    rolls = iter(dice.digest(2 + 3 * interested)[2:])
    stopped = []
    for number, (kind, stop, look) in enumerate(zip(rolls, rolls, rolls, strict=True)):
        # Who stops is spread evenly over who passes.
        if first <= (2 * number + 1) * passing_by // (2 * interested) < last:
            seconds = 3 + stop % 28
            stopped.append((1, seconds, 2 + look % (seconds - 1), *_KINDS[kind % 16]))
    return Counts(last - first, *map(sum, zip(*stopped, strict=True)))


@lru_cache
def _size(client_id: str) -> float:
    return 0.5 + shake_128(client_id.encode()).digest(1)[0] / 256
