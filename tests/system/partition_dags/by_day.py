"""Whole days with an event for each, and a run of a second DAG for each event."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, StartOfDayMapper

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToSqlOperator

days = Asset("angus_days")

with DAG(dag_id="load_days", schedule=None):
    AngusToSqlOperator(
        task_id="load",
        metrics="passing_by",
        time="by_hour",
        from_date="2026-11-10",
        to_date="2026-11-12",
        sql_conn_id="audience_db",
        table="days",
        create_table=True,
        outlets=[days],
        partition_events="by_day",
    )

with DAG(
    dag_id="on_day",
    schedule=PartitionedAssetTimetable(assets=days, default_partition_mapper=StartOfDayMapper()),
    catchup=False,
):
    AngusEntitiesOperator(task_id="fetch", metrics="passing_by", time="by_day", interval=pendulum.duration(days=1))
