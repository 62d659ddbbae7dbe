"""DAGs with scheduled or backfilled runs. Each uses a stream with the ID of the DAG."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToSqlOperator

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
BY_HOUR: dict[str, Any] = {"metrics": "passing_by", "time": "by_hour"}


def create_dag(dag_id: str, schedule: object = DAILY, **arguments: Any) -> DAG:
    """Return a DAG, by default with one run, of 20 November 2026."""
    day = datetime(2026, 11, 20, tzinfo=UTC)
    # On a busy machine, the executor sometimes reports that a running task has ended.
    retries = {"retries": 2, "retry_delay": timedelta(0)}
    defaults = {"start_date": day, "end_date": day, "catchup": True, "default_args": retries}
    return DAG(dag_id=dag_id, schedule=schedule, **(defaults | arguments))


with create_dag("scheduled"):
    AngusEntitiesOperator(task_id="fetch", angus_conn_id="scheduled", **BY_HOUR)

with create_dag("daily", "@daily"):
    AngusEntitiesOperator(task_id="fetch", angus_conn_id="daily", **BY_HOUR)

with create_dag("mapped"):
    fetch = AngusEntitiesOperator.partial(task_id="fetch", **BY_HOUR)
    fetch.expand(angus_conn_id=["shop_1", "shop_2", "shop_3"])

# With catchup=False and an end in the past, only the backfill creates runs.
with create_dag(
    "backfilled",
    start_date=datetime(2026, 11, 2, tzinfo=UTC),
    end_date=datetime(2026, 11, 8, tzinfo=UTC),
    catchup=False,
):
    AngusToSqlOperator(
        task_id="load", angus_conn_id="backfilled", sql_conn_id="audience", table="a_week", create_table=True, **BY_HOUR
    )

with create_dag("cleared"):
    AngusToSqlOperator(
        task_id="load", angus_conn_id="cleared", sql_conn_id="audience", table="a_day", create_table=True, **BY_HOUR
    )
