"""A DAG for each of the ways a deferred sensor can end (scenarios.py); each has one run, that of 20 November 2026."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor

WITH_INTERVAL = CronDataIntervalTimetable("@daily", timezone="UTC")
WITHOUT_INTERVAL = CronTriggerTimetable("@daily", timezone="UTC")


def scenario(dag_id: str, schedule: object = WITH_INTERVAL, **arguments: Any) -> None:
    """Make the DAG of one scenario, whose connection has its name."""
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


scenario("appears")
scenario("outlives_a_triggerer")
scenario("runs_out_of_time", timeout=4)
scenario("runs_out_of_time_softly", timeout=4, soft_fail=True)
scenario("is_refused_credentials")
scenario("is_refused_a_fresh_token")
scenario("loses_its_connection")
scenario("meets_500")
scenario("meets_html", retries=0)
scenario("meets_half_bodies", retries=0)
scenario("meets_slow_bytes", retries=0, max_failures=1)
scenario("meets_429_for_a_while")
scenario("starts_from_trigger", start_from_trigger=True)
scenario("starts_from_trigger_without_interval", WITHOUT_INTERVAL, start_from_trigger=True)
