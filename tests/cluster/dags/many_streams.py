"""Load a day of 500 streams into a table: ten mapped tasks of 50 streams each."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_angus.transfers import AngusToSqlOperator

STREAMS = [f"camera_{number:03}" for number in range(500)]

with DAG(dag_id="many_streams", schedule=None, default_args={"retries": 2, "retry_delay": timedelta(0)}):
    AngusToSqlOperator.partial(
        task_id="load",
        metrics="passing_by",
        time="by_hour",
        from_date="2026-11-20",
        to_date="2026-11-21",
        sql_conn_id="audience",
        table="many_streams",
        create_table=True,
    ).expand(angus_conn_id=[STREAMS[start : start + 50] for start in range(0, 500, 50)])
