"""Load each hour into an SQL table, and sum up each day once when all its hours have arrived (Airflow 3.3).

``partition_events="by_hour"`` emits one asset event per hour that the run added or changed. ``RollupMapper`` waits for
the 24 hours of a day, in any order, from scheduled or backfilled runs, and then starts one run of the second DAG.

If an hour of a finished day is corrected later, Airflow waits for all 24 hours of the day again. To sum up the day
again, clear its run. For a run per corrected day, load whole days with ``partition_events="by_day"`` and schedule the
second DAG on ``PartitionedAssetTimetable`` with ``StartOfDayMapper``.

**Needs:** an Airflow connection ``angus_default`` of type *Angus.ai*, and a connection ``audience_db`` to an SQL
database.

**You will see:** one run of ``angus_daily_summary`` for each day, with the people of the day in the log of ``sum_up``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import (
    DAG,
    Asset,
    BaseHook,
    CronDataIntervalTimetable,
    DayWindow,
    PartitionedAssetTimetable,
    RollupMapper,
    StartOfDayMapper,
    task,
)

from airflow_provider_angus.transfers import AngusToSqlOperator

hours = Asset("angus_hours")

with DAG(
    dag_id="angus_hourly_partitions",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["angus"],
    # An hour settles two minutes after its end. Until then, the operator fails and Airflow retries it.
    default_args={"retries": 5, "retry_delay": timedelta(minutes=5)},
):
    AngusToSqlOperator(
        task_id="load_hour",
        metrics=["passing_by", "interested"],
        time="by_hour",
        sql_conn_id="audience_db",
        table="audience_by_hour",
        create_table=True,
        outlets=[hours],
        partition_events="by_hour",
    )

with DAG(
    dag_id="angus_daily_summary",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(
        assets=hours,
        default_partition_mapper=RollupMapper(upstream_mapper=StartOfDayMapper(), window=DayWindow()),
    ),
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
):

    @task
    def sum_up(partition_date: pendulum.DateTime | None = None) -> dict:
        """Print and return the number of hours of the day and of people who passed by."""
        hook = BaseHook.get_hook("audience_db")
        ((count, passing_by),) = hook.get_records(
            "SELECT COUNT(*), SUM(passing_by) FROM audience_by_hour "  # noqa: S608 (placeholders)
            f"WHERE bucket_start >= {hook.placeholder} AND bucket_start < {hook.placeholder}",
            parameters=[partition_date.isoformat(), (partition_date + timedelta(days=1)).isoformat()],
        )
        print(f"{partition_date:%Y-%m-%d}: {count} hours, {passing_by} people passed by")
        return {"hours": count, "passing_by": int(passing_by)}

    sum_up()
