"""Simulated visitors: a stream and an interval -> counts of people. Deterministic.

People pass at equal distances within an hour. Each has a gender, an age group and durations. So adjacent counts add up,
and always ``interested <= passing_by``, ``female + male + unknown == interested``, the categories fit in the genders,
and ``attention <= stop``.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import shake_128

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Integer microseconds make the counts of adjacent intervals add up exactly.
_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1) // _MICROSECOND

# People per hour in an average shop, from midnight UTC, and the factor of each weekday, from Monday.
_HOURLY_VISITORS = (0.6, 0.5, 0.4, 0.4, 0.4, 0.6, 3, 8, 14, 20, 26, 34, 40, 44, 50, 54, 56, 52, 40, 24, 10, 4, 2, 1)
_WEEKDAY_FACTORS = (0.8, 0.8, 0.9, 0.9, 1.1, 1.5, 0.4)

# Gender and category of 16 typical interested people.
_PEOPLE = (
    *(*[("female", "young_female")] * 5, *[("female", "senior_female")] * 3, ("female",)),
    *(*[("male", "young_male")] * 3, *[("male", "senior_male")] * 2, ("male",), ("unknown",)),
)


def count_people(client_id: str, start: datetime, end: datetime) -> Counter[str]:
    """Return a stream's people in ``[start, end)``: ``passing_by``, ``interested``, genders and categories.

    ``stop`` and ``attention`` are the total times of the interested people, in seconds. All counts are 0 if ``end`` is
    not after ``start``. Both must have a UTC offset. Each client ID, which may be any text, has a shop size of its own.
    """
    first, last = (start - EPOCH) // _MICROSECOND, (end - EPOCH) // _MICROSECOND
    total: Counter[str] = Counter()
    for hour in range(first // _HOUR, -(-last // _HOUR)) if first < last else ():
        total.update(_count_in_hour(client_id, hour, max(first - hour * _HOUR, 0), min(last - hour * _HOUR, _HOUR)))
    return total


# The cache holds the hours of ten years.
@lru_cache(maxsize=2**17)
def _count_in_hour(client_id: str, hour: int, start: int, end: int) -> Counter[str]:
    """Return the counts between two microseconds of an hour. Hours are numbered from the epoch."""
    moment = EPOCH + timedelta(hours=hour)
    digest = shake_128(f"{client_id} {hour}".encode())
    crowd, share = digest.digest(2)
    shop_size = 0.5 + shake_128(client_id.encode()).digest(1)[0] / 256
    visitors = _HOURLY_VISITORS[moment.hour] * _WEEKDAY_FACTORS[moment.weekday()] * shop_size
    passing_by = int(visitors * (0.5 + crowd / 256))
    interested = passing_by * (10 + share % 21) // 100
    first, last = passing_by * start // _HOUR, passing_by * end // _HOUR
    counts = Counter(passing_by=last - first)
    numbers = iter(digest.digest(2 + 3 * interested)[2:])
    for index, (person, stop, attention) in enumerate(zip(numbers, numbers, numbers, strict=True)):
        # Interested people are spread evenly over the people who pass by.
        if first <= (2 * index + 1) * passing_by // (2 * interested) < last:
            seconds = 3 + stop % 28
            counts["interested"] += 1
            counts["stop"] += seconds
            counts["attention"] += 2 + attention % (seconds - 1)
            counts.update(_PEOPLE[person % 16])
    return counts
