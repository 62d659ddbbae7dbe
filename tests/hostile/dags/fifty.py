"""One DAG of sensors that wait for the same day, each for a stream of its own; SHOPS names the connections."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor

#: Every so many of them a worker defers; the others start from the trigger.
DEFERRED = 5

with DAG(
    dag_id="fifty",
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
            start_from_trigger=number % DEFERRED != 0,
            poke_interval=3,
            timeout=900,
            # Airflow's executor fails a task when the API server is not there yet.
            retries=1,
            retry_delay=timedelta(0),
        )
