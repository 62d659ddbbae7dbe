"""The sandbox's clock, which determines the data that exists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that shows the real time until :meth:`set` stops it.

    Tokens follow the real time, because clients compare a token's expiry with their own clock.

    Example::

        clock = Clock()
        clock.set(datetime(2026, 11, 21, tzinfo=UTC))
        clock.move(timedelta(minutes=5))
        assert clock.now() == datetime(2026, 11, 21, 0, 5, tzinfo=UTC)
    """

    _stopped_at: datetime | None = None
    _shift = timedelta(0)

    def now(self) -> datetime:
        """Return the sandbox's time, in UTC."""
        return (self._stopped_at or datetime.now(UTC)) + self._shift

    def set(self, moment: datetime) -> None:
        """Stop the clock at a moment.

        :param moment: must have a UTC offset.
        :raises ValueError: ``moment`` has no UTC offset.
        """
        if moment.utcoffset() is None:
            raise ValueError(f"moment: expected a datetime with a UTC offset, got {moment!r}.")
        self._stopped_at, self._shift = moment.astimezone(UTC), timedelta(0)

    def move(self, by: timedelta) -> None:
        """Move the clock, stopped or running.

        :param by: may be negative.
        """
        self._shift += by
