"""How a long range is asked for in parts: windows that end on bucket edges, one after the other. Pure.

The API page documents no maximum range and tells to assume that there is one. So a range that is refused as too long is
asked for in halves, down to one bucket, and so is a long one that is not answered in time. As every cut is a bucket's
edge, each bucket is of one window alone, and the windows' rows are those of the whole. ``global`` is never cut: its
means do not add up.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_angus.entities import BUCKET_LENGTHS, bucket_at
from airflow_provider_angus.exceptions import AngusError, AngusRequestError, AngusUnavailableError
from airflow_provider_angus.interval import Interval

if TYPE_CHECKING:
    from datetime import datetime

#: A range of no more buckets is not halved when it is not answered in time: it is not its length that takes the time.
SHORT = 100

#: How often a range is halved for a time-out: a server that is away answers no shorter one either.
TIMES_OUT = 2

_RANGE = re.compile(r"range|period|interval|span|window|dates?\b|days?\b|hours?\b|buckets?\b|results?\b", re.IGNORECASE)
_EXCESS = re.compile(
    r"\b(too (long|large|big|wide|many|much)|exceed\w*|max(imum)?|limit\w*|longer|larger|(at most|more than) \d+)\b",
    re.IGNORECASE,
)
_OTHER = re.compile(r"\b(requests?|calls?|rate|quota|metrics?)\b", re.IGNORECASE)


def check_window(window: object) -> None:
    """Refuse what is no length of a window.

    :param window: a positive ``timedelta``, or None.
    :raises AngusRequestError: it is something else.
    """
    if window is not None and (not isinstance(window, timedelta) or window <= timedelta(0)):
        raise AngusRequestError(f"window must be a timedelta longer than zero, got {window!r}.")


def says_too_long(words: str) -> bool:
    """Return whether a refusal's words speak of a range that is too long: ``range_too_long``, ``at most 31 days``.

    :param words: the code and message of an answer with 400.
    """
    words = re.sub(r"\b(from|to) date\b", "", words.replace("_", " "), flags=re.IGNORECASE)
    return not _OTHER.search(words) and bool(_RANGE.search(words) and _EXCESS.search(words))


class Windows:
    """The windows of an interval, one after the other; those that are still to come can be made shorter.

    :param interval: half-open, in UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :param window: how long they are at most, rounded down to whole buckets but one bucket at least; None: as the
        interval. Of no effect for ``global``.
    :raises AngusRequestError: ``window`` is no positive ``timedelta``.
    """

    def __init__(self, interval: Interval, time: str, window: timedelta | None = None) -> None:
        check_window(window)
        self._end, self._time, self._length = interval.end, time, BUCKET_LENGTHS[time]
        self._buckets = None if window is None or self._length is None else max(1, window // self._length)
        self._times_out = 0
        self.now = self._from(interval.start)

    @property
    def last(self) -> bool:
        """Whether nothing comes after the window."""
        return self.now.end == self._end

    def go_on(self) -> None:
        """Go on to the window after this one."""
        self.now = self._from(self.now.end)

    def shorten(self, error: AngusError) -> bool:
        """Halve the window, and so all that come after it, where an error says that this may help.

        :param error: what came of asking for the window.
        :returns: whether it is shorter now.
        """
        if self._length is None:
            return False
        buckets = -((bucket_at(self.now.start, self._time).start - self.now.end) // self._length)
        if isinstance(error, AngusUnavailableError):
            long = error.timed_out and buckets > SHORT and self._times_out < TIMES_OUT
            self._times_out += long
        else:
            long = isinstance(error, AngusRequestError) and error.range_too_long and buckets > 1
        if long:
            self._buckets = (buckets + 1) // 2
            self.now = self._from(self.now.start)
        return long

    def _from(self, start: datetime) -> Interval:
        if self._buckets is None or self._length is None:
            return Interval(start, self._end)
        begin = bucket_at(start, self._time).start
        if self._end - begin <= self._buckets * self._length:
            return Interval(start, self._end)
        return Interval(start, begin + self._buckets * self._length)
