"""The day's audience of one camera: wait for it, fetch it hour by hour, sum it up.

**What it shows.** Every run of this DAG is one UTC day. The sensor waits until Angus has all of that day, the operator
fetches exactly that day, and a task of yours works on plain rows. Clear a run or backfill a month: the same days come
again, each whole, none twice.

**To use it** copy the file into your DAGs folder and create an Airflow connection ``angus_default`` of the type
*Angus.ai*. Without a camera, ``python -m airflow_provider_angus.sandbox`` is a local Angus that prints a connection.
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
    # On Airflow 3, schedule="@daily" gives runs an EMPTY data interval; this timetable gives each run its day.
    # (To keep "@daily", give sensor and operator interval=timedelta(days=1).)
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={
        # An API that is away for a while is worth another try. Wrong credentials are not, and are not retried.
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
    },
):
    # No call is made before the day is over and has settled; then one look every five minutes, for six hours at most.
    # mode="reschedule" gives the worker back between two looks.
    wait_for_day = AngusEntitiesSensor(
        task_id="wait_for_day",
        metrics=["passing_by"],
        time="by_hour",
        mode="reschedule",
        poke_interval=timedelta(minutes=5),
        timeout=timedelta(hours=6),
        # A camera that saw nobody all day is off, not lonely: wait for one person at least.
        minimum={"passing_by": 1},
    )

    # One row for each hour of the run's day, as a list of dicts in XCom.
    fetch_hours = AngusEntitiesOperator(
        task_id="fetch_hours",
        metrics=["passing_by", "interested", "stop_time", "gender"],
        time="by_hour",
    )

    @task
    def sum_up(hours: list[dict]) -> dict:
        """Print the day as a table and return its totals."""
        print(f"{'hour (UTC)':<18}{'passing by':>12}{'interested':>12}{'stop time':>11}{'women':>8}{'men':>8}")
        for hour in hours:
            stop_time = "-" if hour["stop_time"] is None else f"{hour['stop_time']:.1f} s"
            print(
                f"{hour['bucket_start'][:16].replace('T', ' '):<18}{hour['passing_by']:>12}{hour['interested']:>12}"
                f"{stop_time:>11}{hour['gender_female']:>8}{hour['gender_male']:>8}"
            )
        # Counts add up over hours. The means do not: weight them by the people they are means of.
        day = {column: sum(hour[column] for hour in hours) for column in ("passing_by", "interested")}
        seconds = sum(hour["stop_time"] * hour["interested"] for hour in hours if hour["stop_time"] is not None)
        day["stop_time"] = round(seconds / day["interested"], 1) if day["interested"] else None
        print(
            f"the day: {day['passing_by']} passed by, {day['interested']} stopped and looked, {day['stop_time']} s each"
        )
        return day

    wait_for_day >> fetch_hours >> sum_up(fetch_hours.output)
