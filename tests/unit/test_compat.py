"""Each name outside Airflow's public API that ``_compat.py`` uses still exists, or the test fails."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from threading import Event
from types import SimpleNamespace
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, BaseOperator, redact
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.triggers import base
from airflow_versions import AIRFLOW, AIRFLOW_3, only_airflow_3, only_airflow_3_3

from airflow_provider_angus._compat import (
    HAS_PARTITIONS,
    HAS_RETRY_POLICIES,
    STARTS_FROM_TRIGGER,
    amask_secret,
    event_trigger_class,
    is_asset,
    mask_secret,
    retry_policy_class,
    schedule_timezone,
)

PARIS = "Europe/Paris"

# schedule_timezone


@pytest.mark.parametrize(
    ("timetable", "dag_timezone"),
    [
        (SimpleNamespace(timezone=PARIS), "UTC"),
        (SimpleNamespace(_timezone=PARIS), "UTC"),
        (SimpleNamespace(timezone=PARIS, _timezone="UTC"), "UTC"),
        (SimpleNamespace(timezone=None, _timezone=None), PARIS),
        (SimpleNamespace(), PARIS),
        (None, PARIS),
    ],
    ids=["public", "private", "both", "empty", "no timezone", "no timetable"],
)
def test_schedule_timezone_is_timetables_or_dags(timetable: Any, dag_timezone: str) -> None:
    dag = SimpleNamespace(timetable=timetable, timezone=dag_timezone)
    assert schedule_timezone({"dag": dag}) == PARIS


@pytest.mark.parametrize("context", [{}, {"dag": None}, {"dag": SimpleNamespace()}])
def test_schedule_timezone_without_dag_is_utc(context: dict[str, Any]) -> None:
    assert schedule_timezone(context) == "UTC"


@pytest.mark.parametrize("timezone", [PARIS, ZoneInfo(PARIS)], ids=["text", "ZoneInfo"])
def test_schedule_timezone_reads_private_name_of_cron_timetable(timezone: Any) -> None:
    timetable = CronDataIntervalTimetable("@daily", timezone=timezone)
    with DAG("paris", schedule=timetable, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        assert str(schedule_timezone({"dag": dag})) == PARIS
    assert timetable._timezone == schedule_timezone({"dag": dag})  # noqa: SLF001 (the name that _compat.py reads)


@pytest.mark.parametrize("schedule", ["@daily", DeltaDataIntervalTimetable(timedelta(days=1))], ids=["cron", "delta"])
def test_schedule_timezone_of_start_date_applies_to_schedule(schedule: Any) -> None:
    with DAG("paris", schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo(PARIS))) as dag:
        assert schedule_timezone({"dag": dag}).name == PARIS


# is_asset


def test_is_asset_single_asset_is_true() -> None:
    assert is_asset(Asset(uri="angus://shop/entities"))


@pytest.mark.parametrize("outlet", [None, "angus://shop/entities", {"uri": "angus://shop/entities"}, object()])
def test_is_asset_other_object_is_false(outlet: object) -> None:
    assert not is_asset(outlet)


@only_airflow_3
@pytest.mark.parametrize("arguments", [{"name": "shop"}, {"uri": "angus://shop/entities"}], ids=["name", "uri"])
def test_is_asset_reference_is_true(arguments: dict[str, str]) -> None:
    reference = Asset.ref(**arguments)
    assert is_asset(reference)
    assert isinstance(reference, import_module("airflow.sdk.definitions.asset").AssetRef)


@only_airflow_3
def test_is_asset_group_or_alias_is_false() -> None:
    from airflow.sdk import AssetAlias

    shop = Asset(uri="angus://shop/entities")
    assert [is_asset(outlet) for outlet in (AssetAlias("shops"), shop | shop, shop & shop)] == [False] * 3


# amask_secret, event_trigger_class, retry_policy_class, STARTS_FROM_TRIGGER, HAS_PARTITIONS


def test_amask_secret_masks_secret_in_logs() -> None:
    asyncio.run(amask_secret("b8d1-secret-5c1e"))
    assert redact("token b8d1-secret-5c1e") == "token ***"


@only_airflow_3
def test_mask_secret_of_threads_calls_supervisor_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3.0 and 3.1 do not lock the connection to the supervisor."""
    from airflow.sdk.execution_time import task_runner

    class Supervisor:
        """Records how many calls are in progress."""

        calls = 0
        at_once: ClassVar[list[int]] = []

        def send(self, msg: object) -> None:  # noqa: ARG002 (Airflow passes it by name)
            self.calls += 1
            self.at_once.append(self.calls)
            other_thread.wait(0.02)
            self.calls -= 1

    other_thread = Event()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(mask_secret, [f"secret-of-thread-{number}" for number in range(16)]))
    assert Supervisor.at_once == [1] * 16


@only_airflow_3_3
def test_amask_secret_exists_in_airflow() -> None:
    assert inspect.iscoroutinefunction(import_module("airflow.sdk.log").amask_secret)


def test_event_trigger_class_is_base_event_trigger() -> None:
    """Airflow 2 has no asset watchers."""
    assert event_trigger_class().__name__ == ("BaseEventTrigger" if AIRFLOW_3 else "BaseTrigger")
    assert issubclass(event_trigger_class(), base.BaseTrigger)


def test_starts_from_trigger_is_true_since_3_3() -> None:
    assert STARTS_FROM_TRIGGER is (AIRFLOW >= (3, 3))


def test_retry_policy_class_is_airflows_since_3_3() -> None:
    assert HAS_RETRY_POLICIES is hasattr(BaseOperator, "has_retry_policy")
    assert retry_policy_class().__name__ == ("RetryPolicy" if HAS_RETRY_POLICIES else "object")


def test_has_partitions_is_true_since_3_3() -> None:
    context = import_module("airflow.sdk.execution_time.context") if AIRFLOW_3 else None
    assert HAS_PARTITIONS is hasattr(getattr(context, "OutletEventAccessor", None), "add_partitions")
