"""Helpers for tests of the sensor and its triggers: clock times of the sandbox, and changes at a given request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_angus.sensors import AngusEntitiesSensor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_provider_angus.sandbox import Sandbox

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")

#: The interval of the DAG runs that :meth:`Airflow.run` makes on the schedule ``DAILY``.
DAY = "2026-11-20T00:00:00+00:00 .. 2026-11-21T00:00:00+00:00"

#: Sandbox times at which the day's last bucket is missing, and present.
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)

ONE_RETRY: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}


def wait(**arguments: Any) -> AngusEntitiesSensor:
    """Return a sensor that pokes without pauses for at most 30 seconds."""
    defaults = {"task_id": "wait", "metrics": "passing_by", "time": "by_hour", "poke_interval": 0, "timeout": 30}
    return AngusEntitiesSensor(**defaults | arguments)


def at_request(sandbox: Sandbox, number: int, action: Callable[[], object]) -> None:
    """Call ``action`` at the sandbox's next request for entities with this number, after its response was computed."""
    numbers = iter(range(1, number + 1))

    def unchanged(body: dict[str, Any]) -> dict[str, Any]:
        if next(numbers) == number:
            action()
        return body

    sandbox.change_next(unchanged, times=number, on="entities")


def without_people(body: dict[str, Any]) -> dict[str, Any]:
    """Return the response with ``passing_by`` 0 in each bucket."""
    for bucket in body["entities"].values():
        bucket["passing_by"]["value"] = 0
    return body


class EventTrigger(BaseTrigger):
    """A trigger that fires a given event at once, like a trigger of another version of this package."""

    def __init__(self, event: object) -> None:
        super().__init__()
        self.event = event

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", {"event": self.event}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(self.event)
