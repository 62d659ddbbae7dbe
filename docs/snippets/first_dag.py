"""Load the hourly audience of one camera into an SQL table, every day."""

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToSqlOperator

with DAG(
    dag_id="first_dag",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
):
    wait_for_day = AngusEntitiesSensor(
        task_id="wait_for_day",
        metrics="passing_by",
        time="by_hour",
        mode="reschedule",
        poke_interval=300,
    )
    load_day = AngusToSqlOperator(
        task_id="load_day",
        metrics="passing_by,interested,stop_time",
        time="by_hour",
        sql_conn_id="audience_db",
        table="audience_by_hour",
        create_table=True,
    )
    wait_for_day >> load_day
