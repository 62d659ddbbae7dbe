"""The trigger of an asset watcher: each bucket once, in order, whatever the API does."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from airflow_runs import AIRFLOW_3

if not AIRFLOW_3:
    pytest.skip("asset watchers came with Airflow 3", allow_module_level=True)

from airflow_provider_angus import retrying, watchers
from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError
from airflow_provider_angus.watchers import AngusBucketTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_angus.sandbox import Sandbox

EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
SINCE = "2026-11-20T20:15:00+00:00"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "MARK_DELAY", 0)
    monkeypatch.setitem(retrying.POLICY, "stop", tenacity.stop_after_attempt(1))


def events(
    trigger: AngusBucketTrigger, count: int = 1000, until: Callable[[list[Any]], bool] = lambda _: False
) -> list[dict[str, Any]]:
    """Return the payloads of so many events, or of those that have come when something is so."""
    payloads: list[dict[str, Any]] = []

    async def collect() -> None:
        async for event in trigger.run():
            payloads.append(event.payload)
            if len(payloads) == count:
                return

    async def watched() -> None:
        async with asyncio.timeout(60):
            collecting = asyncio.ensure_future(collect())
            while not collecting.done() and not until(payloads):  # noqa: ASYNC110 (what happens elsewhere)
                await asyncio.sleep(0.01)
            collecting.cancel()
            await asyncio.wait([collecting])

    asyncio.run(watched())
    return payloads


def again(trigger: AngusBucketTrigger) -> AngusBucketTrigger:
    """Return the trigger as Airflow makes it again from what it keeps in its database."""
    classpath, arguments = trigger.serialize()
    assert classpath == "airflow_provider_angus.watchers.AngusBucketTrigger"
    return AngusBucketTrigger(**json.loads(json.dumps(arguments)))


@pytest.mark.usefixtures("connection")
def test_each_bucket_that_is_there_is_fired_for_once_and_in_order(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    # Three looks find something, and two more that there is no more.
    fired = events(
        again(AngusBucketTrigger(since=SINCE, poke_interval=0.05)), until=lambda _: sandbox.count("entities") >= 5
    )
    stream = next(iter(sandbox.streams))
    assert fired == [
        {
            "stream": stream,
            "time": "by_hour",
            "from_date": f"2026-11-20T{hour}:00:00+00:00",
            "to_date": f"2026-11-20T{hour + 1}:00:00+00:00",
        }
        for hour in (20, 21, 22)
    ]


@pytest.mark.usefixtures("connection")
def test_days_are_fired_for_as_well(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    fired = events(AngusBucketTrigger(time="by_day", since="2026-11-18T12:00:00+01:00"), count=2)
    assert [(each["from_date"][:10], each["to_date"][:10]) for each in fired] == [
        ("2026-11-18", "2026-11-19"),
        ("2026-11-19", "2026-11-20"),
    ]


@pytest.mark.usefixtures("connection")
def test_without_since_it_begins_with_the_current_bucket_and_asks_nothing_before_its_end(sandbox: Sandbox) -> None:
    began = monotonic()
    trigger = AngusBucketTrigger(time="by_day", settle=86_400)
    assert events(trigger, until=lambda _: monotonic() > began + 0.5) == []
    assert sandbox.count() == 0


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503},
        {"status": 0},
        {"status": 200, "body": "<html>"},
        {"status": 400, "on": "entities"},
        {"status": 401, "on": "entities"},
        {"status": 400, "on": "token", "body": {"non_field_errors": ["No."]}},
    ],
    ids=["503", "no answer", "HTML", "400", "401", "credentials"],
)
def test_trouble_neither_ends_it_nor_makes_it_spin(sandbox: Sandbox, trouble: dict[str, Any]) -> None:
    sandbox.fail_next(times=1000, **trouble)
    began = monotonic()
    trigger = AngusBucketTrigger(since=SINCE, poke_interval=0.02)
    assert events(trigger, until=lambda _: sandbox.count() >= 6) == []
    # Waits of 0.02, 0.04, 0.08 s ... between looks that are at most two tokens and two questions each.
    assert sandbox.count() <= 4 * (2 + math.log2(1 + (monotonic() - began) / 0.02))


@pytest.mark.usefixtures("connection")
def test_it_goes_on_with_the_same_bucket_when_the_trouble_is_over(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=3)
    (fired,) = events(AngusBucketTrigger(since=SINCE, poke_interval=0.01), count=1)
    assert fired["from_date"] == "2026-11-20T20:00:00+00:00"


def test_a_connection_that_is_made_later_is_found(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_it_then(state: object) -> float:  # noqa: ARG001 (a wait of tenacity's)
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(sandbox.connection()))
        return 0

    broken = sandbox.connection() | {"host": "http://127.0.0.1:1"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(broken))
    monkeypatch.setitem(retrying.POLICY, "stop", tenacity.stop_after_attempt(2))
    monkeypatch.setitem(retrying.POLICY, "wait", make_it_then)
    (fired,) = events(AngusBucketTrigger("shop", since=SINCE, poke_interval=0.01), count=1)
    assert fired["from_date"] == "2026-11-20T20:00:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"time": "global"}, AngusRequestError, "by_hour or by_day"),
        ({"time": "by_week"}, AngusRequestError, "by_hour, by_day"),
        ({"metrics": "visitors"}, AngusRequestError, "one or more of"),
        ({"since": "yesterday"}, AngusIntervalError, "not an ISO 8601 date"),
        ({"since": "2026-11-20T20:00:00"}, AngusIntervalError, "no UTC offset"),
    ],
)
def test_what_is_always_wrong_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        AngusBucketTrigger(**arguments)
