"""What a thousand waits cost a triggerer, with the HTTP provider's trigger beside ours.

Each side runs in a process of its own (waiting_side.py). The API is a sandbox in this one, which takes a second
to answer and in which the data appears when every trigger has been told twice that it is not there. The HTTP
provider's trigger cannot log in and reads no answer, so it gets what it can do: an address that is 404 until then.
The numbers are for a person: a bound that is missed is said and is no failure, a trigger that did not fire is one.
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

from report import Table, verdict
from sides import HOME, environment

from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.sandbox.api import json_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_angus.sandbox.api import Answer, Request

# In seconds.
LATENCY = 1.0
POKE_INTERVAL = 10.0
SETTLES_AFTER = 5.0
GIVE_UP_AFTER = 180.0

WAITS = 1000
STREAMS = 20
FILES = 4096

#: The waits are for hours before this instant.
END = datetime(2026, 11, 21, tzinfo=UTC)
HTTP_PATH = "there/"

MIB = 2**20

NOTES = (
    f'The API takes {LATENCY:g} s to answer. "Computed" is what the loop\'s thread did itself: other processes of a '
    "busy machine make a loop late without it. HttpSensorTrigger cannot log in and knows no interval: it asks at once "
    "for an address that is 404 until the data is there."
)


class Api(Sandbox):
    """The sandbox, with an address for those who cannot log in, and a memory of who asked when."""

    def __init__(self) -> None:
        #: Who asked -> when, in seconds since the epoch; the asker of all tokens is "". Known once it is answered.
        self.asked: defaultdict[str, list[float]] = defaultdict(list)
        super().__init__(latency=LATENCY, streams={f"stream-{number}": f"secret-{number}" for number in range(STREAMS)})
        self.clock.set(END - timedelta(hours=1))

    def _answer(self, request: Request) -> Answer:
        came, there = time.time(), self.clock.now() > END
        answer = super()._answer(request)
        if request.path.startswith(f"/{HTTP_PATH}"):
            answer = json_answer(200 if there else 404, {})
        who = f"{answer.client_id} {request.path} {request.query.get('from_date')}"
        self.asked["" if request.endpoint == "token" else who].append(came)
        return answer

    def has_answered_all(self, times: int) -> bool:
        """Return whether every trigger has been answered this often."""
        waits = [calls for who, calls in self.asked.copy().items() if who]
        return len(waits) == WAITS and all(len(calls) >= times for calls in waits)


@dataclass(frozen=True)
class Seen:
    """What one side did: what its process measured, when the data appeared, and who asked the API when."""

    measured: dict[str, Any]
    appeared: float
    tokens: list[float]
    waits: list[list[float]]

    @property
    def too_early(self) -> int:
        """How many triggers fired before the data was there."""
        return sum(fired <= self.appeared for fired in self.measured["fired"])

    @property
    def complete(self) -> bool:
        """Whether all triggers fired, and none too early."""
        return len(self.measured["fired"]) == WAITS and not self.too_early

    @property
    def took(self) -> float:
        """How long after the data appeared the last trigger fired, in seconds."""
        return self.measured["fired"][-1] - self.appeared

    @property
    def calls(self) -> int:
        """How many calls there were, those for tokens aside."""
        return sum(map(len, self.waits))

    @property
    def unsettled_calls(self) -> int:
        """How many calls of any kind came before they could be of use."""
        return sum(call < self.measured["settled"] for calls in (self.tokens, *self.waits) for call in calls)

    @property
    def calls_per_poke(self) -> int:
        """How many calls one wait made within one poke interval, at most."""
        return max(sum(0 <= call - first < POKE_INTERVAL for call in calls) for calls in self.waits for first in calls)


def tables() -> list[Table]:
    """Run both sides and return the table; ends the benchmark where a trigger did not fire."""
    HOME.mkdir(exist_ok=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FILES:
        # The HTTP provider's side opens a connection for each wait; the limit holds for both ends.
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES if hard < 0 else min(FILES, hard), hard))
    angus, http = watch("angus"), watch("http")
    for name, seen in (("AngusEntitiesTrigger", angus), ("HttpSensorTrigger", http)):
        if not seen.complete:
            raised = ", ".join(seen.measured["raised"]) or "nothing"
            fired = len(seen.measured["fired"])
            sys.exit(f"{name}: {fired} of {WAITS} fired, {seen.too_early} of them too early. Raised: {raised}.")
    return [table(angus, http)]


def watch(side: str) -> Seen:
    """Run one side against an API of its own and return what was seen."""
    result = HOME / f"{side}.json"
    plan = {
        "side": side,
        "result": str(result),
        "waits": WAITS,
        "streams": STREAMS,
        "end": END.isoformat(),
        "path": HTTP_PATH,
        "poke_interval": POKE_INTERVAL,
        "settles_after": SETTLES_AFTER,
        "give_up_after": GIVE_UP_AFTER,
    }
    command = [sys.executable, Path(__file__).with_name("waiting_side.py"), json.dumps(plan)]
    with Api() as api, (HOME / f"{side}.log").open("w") as log:
        process = subprocess.Popen(command, env=environment(connections(api)), stdout=log, stderr=log)
        try:
            give_up = time.monotonic() + GIVE_UP_AFTER / 2
            while process.poll() is None and time.monotonic() < give_up and not api.has_answered_all(times=2):
                time.sleep(0.1)
            appeared = time.time()
            api.clock.set(END + timedelta(hours=1))
            # The process gives up by itself; should it hang, that is its end.
            code = process.wait(timeout=2 * GIVE_UP_AFTER)
        finally:
            process.kill()
        if code:
            sys.exit(f"The process ended with exit code {code}, see {log.name}.")
        tokens = api.asked.pop("", [])
        return Seen(json.loads(result.read_text()), appeared, tokens, list(api.asked.values()))


def connections(api: Api) -> dict[str, str]:
    """Return the connections of a side to the API."""
    return {f"AIRFLOW_CONN_ANGUS_{number}": api.connection_json(name) for number, name in enumerate(api.streams)} | {
        "AIRFLOW_CONN_HTTP_BENCH": json.dumps({"conn_type": "http", "host": api.url})
    }


def table(angus: Seen, http: Seen) -> Table:
    """Return what was measured, and of our side whether it is within its bounds."""

    def milliseconds(name: str) -> Callable[[Seen], float]:
        return lambda seen: seen.measured[name] * 1000

    rows: list[tuple[str, Callable[[Seen], float], str, float | None]] = [
        ("from the data there to all fired", lambda seen: seen.took, ".1f s", 5 + POKE_INTERVAL),
        ("calls for tokens", lambda seen: len(seen.tokens), ",d", STREAMS),
        ("other calls", lambda seen: seen.calls, ",d", None),
        ("calls before the interval had settled", lambda seen: seen.unsettled_calls, ",d", 0),
        ("calls of one wait per poke interval", lambda seen: seen.calls_per_poke, ",d", 1),
        ("event loop blocked, longest", milliseconds("late"), ".0f ms", 50),
        ("computed meanwhile, longest", milliseconds("computed"), ".0f ms", None),
        ("threads", lambda seen: seen.measured["threads"], ",d", 10),
        ("memory over the idle loop", lambda seen: seen.measured["memory"] / MIB, ".0f MiB", 60),
        ("CPU time", lambda seen: seen.measured["cpu"], ".1f s", None),
    ]
    title = f"{WAITS:,} waits for data of {STREAMS} streams in one event loop, a look every {POKE_INTERVAL:g} s"
    table = Table(title, ["", "AngusEntitiesTrigger", "bound", "HttpSensorTrigger"], NOTES, in_readme=True)
    for name, value, shape, bound in rows:
        number, _, unit = shape.partition(" ")
        ours, theirs = (f"{value(seen):{number}} {unit}".strip() for seen in (angus, http))
        table.add(name, ours, "" if bound is None else verdict(value(angus), bound, unit), theirs)
    return table
