"""1,000 waits in one triggerer: our trigger and the HTTP provider's.

Each kind of trigger runs in a process of its own (``waiting_process.py``). The API is a sandbox in this process. It
takes a second to respond, and the data appears after every trigger has sent two requests. The HTTP provider's trigger
cannot log in and does not read responses, so it polls a URL that is 404 until then.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import HOME, environment
from report import Table, verdict

from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.sandbox.api import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_angus.sandbox.api import Incoming

# Seconds.
LATENCY = 1.0
POKE_INTERVAL = 10.0
SETTLES_AFTER = 5.0
TIMEOUT = 180.0

WAITS = 1000
STREAMS = 20
FILES = 4096

#: All intervals end here.
END = datetime(2026, 11, 21, tzinfo=UTC)
HTTP_PATH = "there/"

MIB = 2**20

NOTES = (
    f"The API takes {LATENCY:g} s to respond. Work per loop iteration is the CPU time of the loop's thread without "
    "pauses of Python's garbage collector. HttpSensorTrigger cannot log in and knows no interval: it polls a URL that "
    "is 404 until the data is available."
)


class Api:
    """A sandbox with an extra URL for clients that cannot log in, and the times of all requests."""

    def __init__(self) -> None:
        #: Request times by client, in seconds since the epoch; token requests have the key "".
        self.requests: defaultdict[str, list[float]] = defaultdict(list)
        streams = {f"stream-{number}": f"secret-{number}" for number in range(STREAMS)}
        self.sandbox = Sandbox(latency=LATENCY, streams=streams, on_request=self._record)
        self.sandbox.clock.set(END - timedelta(hours=1))

    def _record(self, request: Incoming, reply: Reply) -> Reply:
        if request.path.startswith(f"/{HTTP_PATH}"):
            reply = Reply.from_json(200 if self.sandbox.clock.now() > END else 404, {})
        client = f"{reply.client_id} {request.path} {request.query.get('from_date')}"
        self.requests["" if request.endpoint == "token" else client].append(time.time())
        return reply

    def all_received(self, times: int) -> bool:
        """Return whether every trigger has sent this many requests."""
        waits = [calls for client, calls in self.requests.copy().items() if client]
        return len(waits) == WAITS and all(len(calls) >= times for calls in waits)


@dataclass(frozen=True)
class Result:
    """The measurements of one process, the time when the data appeared, and the times of all requests."""

    measured: dict[str, Any]
    appeared: float
    tokens: list[float]
    waits: list[list[float]]

    @property
    def too_early(self) -> int:
        """The number of triggers that fired before the data appeared."""
        return sum(fired <= self.appeared for fired in self.measured["fired"])

    @property
    def complete(self) -> bool:
        """Whether all triggers fired, none of them too early."""
        return len(self.measured["fired"]) == WAITS and not self.too_early

    @property
    def delay(self) -> float:
        """The seconds from the appearance of the data to the last event."""
        return self.measured["fired"][-1] - self.appeared

    @property
    def calls(self) -> int:
        """The number of requests without token requests."""
        return sum(map(len, self.waits))

    @property
    def unsettled_calls(self) -> int:
        """The number of requests before the interval had settled."""
        return sum(call < self.measured["settled"] for calls in (self.tokens, *self.waits) for call in calls)

    @property
    def calls_per_poke(self) -> int:
        """The maximum number of requests of one wait within one poke interval."""
        return max(sum(0 <= call - first < POKE_INTERVAL for call in calls) for calls in self.waits for first in calls)


def tables() -> list[Table]:
    """Run both processes and return the table. End the benchmark if a trigger did not fire."""
    HOME.mkdir(exist_ok=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FILES:
        # The HTTP provider's trigger opens a connection per wait.
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if hard < 0 else min(FILES, hard), hard))
    angus, http = measure("angus"), measure("http")
    for name, result in (("AngusEntitiesTrigger", angus), ("HttpSensorTrigger", http)):
        if not result.complete:
            raised = ", ".join(result.measured["raised"]) or "nothing"
            fired = len(result.measured["fired"])
            sys.exit(f"{name}: {fired} of {WAITS} fired, {result.too_early} of them too early. Raised: {raised}.")
    return [table(angus, http)]


def measure(kind: str) -> Result:
    """Run one process against an API of its own and return the result."""
    result = HOME / f"{kind}.json"
    plan = {
        "kind": kind,
        "result": str(result),
        "waits": WAITS,
        "streams": STREAMS,
        "end": END.isoformat(),
        "path": HTTP_PATH,
        "poke_interval": POKE_INTERVAL,
        "settles_after": SETTLES_AFTER,
        "timeout": TIMEOUT,
    }
    command = [sys.executable, Path(__file__).with_name("waiting_process.py"), json.dumps(plan)]
    api = Api()
    with api.sandbox, (HOME / f"{kind}.log").open("w") as log:
        process = subprocess.Popen(command, env=environment(connections(api.sandbox)), stdout=log, stderr=log)
        try:
            end = time.monotonic() + TIMEOUT / 2
            while process.poll() is None and time.monotonic() < end and not api.all_received(times=2):
                time.sleep(0.1)
            appeared = time.time()
            api.sandbox.clock.set(END + timedelta(hours=1))
            # The process ends itself after TIMEOUT. This is for a process that hangs.
            code = process.wait(timeout=2 * TIMEOUT)
        finally:
            process.kill()
        if code:
            sys.exit(f"The process ended with exit code {code}; its log is {log.name}.")
        tokens = api.requests.pop("", [])
        return Result(json.loads(result.read_text()), appeared, tokens, list(api.requests.values()))


def connections(sandbox: Sandbox) -> dict[str, str]:
    """Return the connections to the sandbox."""
    return {
        f"AIRFLOW_CONN_ANGUS_{number}": sandbox.connection_json(name) for number, name in enumerate(sandbox.streams)
    } | {"AIRFLOW_CONN_HTTP_BENCH": json.dumps({"conn_type": "http", "host": sandbox.url})}


def table(angus: Result, http: Result) -> Table:
    """Return the measurements, and whether ours meet their bounds."""

    def milliseconds(name: str) -> Callable[[Result], float]:
        return lambda result: result.measured[name] * 1000

    rows: list[tuple[str, Callable[[Result], float], str, float | None]] = [
        ("from the data's appearance to the last event", lambda result: result.delay, ".1f s", 5 + POKE_INTERVAL),
        ("token requests", lambda result: len(result.tokens), ",d", STREAMS),
        ("other requests", lambda result: result.calls, ",d", None),
        ("requests before the interval had settled", lambda result: result.unsettled_calls, ",d", 0),
        ("requests of one wait per poke interval", lambda result: result.calls_per_poke, ",d", 1),
        ("own work per loop iteration, p99", milliseconds("work_p99"), ".1f ms", 50),
        ("own work per loop iteration, maximum", milliseconds("work_max"), ".0f ms", None),
        ("longest pause of Python's garbage collector", milliseconds("gc_max"), ".0f ms", None),
        ("loop lag, maximum", milliseconds("lag_max"), ".0f ms", None),
        ("threads", lambda result: result.measured["threads"], ",d", 10),
        ("memory over the idle loop", lambda result: result.measured["memory"] / MIB, ".0f MiB", 60),
        ("CPU time", lambda result: result.measured["cpu"], ".1f s", None),
    ]
    title = f"{WAITS:,} waits for data of {STREAMS} streams in one event loop, poke interval {POKE_INTERVAL:g} s"
    table = Table(title, ["", "AngusEntitiesTrigger", "bound", "HttpSensorTrigger"], NOTES)
    for name, value, shape, bound in rows:
        number, _, unit = shape.partition(" ")
        ours, theirs = (f"{value(result):{number}} {unit}".strip() for result in (angus, http))
        table.add(name, ours, "" if bound is None else verdict(value(angus), bound, unit), theirs)
    return table
