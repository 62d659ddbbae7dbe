"""DAGs whose runs the scheduler makes, or a backfill; each asks for a stream that has the DAG's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToSqlOperator

EACH_DAY = CronDataIntervalTimetable("@daily", timezone="UTC")
BY_HOUR: dict[str, Any] = {"metrics": "passing_by", "time": "by_hour"}


def days(dag_id: str, schedule: object = EACH_DAY, **arguments: Any) -> DAG:
    """Return a DAG that has one run if nothing else is said, that of 20 November 2026."""
    day = datetime(2026, 11, 20, tzinfo=UTC)
    # Retries: a busy machine's executor may say of a task that it has ended while it goes on.
    retries = {"retries": 2, "retry_delay": timedelta(0)}
    defaults = {"start_date": day, "end_date": day, "catchup": True, "default_args": retries}
    return DAG(dag_id=dag_id, schedule=schedule, **(defaults | arguments))


with days("scheduled"):
    AngusEntitiesOperator(task_id="fetch", angus_conn_id="scheduled", **BY_HOUR)

with days("daily", "@daily"):
    AngusEntitiesOperator(task_id="fetch", angus_conn_id="daily", **BY_HOUR)

with days("mapped"):
    fetch = AngusEntitiesOperator.partial(task_id="fetch", **BY_HOUR)
    fetch.expand(angus_conn_id=["shop_1", "shop_2", "shop_3"])

# The scheduler makes no run of what is over and not to be caught up with: a backfill does.
with days(
    "backfilled",
    start_date=datetime(2026, 11, 2, tzinfo=UTC),
    end_date=datetime(2026, 11, 8, tzinfo=UTC),
    catchup=False,
):
    AngusToSqlOperator(
        task_id="load", angus_conn_id="backfilled", sql_conn_id="audience", table="a_week", create_table=True, **BY_HOUR
    )

with days("corrected"):
    AngusToSqlOperator(
        task_id="load", angus_conn_id="corrected", sql_conn_id="audience", table="a_day", create_table=True, **BY_HOUR
    )
