"""The arguments of AngusEntitiesSensor, checked when Airflow parses the DAG."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from sensors import wait

from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"metrics": "visitors"}, AngusRequestError, "metrics: expected one or more of passing_by.*got str 'visitors'"),
        ({"time": "by_week"}, AngusRequestError, "time: expected one of by_hour, by_day, global, got str 'by_week'"),
        ({"from_date": "2026-11-20"}, AngusIntervalError, "to_date: expected a date"),
        ({"minimum": {"interested": 1}}, AngusRequestError, "adds* up over .*passing_by.*got str 'interested'"),
        ({"metrics": "stop_time", "minimum": {"stop_time": 1}}, AngusRequestError, "none.*got str 'stop_time'"),
        ({"minimum": {"passing_by": "1"}}, AngusRequestError, "expected a finite number, got str '1'"),
        ({"minimum": {"passing_by": True}}, AngusRequestError, "expected a finite number, got bool True"),
        ({"minimum": {"passing_by": 10**5000}}, AngusRequestError, "expected a finite number, got int"),
        ({"minimum": {"passing_by": float("nan")}}, AngusRequestError, "expected a finite number, got float nan"),
        ({"minimum": 5, "metrics": "{{ params.metrics }}"}, AngusRequestError, "minimum: expected .*got int 5"),
        ({"settle": 120}, AngusRequestError, "settle: expected a timedelta of at least 0, got int 120"),
        ({"settle": timedelta(-1)}, AngusRequestError, "settle: expected a timedelta of at least 0, got timedelta -1"),
        ({"window": 120}, AngusRequestError, "window: expected a positive timedelta, got int 120"),
        ({"max_failures": 0}, AngusRequestError, "max_failures: expected an integer from 1 to 1000000, got int 0"),
        ({"max_failures": True}, AngusRequestError, "max_failures: expected an integer .* got bool True"),
        ({"angus_conn_id": ["a", "b"]}, AngusRequestError, "angus_conn_id: expected one connection.* Map the sensor"),
        ({"angus_conn_id": {"a"}}, AngusRequestError, "angus_conn_id: expected one connection.* Map the sensor"),
        ({"angus_conn_id": None}, AngusRequestError, "angus_conn_id: expected a connection ID, got None"),
        ({"deferrable": "yes"}, AngusRequestError, "deferrable: expected True or False, got str 'yes'"),
        ({"start_from_trigger": None}, AngusRequestError, "start_from_trigger: expected True or False, got None"),
    ],
)
def test_sensor_rejects_invalid_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wait(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"timeout": timedelta.max},
        {"poke_interval": timedelta.max},
        {"max_wait": timedelta.max, "exponential_backoff": True},
        {"settle": timedelta.max},
        {"window": timedelta.max},
        {"interval": timedelta.max},
        {"window": pendulum.duration(months=1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("start_from_trigger", [False, True])
def test_sensor_accepts_endless_waits(arguments: dict[str, Any], *, start_from_trigger: bool) -> None:
    """The dates of a deferral fit into Airflow's database."""
    sensor = wait(deferrable=True, start_from_trigger=start_from_trigger, **arguments)
    context: Any = {
        "ti": SimpleNamespace(start_date=datetime.now(UTC), map_index=-1),
        "data_interval_start": datetime.now(UTC),
        "data_interval_end": datetime.now(UTC) + timedelta(days=1),
    }
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute_complete(context)
    for timeout in (deferred.value.timeout, getattr(sensor.start_trigger_args, "timeout", timedelta(0))):
        assert timeout < timedelta(days=3660)
