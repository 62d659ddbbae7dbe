"""Plot the weekly audience of all cameras: people over time, by gender and by age.

The DAG reads the table of ``angus_daily_to_sql`` with SQL. It draws the three charts of the Angus dashboard with
matplotlib and saves them as one image.

**Usage.** Copy this file and ``angus_daily_to_sql`` to your DAGs folder. Install
``airflow-provider-angus[report,sql]``. Set ``FOLDER`` to the folder for the images.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseHook, task
from airflow.timetables.interval import CronDataIntervalTimetable

FOLDER = os.environ.get("ANGUS_FOLDER", "/tmp/audience")  # noqa: S108 (an example path)

COUNTS = [
    *["passing_by", "interested", "gender_female", "gender_male", "gender_unknown"],
    *["category_young_female", "category_young_male", "category_senior_female", "category_senior_male"],
]

with DAG(
    dag_id="angus_weekly_report",
    doc_md=__doc__,
    # The data interval is the week that ends on Monday at 00:00 UTC. Sunday may not be loaded yet at that time: the
    # task fails if hours are missing, and Airflow retries it an hour later.
    schedule=CronDataIntervalTimetable("0 0 * * MON", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 5, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2, "retry_delay": timedelta(hours=1)},
):

    @task
    def draw_week(data_interval_start=None, data_interval_end=None) -> str:  # noqa: ANN001 (Airflow passes them)
        """Plot the week and return the path of the image."""
        hook = BaseHook.get_hook("audience_db")
        sums = ", ".join(f"SUM({column})" for column in COUNTS)
        # The table holds UTC times. Every database reads ISO 8601; SQLite compares it as text.
        week = [moment.in_timezone("UTC").isoformat() for moment in (data_interval_start, data_interval_end)]
        hours = hook.get_records(
            f"SELECT bucket_start, {sums} FROM audience_by_hour "  # noqa: S608 (column names are constants)
            f"WHERE bucket_start >= {hook.placeholder} AND bucket_start < {hook.placeholder} "
            "GROUP BY bucket_start ORDER BY bucket_start",
            parameters=week,
        )
        if len(hours) != (data_interval_end - data_interval_start).total_seconds() / 3600:
            raise ValueError(f"The table has {len(hours)} hours of the week. Load the missing days and retry.")
        os.makedirs(FOLDER, exist_ok=True)  # noqa: PTH103 (a short example)
        path = f"{FOLDER}/audience-{data_interval_start:%G-W%V}.png"
        last = data_interval_end.subtract(days=1)
        picture(hours, f"Audience, {data_interval_start:%d %B} to {last:%d %B %Y}").savefig(path)
        print(f"The week's picture: {path}")
        return path

    draw_week()


def picture(hours: list, title: str):  # noqa: ANN201 (matplotlib is imported below)
    """Return a figure with the people over time and the gender and age of interested people."""
    from matplotlib.dates import DateFormatter, DayLocator
    from matplotlib.figure import Figure

    times = [pendulum.parse(str(hour[0])) for hour in hours]
    total = {column: [int(hour[1 + index] or 0) for hour in hours] for index, column in enumerate(COUNTS)}
    figure = Figure(figsize=(12, 8), layout="constrained")
    figure.suptitle(title, fontsize=15, fontweight="bold")
    over_time, *shares = figure.subplot_mosaic([["time", "time"], ["gender", "age"]], height_ratios=[3, 2]).values()

    over_time.fill_between(times, total["passing_by"], step="post", color="#c7d3e3", label="passing by")
    over_time.fill_between(times, total["interested"], step="post", color="#2f6db3", label="interested")
    over_time.set(ylabel="people per hour", xlabel="time (UTC)", xlim=(times[0], times[-1].add(hours=1)))
    over_time.set_ylim(bottom=0)
    over_time.xaxis.set_major_locator(DayLocator())
    over_time.xaxis.set_major_formatter(DateFormatter("%a %d %b"))
    over_time.legend(loc="upper left", ncols=2, frameon=False)

    bars = (
        ("Gender", {"women": ["gender_female"], "men": ["gender_male"], "unknown": ["gender_unknown"]}),
        (
            "Age",
            {
                "young": ["category_young_female", "category_young_male"],
                "senior": ["category_senior_female", "category_senior_male"],
            },
        ),
    )
    for axes, (name, groups) in zip(shares, bars, strict=True):
        people = [sum(sum(total[column]) for column in columns) for columns in groups.values()]
        names = list(groups)
        if name == "Age":
            # People of unknown age or gender are in no category.
            names, people = [*names, "unknown"], [*people, sum(total["interested"]) - sum(people)]
        chart = axes.barh(names, people, color=["#2f6db3", "#7aa6d6", "#b9bec6"])
        total_people = sum(people) or 1
        axes.bar_label(chart, [f"{count:,}  ({count / total_people:.0%})" for count in people], padding=4)
        axes.set(title=f"{name} of interested people", xlabel="people in the week")
        axes.margins(x=0.25)
        axes.invert_yaxis()
    for axes in (over_time, *shares):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
