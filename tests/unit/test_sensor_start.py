"""AngusEntitiesSensor(start_from_trigger=True): which waits start in the triggerer, after Airflow's serialisation."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.models.trigger import Trigger
from airflow.providers.common.compat.sdk import DAG, BaseOperator
from airflow_runs import round_trip
from airflow_versions import only_airflow_3_3
from sensors import wait

from airflow_provider_angus._compat import STARTS_FROM_TRIGGER
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.triggers import AngusEntitiesTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 20, tzinfo=UTC)
DATES: dict[str, Any] = {"from_date": "2026-11-20", "to_date": "2026-11-21"}

#: The argument by which the DAG's other task passes its result.
Output = Any


def serialized_task(build: Callable[[Output], object], **dag_arguments: Any) -> Any:
    """Return the sensor ``wait`` of a DAG as Airflow's scheduler reads it."""
    with DAG("waits", schedule=None, start_date=START, **dag_arguments) as dag:
        build(BaseOperator(task_id="upstream").output)
    return round_trip(dag).get_task("wait")


def wait_in_triggerer(**arguments: Any) -> AngusEntitiesSensor:
    return wait(deferrable=True, start_from_trigger=True, **arguments)


@only_airflow_3_3
@pytest.mark.parametrize(
    ("arguments", "stored"),
    [
        ({}, {"metrics": "passing_by", "time": "by_hour", "from_date": None, "settle": 120.0}),
        ({"metrics": {"passing_by", "interested"}}, {"metrics": ["interested", "passing_by"]}),
        ({"metrics": ["passing_by", "{{ params.metric }}"]}, {"metrics": ["passing_by", "{{ params.metric }}"]}),
        ({"time": "{% set t = params.time %}{{ t | lower }}"}, {"time": "{% set t = params.time %}{{ t | lower }}"}),
        ({"angus_conn_id": 20231023}, {"angus_conn_id": "20231023"}),
        ({"from_date": START, "to_date": "{{ ds }}"}, {"from_date": START.isoformat(), "to_date": "{{ ds }}"}),
        ({"from_date": date(2026, 11, 20), "to_date": 20261121}, {"from_date": "2026-11-20", "to_date": 20261121}),
        (
            {"from_date": pendulum.instance(START), "to_date": pendulum.datetime(2026, 11, 21, tz="Europe/Paris")},
            {"from_date": START.isoformat(), "to_date": "2026-11-21T00:00:00+01:00"},
        ),
        ({"interval": timedelta(days=1), "window": timedelta(hours=6)}, {"interval": 86400.0, "window": 21600.0}),
        ({"minimum": {"passing_by": 1.5}, "settle": timedelta(0)}, {"minimum": {"passing_by": 1.5}, "settle": 0.0}),
        ({"poke_interval": timedelta(minutes=5), "max_wait": 600}, {"poke_interval": 300.0, "max_wait": 600.0}),
    ],
)
def test_sensor_starts_in_the_triggerer(arguments: dict[str, Any], stored: dict[str, Any]) -> None:
    """The stored arguments are those of the trigger, also after Airflow has read them."""
    task = serialized_task(lambda _: wait_in_triggerer(**arguments))
    assert task.start_from_trigger
    assert task.start_trigger_args.next_method == "execute_complete"
    kwargs = Trigger(task.start_trigger_args.trigger_cls, task.start_trigger_args.trigger_kwargs).kwargs
    path, serialized = AngusEntitiesTrigger(**kwargs).serialize()
    assert path == task.start_trigger_args.trigger_cls
    assert json.loads(json.dumps(serialized)) == serialized == kwargs
    assert serialized | stored == serialized


FROM_OTHERS = "{} comes from another task or a function"


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda x: {"metrics": x}, FROM_OTHERS.format("metrics")),
        (lambda x: {"metrics": ["passing_by", x]}, FROM_OTHERS.format("metrics")),
        (lambda x: {"metrics": ("passing_by", ["gender", x])}, FROM_OTHERS.format("metrics")),
        (lambda x: {"time": x}, FROM_OTHERS.format("time")),
        (lambda x: {"angus_conn_id": x}, FROM_OTHERS.format("angus_conn_id")),
        (lambda x: {"from_date": x, "to_date": "2026-11-21"}, FROM_OTHERS.format("from_date")),
        (lambda x: {"from_date": x["from"], "to_date": x["to"]}, FROM_OTHERS.format("from_date")),
        (lambda x: {"from_date": "2026-11-20", "to_date": x.map(str)}, FROM_OTHERS.format("to_date")),
        (lambda _: {"metrics": lambda **_: "passing_by"}, FROM_OTHERS.format("metrics")),
        (lambda x: {"minimum": x}, "minimum is a template"),
        (lambda x: {"minimum": {"passing_by": x}}, "minimum is a template"),
        (lambda _: {"minimum": {"passing_by": "{{ params.least }}"}}, "minimum is a template"),
        (lambda _: {"metrics": "{{ ti.xcom_pull('upstream') }}"}, "only a worker can render ti in metrics"),
        (lambda _: {"metrics": ["gender", "{{ f(var.value.x) }}"]}, "only a worker can render f, var in metrics"),
        (lambda _: {"time": "{% for x in %}"}, "only a worker can render a template with a syntax error in time"),
        (lambda _: {"interval": pendulum.duration(days=1)}, "interval is a calendar duration"),
        (lambda _: {"interval": pendulum.duration(months=1)}, "interval is a calendar duration"),
    ],
)
def test_sensor_starts_on_a_worker(build: Callable[[Output], dict[str, Any]], reason: str) -> None:
    """Whatever the triggerer cannot know. The DAG is serialised, and the sensor remembers why."""
    sensors = []
    task = serialized_task(lambda output: sensors.append(wait_in_triggerer(**build(output))))
    assert not task.start_from_trigger
    assert task.start_trigger_args is None
    assert sensors[0]._worker_reason == (reason if STARTS_FROM_TRIGGER else "Airflow 3.3 is required")  # noqa: SLF001


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [({"metrics": "{{ params.metrics }}"}, False), ({"time": "{{ params.time }}", "angus_conn_id": "{{ ds }}"}, True)],
)
def test_sensor_in_a_native_dag_starts_in_the_triggerer_without_a_list(
    arguments: dict[str, Any], *, starts: bool
) -> None:
    """The triggerer renders text, which is no list of metrics. Other arguments mean the same as text."""
    task = serialized_task(lambda _: wait_in_triggerer(**arguments), render_template_as_native_obj=True)
    assert task.start_from_trigger is (starts and STARTS_FROM_TRIGGER)


@pytest.mark.parametrize(
    "mapped",
    [
        {"angus_conn_id": ["shop_1", "shop_2"]},
        {"metrics": [["passing_by"], ["gender"]]},
        {"from_date": ["2026-11-20"], "to_date": ["2026-11-21"]},
        {"interval": [timedelta(days=1), timedelta(days=2)]},
    ],
    ids=str,
)
def test_sensor_mapped_starts_on_a_worker(mapped: dict[str, Any]) -> None:
    partial: dict[str, Any] = {"deferrable": True, "start_from_trigger": True}
    partial |= {} if "metrics" in mapped else {"metrics": "passing_by"}
    task = serialized_task(lambda _: AngusEntitiesSensor.partial(task_id="wait", **partial).expand(**mapped))
    assert task.start_trigger_args is None


def test_sensor_not_deferrable_starts_on_a_worker() -> None:
    assert not serialized_task(lambda _: wait(start_from_trigger=True)).start_from_trigger
