"""AngusEntitiesTrigger, without Airflow's triggerer: when it sends requests, and when it signals."""

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
from sensors import DAY, EVENING, NEXT_DAY, at_request, without_people

from airflow_provider_angus import _backoff
from airflow_provider_angus.api.auth import SHARED_TOKENS
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.triggers import TIMEOUT_MARGIN, AngusEntitiesTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_runs import Airflow

HOUR = timedelta(hours=1)
SIGNAL = {"version": 1, "failures": 0, "deadline": None}
REFUSAL = {"code": "no", "message": "No."}

pytestmark = pytest.mark.usefixtures("connection", "one_attempt")

#: When the sandbox sent its responses, by endpoint.
Times = dict[str, list[datetime]]


@pytest.fixture
def times() -> Times:
    return {"token": [], "entities": []}


@pytest.fixture
def sandbox(times: Times) -> Iterator[Sandbox]:
    SHARED_TOKENS.clear()
    with Sandbox(on_call=lambda call: times[call.endpoint].append(datetime.now(UTC))) as sandbox:
        yield sandbox


def make_trigger(**arguments: Any) -> AngusEntitiesTrigger:
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


def recreate(trigger: AngusEntitiesTrigger) -> AngusEntitiesTrigger:
    """Return the trigger as Airflow recreates it from its database."""
    path, arguments = json.loads(json.dumps(trigger.serialize()))
    module, _, name = path.rpartition(".")
    recreated = getattr(import_module(module), name)(**arguments)
    assert recreated.serialize() == (path, arguments)
    return recreated


