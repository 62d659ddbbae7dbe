"""Write each hour of a camera to a file, and run a second DAG for each new file.

The file is written atomically, and a rerun replaces it. The second DAG is scheduled on an asset. The asset's event has
the path, the stream and the interval. A sensor waits for the hour, because the operator refuses an incomplete interval.

**Needs:** an Airflow connection ``angus_default`` of type *Angus.ai*. Set ``FOLDER`` to a local folder or to a URL such
as ``s3://aws_default@bucket/audience``.

**You will see:** a file for each hour, for example ``2026/11/20/14.jsonl``, and its people in the log of
``read_hours``.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, ObjectStoragePath, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

FOLDER = os.environ.get("ANGUS_FOLDER", "/tmp/audience")  # noqa: S108 (an example path)

hour_file = Asset("angus_hour_file")

with DAG(
    dag_id="angus_hourly_files",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
):
    # The data of an hour settles two minutes after its end.
    wait_for_hour = AngusEntitiesSensor(
        task_id="wait_for_hour",
        metrics=["passing_by"],
        time="by_hour",
        mode="reschedule",
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(hours=1),
    )

    write_hour = AngusToObjectStorageOperator(
        task_id="write_hour",
        metrics=["passing_by", "interested"],
        time="by_hour",
        path=FOLDER + "/{{ data_interval_start.strftime('%Y/%m/%d/%H') }}.jsonl",
        outlets=[hour_file],
    )

    wait_for_hour >> write_hour

with DAG(
    dag_id="angus_on_hour_file",
    doc_md=__doc__,
    schedule=[hour_file],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["angus"],
):

    @task
    def read_hours(triggering_asset_events: dict | None = None, triggering_dataset_events: dict | None = None) -> list:
        """Print and return one line per hour in the new files."""
        # Airflow 2 calls assets datasets.
        events_by_asset = triggering_asset_events or triggering_dataset_events or {}
        paths = sorted({event.extra["path"] for events in events_by_asset.values() for event in events})
        rows = [json.loads(line) for path in paths for line in ObjectStoragePath(path).read_text().splitlines()]
        lines = [f"{row['bucket_start'][:16]}: {row['passing_by']} passed by" for row in rows]
        print(*lines, sep="\n")
        return lines

    read_hours()
