"""Differences between Airflow versions. The only module that checks versions or uses names outside the public API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow import __version__ as _version
from airflow.providers.common.compat import sdk

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy
    from airflow.triggers.base import BaseTrigger

#: Held during calls that Airflow sends to the supervisor of a task. Airflow 3.0 and 3.1 do not lock the connection to
#: the supervisor, so a thread could read the response to another thread.
SUPERVISOR_LOCK = threading.Lock()

_AIRFLOW_3_3 = tuple(map(int, _version.split(".")[:2])) >= (3, 3)

#: Whether a trigger that starts a task has access to the task's DAG run: Airflow 3.3 and later.
STARTS_FROM_TRIGGER = _AIRFLOW_3_3

#: Whether tasks have a ``retry_policy``: Airflow 3.3 and later.
HAS_RETRY_POLICIES = _AIRFLOW_3_3

#: Whether a task can emit asset events of partitions: Airflow 3.3 and later.
HAS_PARTITIONS = _AIRFLOW_3_3


def is_asset(outlet: object) -> bool:
    """Return whether a task's outlet is a single asset, or refers to a single asset by name or URI (Airflow 3)."""
    from airflow.providers.common.compat.sdk import Asset

    try:
        # Not exported by airflow.sdk, although the public Asset.ref() returns it.
        from airflow.sdk.definitions.asset import AssetRef
    except ImportError:
        return isinstance(outlet, Asset)
    return isinstance(outlet, Asset | AssetRef)


def schedule_timezone(context: Mapping[str, Any]) -> Any:
    """Return the time zone of a DAG run's schedule, or that of its DAG; UTC if the context has neither."""
    dag = context.get("dag")
    timetable = getattr(dag, "timetable", None)
    zones = (
        getattr(timetable, "timezone", None),
        getattr(timetable, "_timezone", None),  # Airflow 2.11's cron timetables have no public attribute
        getattr(dag, "timezone", None),
    )
    return next(filter(None, zones), "UTC")


def mask_secret(secret: str) -> None:
    """Mask a secret in logs, from any thread."""
    with SUPERVISOR_LOCK:
        sdk.mask_secret(secret)


async def amask_secret(secret: str) -> None:
    """Mask a secret in logs without blocking the event loop. :func:`mask_secret` blocks it."""
    try:
        # Not exported by airflow.sdk, which exports only the blocking mask_secret.
        from airflow.sdk.log import amask_secret as amask
    except ImportError:
        await asyncio.to_thread(mask_secret, secret)
    else:
        await amask(secret)


def event_trigger_class() -> type[BaseTrigger]:
    """Return the base class for triggers of asset watchers, or ``BaseTrigger`` on Airflow 2.11, which has none."""
    from airflow.triggers import base

    return getattr(base, "BaseEventTrigger", base.BaseTrigger)


def retry_policy_class() -> type[RetryPolicy]:
    """Return the base class for retry policies of tasks, or ``object`` before Airflow 3.3, which has none."""
    if not HAS_RETRY_POLICIES:
        return cast("type[RetryPolicy]", object)
    from airflow.sdk import RetryPolicy

    return RetryPolicy
