"""Compare the table of the last month with the API, and load the hours that differ.

On the second day of a month, ``AngusSqlAuditOperator`` compares each hour of each camera with the API. It finds hours
that were never loaded, and hours whose data arrived late or was corrected. With ``repair=True`` it loads them.

**Needs:** the table of ``angus_daily_to_sql``, and your connections of type *Angus.ai* in ``CAMERAS``.

**You will see:** the hours that differed in the log and in the task's result. Remove ``repair=True`` to get a failed
task instead.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.audits import AngusSqlAuditOperator

CAMERAS = ["angus_default", "angus_shop_2", "angus_shop_3"]

with DAG(
    dag_id="angus_monthly_audit",
    doc_md=__doc__,
    # A day after the month's end, so that late data has arrived.
    schedule=CronDataIntervalTimetable("0 7 2 * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 2, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
):
    AngusSqlAuditOperator(
        task_id="audit_month",
        angus_conn_id=CAMERAS,
        metrics=["passing_by", "interested", "stop_time", "gender", "category"],
        time="by_hour",
        from_date="{{ data_interval_start.start_of('month') }}",
        to_date="{{ data_interval_end.start_of('month') }}",
        sql_conn_id="audience_db",
        table="audience_by_hour",
        repair=True,
    )
