"""``AngusEntitiesTrigger``: the sensor's question, asked in the triggerer.

A trigger never decides: it says "look again", and the worker's look decides, so that errors keep their class and
``timeout``, ``soft_fail`` and retries mean what they mean in poke mode. It ends with an event whatever the API does,
since Airflow turns what a trigger raises into an error without a class.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_angus.availability import settled_at, why_not_yet
from airflow_provider_angus.exceptions import AngusError, AngusResponseError, AngusUnavailableError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.interval import run_interval

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_angus.async_client import AngusAsyncClient
    from airflow_provider_angus.interval import Interval

#: The version of the event that :class:`AngusEntitiesTrigger` sends; a worker believes no other.
EVENT_VERSION = 1

#: How much longer Airflow waits for a trigger than the trigger waits, in seconds: its own time-out has other meanings.
TIMEOUT_MARGIN = 60.0

_LONGEST_NAP = 3600.0
_LARGEST_EXPONENT = 30

#: By how much of the poke interval looks are spread.
_JITTER = 0.1

_ARGUMENTS = (
    "angus_conn_id",
    "metrics",
    "time",
    "from_date",
    "to_date",
    "interval",
    "window",
    "minimum",
    "settle",
    "poke_interval",
    "exponential_backoff",
    "max_wait",
    "max_failures",
    "failures",
    "first_look",
    "deadline",
)


class AngusEntitiesTrigger(BaseTrigger):
    """Wait until a worker should look again whether the data of an interval is there.

    That is when it seems to be there, when it will not get better by waiting (refused credentials, ``max_failures``),
    and when the sensor's time is up. Arguments are kept in clear in Airflow's database: names and dates, no secret.

    :param angus_conn_id: an Airflow connection of type ``angus``.
    :param metrics: names of metrics, or one text with commas between them.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :param from_date: ISO 8601, the interval's start; None when started without a worker: the run's own interval.
    :param to_date: ISO 8601, the interval's end, which does not belong to it; None as above.
    :param interval: seconds that a run covers which has no interval of its own, or None.
    :param window: seconds of the interval that are asked for at a time, or None.
    :param minimum: see :class:`~airflow_provider_angus.sensors.AngusEntitiesSensor`.
    :param settle: seconds after the interval's end in which its data may still change.
    :param poke_interval: seconds between two looks.
    :param exponential_backoff: whether each wait is twice as long as the one before.
    :param max_wait: seconds that a wait may have grown to, or None.
    :param max_failures: how many failures of the API in a row are borne.
    :param failures: how many there have been.
    :param first_look: ISO 8601, not to look before; None: as soon as the interval has settled.
    :param deadline: ISO 8601, when the sensor's time is up; None when started without a worker: what Airflow says.
    """

    def __init__(
        self,
        *,
        angus_conn_id: str,
        metrics: str | list[str],
        time: str,
        from_date: str | None = None,
        to_date: str | None = None,
        interval: float | None = None,
        window: float | None = None,
        minimum: dict[str, float] | None = None,
        settle: float,
        poke_interval: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        max_failures: int,
        failures: int = 0,
        first_look: str | None = None,
        deadline: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.angus_conn_id = angus_conn_id
        self.metrics = metrics
        self.time = time
        self.from_date = from_date
        self.to_date = to_date
        self.interval = interval
        self.window = window
        self.minimum = minimum
        self.settle = settle
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.max_failures = max_failures
        self.failures = failures
        self.first_look = first_look
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow keeps them in its database."""
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in _ARGUMENTS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when a worker should look again.

        ``{"version": 1, "failures": how many in a row, "deadline": ISO 8601 or None}``
        """
        try:
            await self._until_worth_a_look()
        except (AngusUnavailableError, AngusResponseError) as error:
            self.log.warning("Giving up after %s failures of the API in a row: %s", self.failures, error)
            # The worker's own look is the one that may fail as the last.
            self.failures -= 1
        except AngusError as error:
            self.log.warning("Waiting does not help: %s", error)
        deadline = self._own_deadline()
        event = {
            "version": EVENT_VERSION,
            "failures": self.failures,
            "deadline": deadline and deadline.isoformat(),
        }
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _until_worth_a_look(self) -> None:
        interval, deadline = self._asked_interval(), self._own_deadline()
        wake = settled_at(interval, timedelta(seconds=self.settle))
        if self.first_look:
            wake = max(wake, datetime.fromisoformat(self.first_look))
        if wake > datetime.now(UTC):
            # A thousand sensors of one interval would all take their first look in one instant.
            wake += timedelta(seconds=self.poke_interval * random.uniform(0.0, _JITTER))  # noqa: S311 (no secret)
        client = None
        looks = 0
        while await sleep_until(wake, deadline):
            # Read once, for a thousand triggers that read it at each look would keep Airflow's database busy.
            client = client or await AngusHook(self.angus_conn_id).get_async_conn()
            reason = await self._why_not_yet(client, interval)
            if not reason:
                self.log.info("The data of %s is there.", interval)
                return
            self.log.info("Not yet: %s: %s", interval, reason)
            looks += 1
            wake = datetime.now(UTC) + wait_after(
                looks, self.poke_interval, exponential_backoff=self.exponential_backoff, max_wait=self.max_wait
            )
        self.log.info("The sensor's time is up.")

    async def _why_not_yet(self, client: AngusAsyncClient, interval: Interval) -> str | None:
        try:
            window = None if self.window is None else timedelta(seconds=self.window)
            rows = await client.get_entities(self.metrics, interval, self.time, window)
        except (AngusUnavailableError, AngusResponseError) as error:
            self.failures += 1
            if self.failures >= self.max_failures:
                raise
            return f"failure {self.failures} of {self.max_failures} of the API in a row: {error}"
        self.failures = 0
        return why_not_yet(rows, interval, self.time, self.minimum)

    def _asked_interval(self) -> Interval:
        # Started without a worker, it is the trigger that knows the run.
        run: Any = self.task_instance
        context = run.get_template_context() if self.from_date is None else {}
        interval = None if self.interval is None else timedelta(seconds=self.interval)
        return run_interval(context, from_date=self.from_date, to_date=self.to_date, interval=interval)

    def _own_deadline(self) -> datetime | None:
        if self.deadline:
            return datetime.fromisoformat(self.deadline)
        timeout_after: datetime | None = getattr(self, "timeout_after", None)
        return timeout_after and timeout_after - timedelta(seconds=TIMEOUT_MARGIN)


def wait_after(looks: int, poke_interval: float, *, exponential_backoff: bool, max_wait: float | None) -> timedelta:
    """Return how long to wait after so many looks, with a little jitter: what began together does not go on together.

    :param looks: how many there have been, at least one.
    :param poke_interval: seconds between two looks.
    :param exponential_backoff: whether each wait is twice as long as the one before.
    :param max_wait: seconds that a wait may have grown to, or None.
    """
    exponent = min(looks - 1, _LARGEST_EXPONENT) if exponential_backoff else 0
    seconds = poke_interval * 2**exponent * random.uniform(1.0, 1.0 + _JITTER)  # noqa: S311 (no secret depends on it)
    return timedelta(seconds=seconds if max_wait is None else min(seconds, max_wait))


async def sleep_until(wake: datetime, deadline: datetime | None = None) -> bool:
    """Sleep until an instant, or until the deadline where that comes first; return whether it was the former."""
    until = min(wake, deadline) if deadline else wake
    # In naps, because a clock that is set meanwhile does not change a sleep under way.
    while (seconds := (until - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 (no event to await)
        await asyncio.sleep(min(seconds, _LONGEST_NAP))
    return until == wake
