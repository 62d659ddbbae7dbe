"""What time it is in the sandbox, and so which data exists already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """The real time, until it is set. Tokens do not follow it: clients hold them against their own clock."""

    def __init__(self) -> None:
        """Start with the real time."""
        self._frozen: datetime | None = None
        self._shift = timedelta(0)

    def now(self) -> datetime:
        """Return the time in the sandbox, in UTC."""
        return (self._frozen or datetime.now(UTC)) + self._shift

    def set(self, moment: datetime) -> None:
        """Freeze the clock.

        :param moment: the instant it shows from now on; must have a UTC offset.
        :raises ValueError: it has none.
        """
        if moment.utcoffset() is None:
            raise ValueError(f"The clock needs a time with a UTC offset, got {moment!r}.")
        self._frozen, self._shift = moment.astimezone(UTC), timedelta(0)

    def move(self, by: timedelta) -> None:
        """Move the clock, frozen or running.

        :param by: how far; a negative one moves it back.
        """
        self._shift += by
