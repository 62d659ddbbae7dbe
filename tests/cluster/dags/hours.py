"""Wait for an hour of a stream in the triggerer, then load the hour of three streams into a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToSqlOperator

# With catchup=False and an end in the past, only the backfill creates runs.
with DAG(
    dag_id="hours",
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=datetime(2026, 11, 19, tzinfo=UTC),
    end_date=datetime(2026, 11, 20, 23, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(0)},
):
    wait = AngusEntitiesSensor(
        task_id="wait",
        angus_conn_id="shop_1",
        metrics="passing_by",
        time="by_hour",
        deferrable=True,
        start_from_trigger=True,
        poke_interval=5,
    )
    wait >> AngusToSqlOperator(
        task_id="load",
        angus_conn_id=["shop_1", "shop_2", "shop_3"],
        metrics="passing_by",
        time="by_hour",
        sql_conn_id="audience",
        table="hours",
    )
