"""A DAG for each scenario of a deferred sensor (``support/scenarios.py``). Each has one run, of 20 November 2026."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor

WITH_INTERVAL = CronDataIntervalTimetable("@daily", timezone="UTC")
WITHOUT_INTERVAL = CronTriggerTimetable("@daily", timezone="UTC")


def create_dag(dag_id: str, schedule: object = WITH_INTERVAL, **arguments: Any) -> None:
    """Create the DAG of a scenario. The ID of its connection is the DAG's ID."""
    with DAG(
        dag_id=dag_id,
        schedule=schedule,
        start_date=datetime(2026, 11, 20, tzinfo=UTC),
        end_date=datetime(2026, 11, 20, tzinfo=UTC),
        catchup=True,
    ):
        defaults = {
            "angus_conn_id": dag_id,
            "deferrable": True,
            "poke_interval": 1,
            "timeout": 300,
            "retries": 1,
            "retry_delay": timedelta(0),
            "max_failures": 2,
        }
        AngusEntitiesSensor(task_id="wait", metrics="passing_by", time="by_hour", **(defaults | arguments))


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
