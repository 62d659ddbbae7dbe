"""A DAG of sensors that wait for one day, each for its own stream. SHOPS names the connections."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor

#: A worker defers every fifth sensor. The others start from the trigger.
DEFERRED_BY_WORKER = 5

with DAG(
    dag_id="fifty_sensors",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 11, 20, tzinfo=UTC),
    end_date=datetime(2026, 11, 20, tzinfo=UTC),
    catchup=True,
    max_active_tasks=100,
):
    for number, shop in enumerate(os.environ["SHOPS"].split(",")):
        AngusEntitiesSensor(
            task_id=shop,
            angus_conn_id=shop,
            metrics="passing_by",
            time="by_hour",
            deferrable=True,
            start_from_trigger=number % DEFERRED_BY_WORKER != 0,
            poke_interval=3,
            timeout=900,
            # Airflow fails a task that cannot reach the API server.
            retries=1,
            retry_delay=timedelta(0),
        )
