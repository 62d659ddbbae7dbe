"""Each day of several cameras in one table, by hour: a sensor for each camera, one task that loads them all.

**What it shows.** ``AngusToSqlOperator`` replaces the day's rows of each camera in a transaction of its own, so that
the table has every day once, however often a run is retried, cleared or backfilled. The cameras are fetched side by
side; one that is refused does not keep the others out, but fails the task with its name.

**To use it** copy the file into your DAGs folder, list your connections of type *Angus.ai* in ``CAMERAS``, and create
the connection ``audience_db`` to any SQL database.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToSqlOperator

CAMERAS = ["angus_default", "angus_shop_2", "angus_shop_3"]

with DAG(
    dag_id="angus_daily_to_sql",
    doc_md=__doc__,
    # On Airflow 3, schedule="@daily" gives runs an EMPTY data interval; this timetable gives each run its day.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
):
    wait_for_day = AngusEntitiesSensor.partial(
        task_id="wait_for_day", metrics=["passing_by"], time="by_hour", mode="reschedule", timeout=timedelta(hours=6)
    ).expand(angus_conn_id=CAMERAS)

    load_day = AngusToSqlOperator(
        task_id="load_day",
        angus_conn_id=CAMERAS,
        metrics=["passing_by", "interested", "stop_time", "gender", "category"],
        time="by_hour",
        sql_conn_id="audience_db",
        table="audience_by_hour",
        create_table=True,
        # A camera that is refused or never ready fails its own sensor; the others' day is loaded all the same.
        trigger_rule="all_done",
    )

    wait_for_day >> load_day
