"""Run 1,000 triggers in one event loop and write their cost: a process of ``waiting.py``.

The triggers run as in Airflow's triggerer: created one after the other, each in a task, until its first event.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger

#: Seconds between two beats, and beats between two measurements of memory and threads.
BEAT, BEATS_PER_SAMPLE = 0.005, 20

#: Seconds for which the idle loop is measured.
IDLE = 2.0

#: Modules that are imported on first use. Import time is not waiting time, and most triggerers have imported them.
LAZY_IMPORTS = {
    "angus": ("airflow_provider_angus.api.async_client", "httpcore"),
    "http": ("airflow.providers.http.hooks.http",),
    "both": (
        "airflow.providers.common.compat.connection",
        "airflow.sdk.execution_time.cache",
        "airflow.sdk.execution_time.supervisor",
        "anyio._backends._asyncio",
        "asgiref.sync",
    ),
}


class CollectorClock:
    """Measures the pauses of Python's garbage collector, in seconds."""

    def __init__(self) -> None:
        self.total = self.longest = self._started = 0.0
        gc.callbacks.append(self._measure)

    def _measure(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._started = time.thread_time()
        else:
            pause = time.thread_time() - self._started
            self.total += pause
            self.longest = max(self.longest, pause)


class Monitor:
    """Beats every 5 ms and measures how late the loop is, and how much of that is work of the loop's thread."""

    def __init__(self, collector: CollectorClock) -> None:
        self._collector = collector
        self._process = psutil.Process()
        self.work: list[float] = []
        self.lag = 0.0
        self.memory = self.threads = 0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            wall, cpu, collected = time.perf_counter(), time.thread_time(), self._collector.total
            await asyncio.sleep(BEAT)
            lag = time.perf_counter() - wall - BEAT
            self.lag = max(self.lag, lag)
            # A busy machine delays the loop as well, without work of this thread.
            work = time.thread_time() - cpu - (self._collector.total - collected)
            self.work.append(max(0.0, min(work, lag)))
            if len(self.work) % BEATS_PER_SAMPLE == 0:
                self.memory = max(self.memory, self._process.memory_info().rss)
                self.threads = max(self.threads, self._process.num_threads())


def angus_triggers(plan: dict[str, Any]) -> Callable[[int, datetime], BaseTrigger]:
    """Return a factory of triggers by number and settled time."""
    from airflow_provider_angus.triggers import AngusEntitiesTrigger

    end = datetime.fromisoformat(plan["end"])

    def create(number: int, settled: datetime) -> BaseTrigger:
        # Intervals differ, so that the API can tell the triggers apart.
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

    return create


def http_triggers(plan: dict[str, Any]) -> Callable[[int, datetime], BaseTrigger]:
    """Return a factory of the HTTP provider's triggers, which know no interval."""
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    def create(number: int, _: datetime) -> BaseTrigger:
        return HttpSensorTrigger(
            endpoint=f"{plan['path']}{number}", http_conn_id="http_bench", poke_interval=plan["poke_interval"]
        )

    return create


async def first_event(trigger: BaseTrigger) -> float:
    """Return the time of a trigger's first event, in seconds since the epoch."""
    async for _ in trigger.run():
        return time.time()
    raise RuntimeError("The trigger ended without an event.")


async def measure(create: Callable[[int, datetime], BaseTrigger], plan: dict[str, Any]) -> dict[str, Any]:
    """Measure the idle loop, then the loop with all triggers until their events."""
    collector = CollectorClock()
    idle = Monitor(collector)
    monitoring = asyncio.create_task(idle.run())
    gc.collect()
    await asyncio.sleep(IDLE)
    monitoring.cancel()

    collector.longest = 0.0
    busy = Monitor(collector)
    monitoring = asyncio.create_task(busy.run())
    settled = datetime.now(UTC) + timedelta(seconds=plan["settles_after"])
    cpu = time.process_time()
    waits = []
    for number in range(plan["waits"]):
        await asyncio.sleep(0)
        waits.append(asyncio.create_task(first_event(create(number, settled))))
    done, pending = await asyncio.wait(waits, timeout=plan["timeout"])
    cpu = time.process_time() - cpu
    monitoring.cancel()
    for wait in pending:
        wait.cancel()
    return {
        "fired": sorted(wait.result() for wait in done if not wait.exception()),
        "raised": sorted({repr(wait.exception()) for wait in done if wait.exception()}),
        "settled": settled.timestamp(),
        "cpu": cpu,
        "memory": busy.memory - idle.memory,
        "threads": busy.threads,
        "work_p99": statistics.quantiles(busy.work, n=100)[98],
        "work_max": max(busy.work),
        "gc_max": collector.longest,
        "lag_max": busy.lag,
    }


def main() -> int:
    """Run the plan."""
    plan = json.loads(sys.argv[1])
    for module in (*LAZY_IMPORTS["both"], *LAZY_IMPORTS[plan["kind"]]):
        importlib.import_module(module)
    create = (angus_triggers if plan["kind"] == "angus" else http_triggers)(plan)
    Path(plan["result"]).write_text(json.dumps(asyncio.run(measure(create, plan))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
