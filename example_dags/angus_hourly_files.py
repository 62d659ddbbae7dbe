"""Each hour of a camera in a file of its own, and a second DAG that runs whenever there is a new one.

**What it shows.** ``AngusToObjectStorageOperator`` writes a file that appears whole or not at all, at a path that is
the hour's own: a rerun replaces it. The event of its asset says which file, stream and hour it was, and that is all
that the second DAG needs, which has no interval of its own.

**To use it** copy the file into your DAGs folder, create an Airflow connection ``angus_default`` of type *Angus.ai*,
and say in ``FOLDER`` where the files should be: ``s3://aws_default@bucket/audience``, ``gs://...`` or a folder.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, ObjectStoragePath, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.transfers import AngusToObjectStorageOperator

FOLDER = os.environ.get("ANGUS_FOLDER", "/tmp/audience")  # noqa: S108 (an example, to be changed)

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
    AngusToObjectStorageOperator(
        task_id="write_hour",
        metrics=["passing_by", "interested"],
        time="by_hour",
        path=FOLDER + "/{{ data_interval_start.strftime('%Y/%m/%d/%H') }}.jsonl",
        # An hour without a row (not one of zeros) is an hour that Angus does not have yet: try again.
        allow_empty=False,
        outlets=[hour_file],
    )

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
        """Print what the new files say, one line for each; Airflow 2 calls assets datasets."""
        events = [
            event for each in (triggering_asset_events or triggering_dataset_events or {}).values() for event in each
        ]
        said = []
        for path in sorted({event.extra["path"] for event in events}):
            for line in ObjectStoragePath(path).read_text().splitlines():
                hour = json.loads(line)
                said.append(f"{hour['bucket_start'][:16]}: {hour['passing_by']} passed by")
                print(said[-1])
        return said

    read_hours()
