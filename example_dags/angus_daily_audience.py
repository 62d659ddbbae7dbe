"""Fetch and sum up the daily audience of one camera.

Each run processes one UTC day. The sensor waits until the data of the day is complete. The operator fetches its hours,
and a Python task adds them up.

**Needs:** an Airflow connection ``angus_default`` of type *Angus.ai*. Without a camera, run
``python -m airflow_provider_angus.sandbox``: it starts a local Angus server and prints a connection.

**You will see:** the hours as a table in the log of ``sum_up``, and the totals of the day as its result. A run that is
cleared or backfilled has the same rows.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor

with DAG(
    dag_id="angus_daily_audience",
    doc_md=__doc__,
    # Airflow 3 gives "@daily" runs an empty data interval. This timetable gives each run its day.
    # To keep "@daily", pass interval=timedelta(days=1) to the sensor and to the operator.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={
        # Airflow retries the task if the API is unavailable or the day is incomplete. It does not retry if the
        # credentials are wrong.
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
    },
):
    # The sensor sends no request before the day has ended. Then it checks every five minutes, for at most six hours.
    # mode="reschedule" frees the worker slot between two checks.
    wait_for_day = AngusEntitiesSensor(
        task_id="wait_for_day",
        metrics=["passing_by"],
        time="by_hour",
        mode="reschedule",
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(hours=6),
        # A camera that is switched off reports zeros. Wait for at least one person.
        minimum={"passing_by": 1},
    )

    # Returns one row per hour of the day, as a list of dicts in XCom.
    fetch_hours = AngusEntitiesOperator(
        task_id="fetch_hours",
        metrics=["passing_by", "interested", "stop_time", "gender"],
        time="by_hour",
    )

    @task
    def sum_up(hours: list[dict]) -> dict:
        """Print the rows as a table and return the totals of the day."""
        print(f"{'hour (UTC)':<18}{'passing by':>12}{'interested':>12}{'stop time':>11}{'women':>8}{'men':>8}")
        for hour in hours:
            stop_time = "-" if hour["stop_time"] is None else f"{hour['stop_time']:.1f} s"
            print(
                f"{hour['bucket_start'][:16].replace('T', ' '):<18}{hour['passing_by']:>12}{hour['interested']:>12}"
                f"{stop_time:>11}{hour['gender_female']:>8}{hour['gender_male']:>8}"
            )
        # Add up the counts. Weight the means by the number of interested people.
        day = {column: sum(hour[column] for hour in hours) for column in ("passing_by", "interested")}
        seconds = sum(hour["stop_time"] * hour["interested"] for hour in hours if hour["stop_time"] is not None)
        day["stop_time"] = round(seconds / day["interested"], 1) if day["interested"] else None
        print(
            f"the day: {day['passing_by']} passed by, {day['interested']} stopped and looked, {day['stop_time']} s each"
        )
        return day

    wait_for_day >> fetch_hours >> sum_up(fetch_hours.output)
