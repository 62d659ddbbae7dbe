"""The trigger: when it asks, when it says "look again", and that it ends with an event whatever the API does."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus import retrying, triggers
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.triggers import TIMEOUT_MARGIN, AngusEntitiesTrigger, sleep_until, wait_after

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from airflow_runs import Airflow

EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOOK_AGAIN = {"version": 1, "failures": 0, "deadline": None}
JSON = {"code": "no", "message": "No."}

#: When the sandbox answered its calls, by endpoint.
Times = dict[str, list[datetime]]


@pytest.fixture
def times() -> Times:
    return {"token": [], "entities": []}


@pytest.fixture
def sandbox(times: Times) -> Iterator[Sandbox]:
    from airflow_provider_angus.tokens import TOKENS

    TOKENS.clear()
    with Sandbox(on_call=lambda call: times[call.endpoint].append(datetime.now(UTC))) as sandbox:
        yield sandbox


def pauses(times: list[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


@pytest.fixture(autouse=True)
def _one_attempt(connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client give up after one attempt, so that each failure of the API is one of the trigger's."""
    assert connection == "angus_default"
    monkeypatch.setitem(retrying.POLICY, "stop", tenacity.stop_after_attempt(1))


def waiting(**arguments: Any) -> AngusEntitiesTrigger:
    defaults = {
        "angus_conn_id": "angus_default",
        "metrics": "passing_by",
        "time": "by_hour",
        "from_date": "2026-11-20T00:00:00+00:00",
        "to_date": "2026-11-21T00:00:00+00:00",
        "settle": 120.0,
        "poke_interval": 0.01,
        "max_failures": 3,
    }
    return AngusEntitiesTrigger(**defaults | arguments)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run in an event loop of its own; what hangs fails."""
    return asyncio.run(asyncio.wait_for(main, 30))


async def events(trigger: AngusEntitiesTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def at_look(sandbox: Sandbox, look: int, happens: Callable[[], object]) -> None:
    """Let something happen in the sandbox just after this look at its entities has been answered."""
    looks = iter(range(1, look + 1))

    def answered(answer: dict[str, Any]) -> dict[str, Any]:
        if next(looks) == look:
            happens()
        return answer

    sandbox.change_next(answered, times=look, on="entities")


def again(trigger: AngusEntitiesTrigger) -> AngusEntitiesTrigger:
    """Return the trigger as Airflow makes it anew from its database."""
    path, arguments = json.loads(json.dumps(trigger.serialize()))
    module, _, name = path.rpartition(".")
    made = getattr(import_module(module), name)(**arguments)
    assert made.serialize() == (path, arguments)
    return made


# What Airflow keeps of it


def test_what_airflow_keeps_of_it_makes_the_same_trigger_and_is_small_and_no_secret(sandbox: Sandbox) -> None:
    full: dict[str, Any] = {
        "metrics": ["passing_by", "interested", "stop_time", "attention_time", "category", "gender"],
        "interval": 86400.0,
        "minimum": {"passing_by": 1, "gender_female": 2.5},
        "exponential_backoff": True,
        "max_wait": 600.0,
        "failures": 2,
        "first_look": "2026-11-21T00:02:00+00:00",
        "deadline": "2026-11-28T00:00:00+00:00",
    }
    trigger = again(waiting(**full))
    assert isinstance(trigger, AngusEntitiesTrigger)
    kept = json.dumps(trigger.serialize())
    assert set(trigger.serialize()[1]) == set(inspect.signature(AngusEntitiesTrigger).parameters)
    assert len(kept) < 1000
    assert full.items() <= trigger.serialize()[1].items()
    assert not any(secret in kept for secret in (*sandbox.streams, *sandbox.streams.values(), sandbox.username))


def test_a_trigger_that_is_stopped_begins_again_where_it_was(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    trigger = waiting()

    async def restarted() -> list[Any]:
        running = asyncio.ensure_future(events(trigger))
        while sandbox.count("entities") < 2:  # noqa: ASYNC110 (the sandbox has no event for it)
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        asked = sandbox.count("entities")
        await asyncio.sleep(0.05)
        assert sandbox.count("entities") == asked
        sandbox.clock.set(NEXT_DAY)
        return await events(again(trigger))

    assert run(restarted()) == [LOOK_AGAIN]


# When it asks


def test_nothing_is_asked_before_the_interval_is_over_and_settled_and_then_once(sandbox: Sandbox, times: Times) -> None:
    end = datetime.now(UTC) + timedelta(seconds=0.15)
    dates = {"from_date": (end - HOUR).isoformat(), "to_date": end.isoformat()}
    assert run(events(waiting(time="global", settle=0.15, **dates))) == [LOOK_AGAIN]
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]
    assert times["entities"][0] >= end + timedelta(seconds=0.15)


def silent(answer: dict[str, Any]) -> dict[str, Any]:
    for bucket in answer["entities"].values():
        bucket["passing_by"]["value"] = 0
    return answer


def test_a_poke_is_one_call_and_it_fires_when_every_bucket_is_there_and_the_minimum_is_reached(
    sandbox: Sandbox, times: Times, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.clock.set(EVENING)
    # The connection is read once, before the first look.
    at_look(sandbox, 1, lambda: monkeypatch.delenv("AIRFLOW_CONN_ANGUS_DEFAULT"))
    at_look(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    sandbox.change_next(silent, on="entities")
    assert run(events(waiting(poke_interval=0.05, minimum={"passing_by": 1}))) == [LOOK_AGAIN]
    assert [call.endpoint for call in sandbox.calls] == ["token"] + ["entities"] * 4
    assert all(pause >= 0.05 for pause in pauses(times["entities"]))
    asked = sandbox.calls[-1].query
    assert (asked["from_date"], asked["to_date"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")


def test_waits_grow_where_they_are_to(sandbox: Sandbox, times: Times) -> None:
    sandbox.clock.set(EVENING)
    at_look(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    run(events(waiting(poke_interval=0.02, exponential_backoff=True, max_wait=0.06)))
    grown = [0.02, 0.04, 0.06, 0.06]
    assert all(pause >= wait for pause, wait in zip(pauses(times["entities"]), grown, strict=True))


@given(
    looks=st.integers(1, 10_000),
    poke_interval=st.floats(0, 3600),
    exponential_backoff=st.booleans(),
    max_wait=st.none() | st.floats(0, 86_400),
    seed=st.random_module(),
)
def test_a_wait_is_the_poke_interval_doubled_or_not_a_little_more_and_never_above_max_wait(
    *, looks: int, poke_interval: float, exponential_backoff: bool, max_wait: float | None, seed: object
) -> None:
    assert seed  # of the jitter, which is the same each time otherwise
    wait = wait_after(looks, poke_interval, exponential_backoff=exponential_backoff, max_wait=max_wait)
    least = poke_interval * (2 ** min(looks - 1, 30) if exponential_backoff else 1)
    most = least * 1.1
    if max_wait is not None:
        least, most = min(least, max_wait), min(most, max_wait)
    # A timedelta is whole microseconds.
    assert least - 1e-6 <= wait.total_seconds() <= most + 1e-6


def test_triggers_that_begin_together_do_not_go_on_together() -> None:
    assert len({wait_after(1, 60, exponential_backoff=False, max_wait=None) for _ in range(100)}) > 50


# What the API may do


@pytest.mark.parametrize(
    ("order", "asked"),
    [
        ({"status": 400, "on": "token", "body": JSON}, ["token"]),
        ({"status": 401, "on": "token", "body": JSON}, ["token"]),
        ({"status": 400, "on": "entities", "body": JSON}, ["token", "entities"]),
        ({"status": 401, "on": "entities", "body": JSON}, ["token", "entities"] * 2),
        ({"status": 403, "on": "entities", "body": JSON}, ["token", "entities"]),
    ],
)
def test_a_refusal_is_the_worker_s_to_see_at_once(sandbox: Sandbox, order: dict[str, Any], asked: list[str]) -> None:
    sandbox.fail_next(**order, times=20)
    assert run(events(waiting())) == [LOOK_AGAIN]
    assert [call.endpoint for call in sandbox.calls] == asked


TRANSIENT: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 0},
    {"status": 200, "cut": True},
    {"status": 200, "body": "<html>Back soon</html>"},
    {"status": 200, "drip": 5},
]


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize("order", TRANSIENT)
def test_failures_are_a_poke_apart_and_end_so_that_the_worker_s_own_may_be_the_last(
    sandbox: Sandbox, times: Times, monkeypatch: pytest.MonkeyPatch, order: dict[str, Any], endpoint: Any
) -> None:
    given = sandbox.connection()
    quick = given | {"extra": given["extra"] | {"timeout": 0.25 if "drip" in order else 5}}
    monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", json.dumps(quick))
    sandbox.fail_next(**order, times=20, on=endpoint)
    assert run(events(waiting(poke_interval=0.05, max_failures=3))) == [LOOK_AGAIN | {"failures": 2}]
    assert sandbox.count(endpoint) == 3
    assert all(pause >= 0.05 for pause in pauses(times[endpoint]))


def test_failures_of_the_worker_count_and_an_answer_in_between_starts_the_count_again(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=20, on="entities")
    assert run(events(waiting(max_failures=3, failures=2))) == [LOOK_AGAIN | {"failures": 2}]
    assert sandbox.count("entities") == 1


def test_an_answer_in_between_starts_the_count_of_failures_again(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    for _ in range(3):
        sandbox.fail_next(503, times=2, on="entities")
        sandbox.change_next(dict, on="entities")
    sandbox.fail_next(503, on="entities")
    at_look(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert run(events(waiting(max_failures=3))) == [LOOK_AGAIN]
    assert sandbox.count("entities") == 12


# What else ends it


@pytest.mark.parametrize(
    ("ends_in", "first_look", "asks"),
    [(3600, None, False), (-60, None, False), (-3600, "2999-01-01T00:00:00+00:00", False), (-3600, None, True)],
)
def test_it_ends_when_the_sensor_s_time_is_up(
    sandbox: Sandbox, ends_in: float, first_look: str | None, *, asks: bool
) -> None:
    sandbox.clock.set(datetime(2026, 11, 20, tzinfo=UTC))
    deadline = soon(0.2)
    dates = {"from_date": soon(ends_in - 7200), "to_date": soon(ends_in), "deadline": deadline}
    assert run(events(waiting(first_look=first_look, **dates))) == [LOOK_AGAIN | {"deadline": deadline}]
    assert datetime.now(UTC) >= datetime.fromisoformat(deadline)
    assert bool(sandbox.count("entities")) == asks


def test_started_without_a_worker_its_time_is_up_a_little_before_airflow_s(sandbox: Sandbox) -> None:
    trigger = waiting(from_date=soon(-3600), to_date=soon(3600))
    deadline = soon(0.1)
    trigger.timeout_after = datetime.fromisoformat(deadline) + timedelta(seconds=TIMEOUT_MARGIN)
    assert run(events(trigger)) == [LOOK_AGAIN | {"deadline": deadline}]
    assert sandbox.count() == 0


def test_a_long_sleep_is_slept_in_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "_LONGEST_NAP", 0.03)
    wake = datetime.now(UTC) + timedelta(seconds=0.1)
    assert run(sleep_until(wake))
    assert datetime.now(UTC) >= wake
    assert not run(sleep_until(wake + HOUR, deadline=wake))


class Run(SimpleNamespace):
    """The task of a run, as a trigger knows it that starts without a worker."""

    task_id = "wait"

    def get_template_context(self) -> dict[str, Any]:
        return vars(self)


def test_started_without_a_worker_it_waits_for_the_run_s_own_interval(sandbox: Sandbox) -> None:
    trigger = waiting(from_date=None, to_date=None)
    trigger.task_instance = Run(data_interval_start=NEXT_DAY - 48 * HOUR, data_interval_end=NEXT_DAY - 24 * HOUR)
    assert run(events(trigger)) == [LOOK_AGAIN]
    asked = sandbox.calls[-1].query
    assert (asked["from_date"], asked["to_date"]) == ("2026-11-19T00:30:00+00:00", "2026-11-20T00:30:00+00:00")


@pytest.mark.parametrize("dates", [{"from_date": None, "to_date": None}, {"from_date": ""}, {"to_date": None}])
def test_a_run_without_an_interval_is_the_worker_s_to_see_at_once(sandbox: Sandbox, dates: dict[str, Any]) -> None:
    trigger = waiting(**dates)
    trigger.task_instance = Run(data_interval_start=NEXT_DAY, data_interval_end=NEXT_DAY)
    assert run(events(trigger)) == [LOOK_AGAIN]
    assert sandbox.count() == 0


def test_a_connection_that_is_not_there_is_named_at_once(airflow: Airflow, sandbox: Sandbox) -> None:
    assert run(events(waiting(angus_conn_id="nowhere"))) == [LOOK_AGAIN]
    assert "Waiting does not help: There is no connection 'nowhere'" in airflow.log
    assert sandbox.count() == 0


def test_why_it_waits_is_logged_without_secrets(airflow: Airflow, sandbox: Sandbox) -> None:
    secret = sandbox.streams[next(iter(sandbox.streams))]
    sandbox.fail_next(503, on="token", body={"message": f"Not now, {secret}."})
    sandbox.clock.set(EVENING)
    at_look(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert run(events(waiting())) == [LOOK_AGAIN]
    log = airflow.log
    assert "failure 1 of 3 of the API in a row: " in log
    assert "1 bucket (2026-11-20T23:00:00+00:00) is missing" in log
    assert "The data of 2026-11-20T00:00:00+00:00 .. 2026-11-21T00:00:00+00:00 is there." in log
    assert secret not in log
