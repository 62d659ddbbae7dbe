"""A DAG for each scenario of a deferred sensor (``support/scenarios.py``). Each has one run, of 20 November 2026."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor

if TYPE_CHECKING:
    from collections.abc import Callable

WITH_INTERVAL = CronDataIntervalTimetable("@daily", timezone="UTC")
WITHOUT_INTERVAL = CronTriggerTimetable("@daily", timezone="UTC")


def create_dag(
    dag_id: str,
    schedule: object = WITH_INTERVAL,
    build: Callable[[], dict[str, Any]] = dict,
    *,
    native: bool = False,
    mapped: bool = False,
    **arguments: Any,
) -> None:
    """Create the DAG of a scenario. The ID of its connection is the DAG's ID.

    :param build: returns arguments of the sensor, and may create other tasks.
    """
    with DAG(
        dag_id=dag_id,
        schedule=schedule,
        start_date=datetime(2026, 11, 20, tzinfo=UTC),
        end_date=datetime(2026, 11, 20, tzinfo=UTC),
        catchup=True,
        render_template_as_native_obj=native,
    ) as dag:
        defaults = {
            "task_id": "wait",
            "metrics": "passing_by",
            "time": "by_hour",
            "deferrable": True,
            "poke_interval": 1,
            "timeout": 300,
            "retries": 1,
            "retry_delay": timedelta(0),
            "max_failures": 2,
        }
        arguments = defaults | build() | arguments
        others = list(dag.tasks)
        if mapped:
            sensor: Any = AngusEntitiesSensor.partial(**arguments).expand(angus_conn_id=[dag_id])
        else:
            sensor = AngusEntitiesSensor(angus_conn_id=dag_id, **arguments)
        sensor.set_upstream(others)


@task
def choose() -> dict[str, Any]:
    """Return arguments of a sensor."""
    return {"metrics": ["passing_by", "gender"], "day": "2026-11-20", "next_day": "2026-11-21"}


def pulled() -> dict[str, Any]:
    """Return arguments that a template gets from another task."""
    choose()
    return {"from_date": "{{ ti.xcom_pull('choose')['day'] }}", "to_date": "{{ macros.ds_add('2026-11-20', 1) }}"}


def passed() -> dict[str, Any]:
    """Return arguments that are results of another task."""
    chosen = choose()
    return {"metrics": chosen["metrics"], "from_date": chosen["day"], "to_date": chosen["next_day"]}


create_dag("data_appears")
create_dag("triggerer_restarts")
create_dag("times_out", timeout=4)
create_dag("times_out_with_soft_fail", timeout=4, soft_fail=True)
create_dag("credentials_refused")
create_dag("new_token_refused")
create_dag("connection_deleted")
create_dag("status_500")
create_dag("html_body", retries=0)
create_dag("truncated_bodies", retries=0)
create_dag("slow_bodies", retries=0, max_failures=1)
create_dag("status_429_three_times")
create_dag("starts_from_trigger", start_from_trigger=True)
create_dag("starts_from_trigger_without_interval", WITHOUT_INTERVAL, start_from_trigger=True)

FROM_TRIGGER: dict[str, Any] = {"start_from_trigger": True, "minimum": {"passing_by": 1}}
DAY = {"from_date": datetime(2026, 11, 20, tzinfo=UTC), "to_date": pendulum.datetime(2026, 11, 21, tz="UTC")}
TEMPLATES = {"from_date": "{{ data_interval_start }}", "to_date": "{{ data_interval_end }}", "time": "{{ 'by_hour' }}"}
create_dag("starts_with_datetimes", **FROM_TRIGGER | DAY)
create_dag("starts_with_templates", **FROM_TRIGGER | TEMPLATES)
create_dag("starts_with_native_list", native=True, **FROM_TRIGGER | {"metrics": "{{ ['passing_by', 'gender'] }}"})
create_dag("starts_with_pulled_date", build=pulled, **FROM_TRIGGER)
create_dag("starts_with_results_of_task", build=passed, **FROM_TRIGGER)
create_dag("starts_with_calendar_day", interval=pendulum.duration(days=1), **FROM_TRIGGER)
create_dag("starts_mapped", mapped=True, **FROM_TRIGGER)
