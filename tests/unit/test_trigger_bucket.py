"""AngusBucketTrigger, without Airflow's triggerer: it fires once per bucket, in order, and never ends."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from sensors import EVENING

from airflow_provider_angus import _backoff
from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.triggers import AngusBucketTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

SINCE = "2026-11-20T20:15:00+00:00"


pytestmark = pytest.mark.usefixtures("one_attempt")


@pytest.fixture(autouse=True)
def _no_mark_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AngusBucketTrigger, "mark_delay", 0)


def events(
    trigger: AngusBucketTrigger, count: int = 1000, until: Callable[[], bool] = lambda: False
) -> list[dict[str, Any]]:
    """Return the payloads of the first ``count`` events, or of the events before ``until`` returned True."""
    payloads: list[dict[str, Any]] = []

    async def collect() -> None:
        async for event in trigger.run():
            payloads.append(event.payload)
            if len(payloads) == count:
                return

    async def watch() -> None:
        async with asyncio.timeout(60):
            collecting = asyncio.ensure_future(collect())
            while not collecting.done() and not until():  # noqa: ASYNC110 (the sandbox runs in threads)
                await asyncio.sleep(0.01)
            collecting.cancel()
            await asyncio.wait([collecting])

    asyncio.run(watch())
    return payloads


def recreate(trigger: AngusBucketTrigger) -> AngusBucketTrigger:
    """Return the trigger as Airflow recreates it from its database."""
    class_path, arguments = trigger.serialize()
    assert class_path == "airflow_provider_angus.triggers.AngusBucketTrigger"
    return AngusBucketTrigger(**json.loads(json.dumps(arguments)))


class AssetStateStore:
    """The store that Airflow 3.3 gives to triggers of asset watchers; it records what was written."""

    def __init__(self, mark: str | None) -> None:
        self.mark = mark
        self.written: list[str] = []

    async def aget(self, key: str) -> str | None:
        assert key == "angus_bucket_trigger_fired_up_to"
        return self.mark

    async def aset(self, key: str, value: str) -> None:
        assert key == "angus_bucket_trigger_fired_up_to"
        self.mark = value
        self.written.append(value)


@pytest.mark.usefixtures("connection")
def test_bucket_trigger_fires_once_per_bucket_in_order(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    # Three requests find a bucket, two more find none.
    trigger = recreate(AngusBucketTrigger(since=SINCE, poke_interval=0.05))
    assert events(trigger, until=lambda: sandbox.count("entities") >= 5) == [
        {
            "stream": next(iter(sandbox.streams)),
            "time": "by_hour",
            "from_date": f"2026-11-20T{hour}:00:00+00:00",
            "to_date": f"2026-11-20T{hour + 1}:00:00+00:00",
        }
        for hour in (20, 21, 22)
    ]


@pytest.mark.usefixtures("connection")
def test_bucket_trigger_by_day_fires_for_utc_days(sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    fired = events(AngusBucketTrigger(time="by_day", since="2026-11-18T12:00:00+01:00"), count=2)
    assert [(event["from_date"][:10], event["to_date"][:10]) for event in fired] == [
        ("2026-11-18", "2026-11-19"),
        ("2026-11-19", "2026-11-20"),
    ]


@pytest.mark.usefixtures("connection")
def test_bucket_trigger_without_since_starts_now(sandbox: Sandbox) -> None:
    """It starts with the current bucket and sends no request before the bucket has settled."""
    started = monotonic()
    trigger = AngusBucketTrigger(time="by_day", settle=86_400)
    assert events(trigger, until=lambda: monotonic() > started + 0.5) == []
    assert sandbox.count() == 0


@pytest.mark.usefixtures("connection")
def test_bucket_trigger_continues_at_the_stored_mark(sandbox: Sandbox) -> None:
    """The stored mark overrides ``since`` and moves after each event."""
    sandbox.clock.set(EVENING)
    trigger = AngusBucketTrigger(since=SINCE, poke_interval=0.05)
    store = AssetStateStore("2026-11-20T21:00:00+00:00")
    trigger.asset_state_store = store
    fired = events(trigger, until=lambda: sandbox.count("entities") >= 3)
    assert [event["from_date"] for event in fired] == ["2026-11-20T21:00:00+00:00", "2026-11-20T22:00:00+00:00"]
    assert store.written == [f"2026-11-20T{hour}:00:00+00:00" for hour in (21, 22, 23)]


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    "failure",
    [
        {"status": 503},
        {"status": 0},
        {"status": 200, "body": "<html>"},
        {"status": 400, "on": "entities"},
        {"status": 401, "on": "entities"},
        {"status": 400, "on": "token", "body": {"non_field_errors": ["No."]}},
    ],
    ids=["503", "no response", "HTML", "400", "401", "credentials"],
)
def test_bucket_trigger_backs_off_while_the_api_fails(sandbox: Sandbox, failure: dict[str, Any]) -> None:
    sandbox.fail_next(times=1000, **failure)
    started = monotonic()
    trigger = AngusBucketTrigger(since=SINCE, poke_interval=0.02)
    assert events(trigger, until=lambda: monotonic() > started + 0.7) == []
    # The first check, and checks after waits of 0.02, 0.04, 0.08 s ..., of at most two requests per endpoint.
    checks = 1 + math.log2(1 + (monotonic() - started) / 0.02)
    assert 3 <= max(sandbox.count("token"), sandbox.count("entities")) <= 2 * checks


@pytest.mark.usefixtures("connection")
def test_bucket_trigger_keeps_its_bucket_across_failures(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=3)
    (event,) = events(AngusBucketTrigger(since=SINCE, poke_interval=0.01), count=1)
    assert event["from_date"] == "2026-11-20T20:00:00+00:00"


def test_bucket_trigger_finds_an_edited_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit_connection(_: object) -> float:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", sandbox.connection_json())
        return 0

    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(sandbox.connection() | {"host": "http://127.0.0.1:1"}))
    monkeypatch.setattr(AngusHook, "retry_policy", RetryPolicy(attempts=2, backoff=edit_connection))
    (event,) = events(AngusBucketTrigger("shop", since=SINCE, poke_interval=0.01), count=1)
    assert event["from_date"] == "2026-11-20T20:00:00+00:00"


@pytest.mark.usefixtures("connection")
def test_bucket_trigger_waits_for_the_retry_after_of_the_api(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits at most MAX_RETRY_AFTER, also if that is longer than its own back-off."""
    monkeypatch.setattr(_backoff, "MAX_RETRY_AFTER", timedelta(seconds=0.4))
    sandbox.fail_next(503, headers={"Retry-After": "3600"}, on="entities")
    started = monotonic()
    events(AngusBucketTrigger(since=SINCE, poke_interval=0.01), count=1)
    assert 0.4 <= monotonic() - started < 30
    assert sandbox.count("entities") == 2


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("mark", ["yesterday", "", 5, "9999-12-31T23:00:00+00:00"])
def test_bucket_trigger_invalid_mark_starts_at_since(airflow: Airflow, sandbox: Sandbox, mark: Any) -> None:
    trigger = AngusBucketTrigger(since=SINCE)
    trigger.asset_state_store = AssetStateStore(mark)
    (event,) = events(trigger, count=1)
    assert event["from_date"] == "2026-11-20T20:00:00+00:00"
    assert "stored bucket: expected a" in airflow.log
    assert sandbox.count("entities") == 1
