"""A DAG with all paths to the API. BEHAVIOURS and TRIGGERER_BEHAVIOURS name connections to an echo server."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

BEHAVIOURS, TRIGGERER_BEHAVIOURS = (os.environ[name].split(",") for name in ("BEHAVIOURS", "TRIGGERER_BEHAVIOURS"))
HOME = os.environ["AIRFLOW_HOME"]
QUERY: dict[str, Any] = {"metrics": "passing_by", "time": "by_hour"}

with DAG(
    dag_id="canaries",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2024, 11, 20, tzinfo=UTC),
    end_date=datetime(2024, 11, 20, tzinfo=UTC),
    catchup=True,
    # Airflow fails a task that cannot reach the API server.
    default_args={"retries": 1, "retry_delay": timedelta(0)},
):
    AngusEntitiesOperator.partial(task_id="operator", **QUERY).expand(angus_conn_id=BEHAVIOURS)
    AngusEntitiesSensor.partial(task_id="poke", max_failures=1, **QUERY).expand(angus_conn_id=BEHAVIOURS[:2])
    AngusEntitiesSensor.partial(
        task_id="trigger", deferrable=True, max_failures=1, poke_interval=1, timeout=300, **QUERY
    ).expand(angus_conn_id=TRIGGERER_BEHAVIOURS)
    for name in BEHAVIOURS[:2]:
        AngusToObjectStorageOperator(
            task_id=f"file_{name}",
            angus_conn_id=name,
            path=f"{HOME}/loaded/{name}.csv",
            outlets=[Asset(f"file://{HOME}/loaded/{name}.csv")],
            **QUERY,
        )
        AngusToSqlOperator(
            task_id=f"table_{name}",
            angus_conn_id=name,
            sql_conn_id="canary_database",
            table=f"loaded_{name}",
            create_table=True,
            outlets=[Asset(f"sqlite://{HOME}/loaded.sqlite/loaded_{name}")],
            **QUERY,
        )
