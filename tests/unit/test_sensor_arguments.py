"""The arguments of AngusEntitiesSensor, checked when Airflow parses the DAG."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pendulum
import pytest
from sensors import wait

from airflow_provider_angus._compat import STARTS_FROM_TRIGGER
from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"metrics": "visitors"}, AngusRequestError, "must be one or more of passing_by"),
        ({"time": "by_week"}, AngusRequestError, "by_hour, by_day, global"),
        ({"from_date": "2026-11-20"}, AngusIntervalError, "without to_date"),
        ({"minimum": {"interested": 1}}, AngusRequestError, "'interested'.* adds up over .*: passing_by"),
        ({"metrics": "stop_time", "minimum": {"stop_time": 1}}, AngusRequestError, "one of: none"),
        ({"minimum": {"passing_by": "1"}}, AngusRequestError, "must be a number, got '1'"),
        ({"settle": 120}, AngusRequestError, "settle must be a timedelta"),
        ({"settle": timedelta(seconds=-1)}, AngusRequestError, "settle must be a timedelta of at least 0"),
        ({"window": 120}, AngusRequestError, "window must be a positive timedelta"),
        ({"max_failures": 0}, AngusRequestError, "max_failures must be"),
        ({"angus_conn_id": ["a", "b"]}, AngusRequestError, "expected one connection.* Map the sensor"),
    ],
)
def test_sensor_rejects_invalid_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wait(**arguments)


@pytest.mark.skipif(not STARTS_FROM_TRIGGER, reason="needs Airflow 3.3")
def test_sensor_start_from_trigger_sets_its_trigger() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    dates = {"from_date": start, "to_date": "{{ ds }}", "interval": timedelta(days=1), "window": timedelta(hours=6)}
    sensor = wait(deferrable=True, start_from_trigger=True, minimum={"passing_by": 1}, **dates)
    assert sensor.start_from_trigger
    arguments = json.loads(json.dumps(sensor.start_trigger_args.trigger_kwargs))
    module, _, name = sensor.start_trigger_args.trigger_cls.rpartition(".")
    stored = getattr(import_module(module), name)(**arguments).serialize()[1]
    assert arguments.items() <= stored.items()
    assert (stored["from_date"], stored["to_date"]) == (start.isoformat(), "{{ ds }}")
    assert (stored["interval"], stored["window"], stored["minimum"]) == (86400, 21600, {"passing_by": 1})
    assert callable(getattr(sensor, sensor.start_trigger_args.next_method))


@pytest.mark.parametrize(
    "arguments",
    [{"deferrable": False}, {"deferrable": True, "interval": pendulum.duration(days=1)}],
    ids=["not deferrable", "calendar days"],
)
def test_sensor_start_from_trigger_falls_back_to_a_worker(arguments: dict[str, Any]) -> None:
    assert not wait(start_from_trigger=True, **arguments).start_from_trigger
