"""Load the day of three cameras, then compute the daily totals with the query in daily_audience.sql."""

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.transfers import AngusToSqlOperator

with DAG(
    dag_id="load_and_query",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3},
):
    load_day = AngusToSqlOperator(
        task_id="load_day",
        angus_conn_id=["shop_1", "shop_2", "shop_3"],
        metrics="passing_by,interested,stop_time",
        time="by_hour",
        sql_conn_id="audience_db",
        table="audience_by_hour",
        create_table=True,
    )
    query_day = SQLExecuteQueryOperator(
        task_id="query_day",
        conn_id="audience_db",
        sql="daily_audience.sql",
    )
    load_day >> query_day
