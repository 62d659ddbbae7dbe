"""Loads with partition events whose first try is killed: at a random moment, or after it has written its rows."""

from __future__ import annotations

import os
import random
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable

from airflow_provider_angus.transfers import AngusToSqlOperator

#: Seconds. Some loads end before.
LONGEST = 0.8


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KilledAtRandom(AngusToSqlOperator):
    """A transfer that is killed within :data:`LONGEST`, unless it ends before."""

    def execute(self, context: Any) -> Any:
        if context["ti"].try_number == 1:
            moment = random.Random(context["ds"]).uniform(0, LONGEST)  # noqa: S311 (not for cryptography)
            timer = threading.Timer(moment, kill)
            timer.daemon = True
            timer.start()
        return super().execute(context)


class KilledBeforeItsEvents(AngusToSqlOperator):
    """A transfer that is killed after it has written its rows."""

    def _attach_asset_extra(self, context: Any, extra: Any) -> None:
        if context["ti"].try_number == 1:
            kill()
        super()._attach_asset_extra(context, extra)


for dag_id, operator, retries in (("retried", KilledAtRandom, 1), ("cleared", KilledBeforeItsEvents, 0)):
    with DAG(
        dag_id=dag_id,
        schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
        start_date=datetime(2026, 11, 1, tzinfo=UTC),
        # Only the test's backfill creates runs.
        end_date=datetime(2026, 11, 15, tzinfo=UTC),
        catchup=False,
    ):
        operator(
            task_id="load",
            metrics="passing_by",
            time="by_hour",
            sql_conn_id="audience_db",
            table=f"{dag_id}_loads",
            create_table=True,
            outlets=[Asset(f"angus://{dag_id}/entities")],
            partition_events="by_hour",
            retries=retries,
            retry_delay=timedelta(0),
        )
