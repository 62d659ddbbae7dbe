"""One DAG with each way to ask, with canaries for secrets: BEHAVIOURS and LATER name the connections."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

BEHAVIOURS, LATER = (os.environ[name].split(",") for name in ("BEHAVIOURS", "LATER"))
HOME = os.environ["AIRFLOW_HOME"]
ASKED: dict[str, Any] = {"metrics": "passing_by", "time": "by_hour"}
#: Airflow's executor fails a task when the API server is not there yet.
AGAIN: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}

with DAG(
    dag_id="canaries",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2024, 11, 20, tzinfo=UTC),
    end_date=datetime(2024, 11, 20, tzinfo=UTC),
    catchup=True,
    default_args=AGAIN,
):
    AngusEntitiesOperator.partial(task_id="operator", **ASKED).expand(angus_conn_id=BEHAVIOURS)
    AngusEntitiesSensor.partial(task_id="poke", max_failures=1, **ASKED).expand(angus_conn_id=BEHAVIOURS[:2])
    AngusEntitiesSensor.partial(
        task_id="trigger", deferrable=True, max_failures=1, poke_interval=1, timeout=300, **ASKED
    ).expand(angus_conn_id=LATER)
    for name in BEHAVIOURS[:2]:
        AngusToObjectStorageOperator(
            task_id=f"file_{name}",
            angus_conn_id=name,
            path=f"{HOME}/landed/{name}.csv",
            outlets=[Asset(f"file://{HOME}/landed/{name}.csv")],
            **ASKED,
        )
        AngusToSqlOperator(
            task_id=f"table_{name}",
            angus_conn_id=name,
            sql_conn_id="canary_database",
            table=f"landed_{name}",
            create_table=True,
            outlets=[Asset(f"sqlite://{HOME}/landed.sqlite/landed_{name}")],
            **ASKED,
        )
