"""Fetch the visitors of each hour of a day."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.operators import AngusEntitiesOperator

with DAG(
    dag_id="visitors_by_hour",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
) as dag:
    AngusEntitiesOperator(task_id="fetch_hours", metrics=["passing_by"], time="by_hour")
