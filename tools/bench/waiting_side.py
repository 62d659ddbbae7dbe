"""A thousand triggers in one event loop, in a process of their own, and what they cost it.

Started by waiting.py with the plan as JSON; writes what it measured to a file, for Airflow's log is what it
prints. The triggers are made and run as Airflow's triggerer does it: one after the other, each in a task, until its
first event.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger

#: How often the event loop should let the heart beat, in seconds, and every how many beats memory and threads are read.
BEAT = 0.005
LOOK_EVERY = 20

#: How long the idle loop is watched, in seconds.
IDLE = 2.0

#: Is imported only when a trigger first needs it; what modules take is not what waiting takes. In a triggerer most of
#: them have long been there.
IMPORTED_LATE = {
    "angus": ("airflow_provider_angus.async_client", "airflow_provider_angus.connection", "httpcore"),
    "http": ("airflow.providers.http.hooks.http",),
    "both": (
        "airflow.providers.common.compat.connection",
        "airflow.sdk.execution_time.cache",
        "airflow.sdk.execution_time.supervisor",
        "anyio._backends._asyncio",
        "asgiref.sync",
    ),
}


class Heart:
    """Beats every 5 ms and sees how late the event loop lets it, and how much the process has become.

    Also how much of that the loop computed, for a busy machine makes everybody late.
    """

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.late = self.computed = 0.0
        self.memory = self.threads = 0

    async def beat(self) -> None:
        """Beat until cancelled."""
        beats = 0
        while True:
            wall, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(BEAT)
            late = time.perf_counter() - wall - BEAT
            self.late = max(self.late, late)
            # What was computed before the heart was due made nothing late.
            self.computed = max(self.computed, min(time.thread_time() - cpu, late))
            if beats % LOOK_EVERY == 0:
                self.memory = max(self.memory, self.process.memory_info().rss)
                self.threads = max(self.threads, self.process.num_threads())
            beats += 1


def angus_triggers(plan: dict[str, Any]) -> Callable[[int, datetime], BaseTrigger]:
    """Return what makes the number-th trigger, whose interval has settled at an instant."""
    from airflow_provider_angus.triggers import AngusEntitiesTrigger

    end = datetime.fromisoformat(plan["end"])

    def make(number: int, settled: datetime) -> BaseTrigger:
        # No two of them ask the same, so that the API knows whose call one is.
        hours = 1 + number // plan["streams"]
        return AngusEntitiesTrigger(
            angus_conn_id=f"angus_{number % plan['streams']}",
            metrics="passing_by,interested,gender",
            time="by_hour",
            from_date=(end - timedelta(hours=hours)).isoformat(),
            to_date=end.isoformat(),
            settle=(settled - end).total_seconds(),
            poke_interval=plan["poke_interval"],
            max_failures=5,
        )

    return make


def http_triggers(plan: dict[str, Any]) -> Callable[[int, datetime], BaseTrigger]:
    """Return the same for the HTTP provider's trigger, which knows no interval and looks at once."""
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    def make(number: int, _: datetime) -> BaseTrigger:
        return HttpSensorTrigger(
            endpoint=f"{plan['path']}{number}", http_conn_id="http_bench", poke_interval=plan["poke_interval"]
        )

    return make


async def first_event(trigger: BaseTrigger) -> float:
    """Return when a trigger fired, in seconds since the epoch."""
    async for _ in trigger.run():
        return time.time()
    raise RuntimeError("It ended without an event.")


async def measure(make: Callable[[int, datetime], BaseTrigger], plan: dict[str, Any]) -> dict[str, Any]:
    """Watch the loop idle, then with all triggers in it until they have fired."""
    idle = Heart()
    beating = asyncio.create_task(idle.beat())
    gc.collect()
    await asyncio.sleep(IDLE)
    beating.cancel()

    busy = Heart()
    beating = asyncio.create_task(busy.beat())
    settled = datetime.now(UTC) + timedelta(seconds=plan["settles_after"])
    cpu = time.process_time()
    waits = []
    for number in range(plan["waits"]):
        await asyncio.sleep(0)
        waits.append(asyncio.create_task(first_event(make(number, settled))))
    done, late = await asyncio.wait(waits, timeout=plan["give_up_after"])
    cpu = time.process_time() - cpu
    beating.cancel()
    for wait in late:
        wait.cancel()
    return {
        "fired": sorted(wait.result() for wait in done if not wait.exception()),
        "raised": sorted({repr(wait.exception()) for wait in done if wait.exception()}),
        "settled": settled.timestamp(),
        "cpu": cpu,
        "memory": busy.memory - idle.memory,
        "threads": busy.threads,
        "late": busy.late,
        "computed": busy.computed,
    }


def main() -> int:
    """Measure the side that the plan names."""
    plan = json.loads(sys.argv[1])
    for module in (*IMPORTED_LATE["both"], *IMPORTED_LATE[plan["side"]]):
        importlib.import_module(module)
    make = (angus_triggers if plan["side"] == "angus" else http_triggers)(plan)
    Path(plan["result"]).write_text(json.dumps(asyncio.run(measure(make, plan))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