async def collect(trigger: AngusEntitiesTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def events(trigger: AngusEntitiesTrigger) -> list[Any]:
    return asyncio.run(asyncio.wait_for(collect(trigger), 30))


def pauses(times: list[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


def from_now(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


# Serialization


def test_trigger_serialize_is_small_and_holds_no_secret(sandbox: Sandbox) -> None:
    arguments: dict[str, Any] = {
        "metrics": ["passing_by", "interested", "stop_time", "attention_time", "category", "gender"],
        "interval": 86400.0,
        "minimum": {"passing_by": 1, "gender_female": 2.5},
        "exponential_backoff": True,
        "max_wait": 600.0,
        "failures": 2,
        "first_check": "2026-11-21T00:02:00+00:00",
        "deadline": "2026-11-28T00:00:00+00:00",
    }
    path, stored = recreate(make_trigger(**arguments)).serialize()
    assert path == "airflow_provider_angus.triggers.AngusEntitiesTrigger"
    assert set(stored) == set(inspect.signature(AngusEntitiesTrigger).parameters)
    assert len(json.dumps(stored)) < 1000
    assert arguments.items() <= stored.items()
    secrets = (*sandbox.streams, *sandbox.streams.values(), sandbox.username)
    assert not any(secret in json.dumps(stored) for secret in secrets)


def test_trigger_restarted_continues_waiting(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    trigger = make_trigger()

    async def restart() -> list[Any]:
        running = asyncio.ensure_future(collect(trigger))
        while sandbox.count("entities") < 2:  # noqa: ASYNC110 (the sandbox runs in threads)
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        requests = sandbox.count("entities")
        await asyncio.sleep(0.05)
        assert sandbox.count("entities") == requests
        sandbox.clock.set(NEXT_DAY)
        return await collect(recreate(trigger))

    assert asyncio.run(asyncio.wait_for(restart(), 30)) == [SIGNAL]


# Requests


def test_trigger_sends_no_request_before_the_interval_settled(sandbox: Sandbox, times: Times) -> None:
    end = datetime.now(UTC) + timedelta(seconds=0.15)
    dates = {"from_date": (end - HOUR).isoformat(), "to_date": end.isoformat()}
    assert events(make_trigger(time="global", settle=0.15, **dates)) == [SIGNAL]
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]
    assert times["entities"][0] >= end + timedelta(seconds=0.15)


def test_trigger_check_is_one_request(sandbox: Sandbox, times: Times, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trigger signals when every bucket is present and the minimum is reached. It reads the connection once."""
    sandbox.clock.set(EVENING)
    at_request(sandbox, 1, lambda: monkeypatch.delenv("AIRFLOW_CONN_ANGUS_DEFAULT"))
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    sandbox.change_next(without_people, on="entities")
    assert events(make_trigger(poke_interval=0.05, minimum={"passing_by": 1})) == [SIGNAL]
    assert [call.endpoint for call in sandbox.calls] == ["token"] + ["entities"] * 4
    assert all(pause >= 0.05 for pause in pauses(times["entities"]))
    query = sandbox.calls[-1].query
    assert (query["from_date"], query["to_date"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")


def test_trigger_exponential_backoff_grows_to_max_wait(sandbox: Sandbox, times: Times) -> None:
    sandbox.clock.set(EVENING)
    at_request(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    events(make_trigger(poke_interval=0.02, exponential_backoff=True, max_wait=0.06))
    expected = [0.02, 0.04, 0.06, 0.06]
    assert all(pause >= wait for pause, wait in zip(pauses(times["entities"]), expected, strict=True))


# API failures


@pytest.mark.parametrize(
    ("failure", "requests"),
    [
        ({"status": 400, "on": "token", "body": REFUSAL}, ["token"]),
        ({"status": 401, "on": "token", "body": REFUSAL}, ["token"]),
        ({"status": 400, "on": "entities", "body": REFUSAL}, ["token", "entities"]),
        ({"status": 401, "on": "entities", "body": REFUSAL}, ["token", "entities"] * 2),
        ({"status": 403, "on": "entities", "body": REFUSAL}, ["token", "entities"]),
    ],
)
def test_trigger_refused_request_signals_at_once(
    sandbox: Sandbox, failure: dict[str, Any], requests: list[str]
) -> None:
    sandbox.fail_next(**failure, times=20)
    assert events(make_trigger()) == [SIGNAL]
    assert [call.endpoint for call in sandbox.calls] == requests


TRANSIENT_FAILURES: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 0},
    {"status": 200, "cut": True},
    {"status": 200, "body": "<html>Back soon</html>"},
    {"status": 200, "drip": 5},
]


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize("failure", TRANSIENT_FAILURES)
def test_trigger_signals_after_max_failures(
    sandbox: Sandbox, times: Times, monkeypatch: pytest.MonkeyPatch, failure: dict[str, Any], endpoint: Any
) -> None:
    """Failures are a poke interval apart. The event leaves the last failure to the worker."""
    connection = sandbox.connection()
    connection["extra"]["timeout"] = 0.25 if "drip" in failure else 5
    monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", json.dumps(connection))
    sandbox.fail_next(**failure, times=20, on=endpoint)
    assert events(make_trigger(poke_interval=0.05, max_failures=3)) == [SIGNAL | {"failures": 2}]
    assert sandbox.count(endpoint) == 3
    assert all(pause >= 0.05 for pause in pauses(times[endpoint]))


def test_trigger_counts_the_failures_of_the_worker(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=20, on="entities")
    assert events(make_trigger(max_failures=3, failures=2)) == [SIGNAL | {"failures": 2}]
    assert sandbox.count("entities") == 1


def test_trigger_success_resets_the_failure_count(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    for _ in range(3):
        sandbox.fail_next(503, times=2, on="entities")
        sandbox.change_next(dict, on="entities")
    sandbox.fail_next(503, on="entities")
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert events(make_trigger(max_failures=3)) == [SIGNAL]
    assert sandbox.count("entities") == 12


def test_trigger_missing_connection_signals_at_once(airflow: Airflow, sandbox: Sandbox) -> None:
    assert events(make_trigger(angus_conn_id="unknown")) == [SIGNAL]
    assert "Waiting cannot help; checking from the worker: Connection 'unknown'" in airflow.log
    assert sandbox.count() == 0


# Retry-After


def test_trigger_sends_no_request_before_retry_after(
    sandbox: Sandbox, times: Times, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_backoff, "MAX_RETRY_AFTER", timedelta(seconds=0.3))
    sandbox.fail_next(503, headers={"Retry-After": "3600"}, on="entities")
    assert events(make_trigger()) == [SIGNAL]
    (pause,) = pauses(times["entities"])
    assert pause >= 0.3


def test_trigger_sends_no_request_before_retry_at(sandbox: Sandbox, times: Times) -> None:
    """The worker got the Retry-After."""
    retry_at = from_now(0.3)
    assert events(make_trigger(retry_at=retry_at)) == [SIGNAL]
    assert times["entities"][0] >= datetime.fromisoformat(retry_at)
    (event,) = events(make_trigger(retry_at="2999-01-01T00:00:00+00:00", deadline=from_now(0.1)))
    assert event["retry_at"] == "2999-01-01T00:00:00+00:00"
    assert sandbox.count("entities") == 1


def test_trigger_max_failures_signals_after_retry_after(
    sandbox: Sandbox, times: Times, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker repeats the last request, so the trigger leaves it the time of the next request."""
    monkeypatch.setattr(_backoff, "MAX_RETRY_AFTER", timedelta(seconds=0.3))
    sandbox.fail_next(429, headers={"Retry-After": "3600"}, on="entities")
    assert events(make_trigger(max_failures=1)) == [SIGNAL]
    assert datetime.now(UTC) - times["entities"][0] >= timedelta(seconds=0.3)


@pytest.mark.parametrize("max_failures", [1, 2])
def test_trigger_deadline_before_retry_after_tells_the_worker(sandbox: Sandbox, max_failures: int) -> None:
    sandbox.fail_next(503, headers={"Retry-After": "600"}, on="entities")
    (event,) = events(make_trigger(deadline=from_now(0.2), max_failures=max_failures))
    assert timedelta(minutes=9) < datetime.fromisoformat(event["retry_at"]) - datetime.now(UTC) < timedelta(minutes=11)
    assert sandbox.count("entities") == 1


# Deadline


@pytest.mark.parametrize(
    ("end", "first_check", "sends_requests"),
    [(3600, None, False), (-60, None, False), (-3600, "2999-01-01T00:00:00+00:00", False), (-3600, None, True)],
)
def test_trigger_signals_at_the_deadline(
    sandbox: Sandbox, end: float, first_check: str | None, *, sends_requests: bool
) -> None:
    sandbox.clock.set(datetime(2026, 11, 20, tzinfo=UTC))
    deadline = from_now(0.2)
    dates = {"from_date": from_now(end - 7200), "to_date": from_now(end), "deadline": deadline}
    assert events(make_trigger(first_check=first_check, **dates)) == [SIGNAL | {"deadline": deadline}]
    assert datetime.now(UTC) >= datetime.fromisoformat(deadline)
    assert bool(sandbox.count("entities")) == sends_requests


def test_trigger_without_worker_signals_before_the_timeout(sandbox: Sandbox) -> None:
    trigger = make_trigger(from_date=from_now(-3600), to_date=from_now(3600))
    deadline = from_now(0.1)
    trigger.timeout_after = datetime.fromisoformat(deadline) + timedelta(seconds=TIMEOUT_MARGIN)
    assert events(trigger) == [SIGNAL | {"deadline": deadline}]
    assert sandbox.count() == 0


# Interval of a trigger that started its task


class TaskInstance(SimpleNamespace):
    """The task instance that the triggerer gives to a trigger that started its task."""

    task_id = "wait"

    def get_template_context(self) -> dict[str, Any]:
        return vars(self)


def test_trigger_without_dates_uses_the_data_interval(sandbox: Sandbox) -> None:
    trigger = make_trigger(from_date=None, to_date=None)
    start, end = NEXT_DAY - 48 * HOUR, NEXT_DAY - 24 * HOUR
    trigger.task_instance = TaskInstance(data_interval_start=start, data_interval_end=end)
    assert events(trigger) == [SIGNAL]
    query = sandbox.calls[-1].query
    assert (query["from_date"], query["to_date"]) == (start.isoformat(), end.isoformat())


@pytest.mark.parametrize("dates", [{"from_date": None, "to_date": None}, {"from_date": ""}, {"to_date": None}])
def test_trigger_without_interval_signals_at_once(sandbox: Sandbox, dates: dict[str, Any]) -> None:
    trigger = make_trigger(**dates)
    trigger.task_instance = TaskInstance(data_interval_start=NEXT_DAY, data_interval_end=NEXT_DAY)
    assert events(trigger) == [SIGNAL]
    assert sandbox.count() == 0


# Log


def test_trigger_log_has_reasons_without_secrets(airflow: Airflow, sandbox: Sandbox) -> None:
    secret = sandbox.streams[next(iter(sandbox.streams))]
    sandbox.fail_next(503, on="token", body={"message": f"Not now, {secret}."})
    sandbox.clock.set(EVENING)
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert events(make_trigger()) == [SIGNAL]
    log = airflow.log
    assert f"Data of {DAY} is not available yet: API failure 1 of 3 in a row: " in log
    assert f"Data of {DAY} is not available yet: missing 1 bucket (2026-11-20T23:00:00+00:00)" in log
    assert f"Data of {DAY} is available." in log
    assert secret not in log
