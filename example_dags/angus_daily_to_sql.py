"""Load the hourly rows of several cameras into an SQL table every day.

Each run waits for the day of each camera. Then one task fetches the cameras in parallel and replaces the day of each
camera in one transaction.

**Needs:** your connections of type *Angus.ai* in ``CAMERAS``, and a connection ``audience_db`` to an SQL database.

**You will see:** 24 rows for each camera in the table ``audience_by_hour``, also after retries and backfills. If one
camera fails, the rows of the others are loaded. Then the task fails with an error that names the camera.
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
    # Airflow 3 gives "@daily" runs an empty data interval. This timetable gives each run its day.
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
        # Load the other cameras if the sensor of one camera fails. A camera whose day is incomplete is not loaded.
        trigger_rule="all_done",
    )

    wait_for_day >> load_day
