"""The week of all cameras as a picture: people over time, by gender and by age, from the table of the daily load.

**What it shows.** Rows that ``AngusToSqlOperator`` has landed are an ordinary table: this DAG asks it with SQL and
draws the three pictures of the vendor's dashboard with matplotlib.

**To use it** copy the file into your DAGs folder beside ``angus_daily_to_sql``, install
``airflow-provider-angus[report,sql]``, and say in ``FOLDER`` where the pictures should be.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseHook, task
from airflow.timetables.interval import CronDataIntervalTimetable

FOLDER = os.environ.get("ANGUS_FOLDER", "/tmp/audience")  # noqa: S108 (an example, to be changed)

COUNTS = [
    *["passing_by", "interested", "gender_female", "gender_male", "gender_unknown"],
    *["category_young_female", "category_young_male", "category_senior_female", "category_senior_male"],
]

with DAG(
    dag_id="angus_weekly_report",
    doc_md=__doc__,
    # Mondays: the run's data interval is the week before. Sunday is loaded at the same hour; a week that is not whole
    # yet is an error here, and tried again an hour later.
    schedule=CronDataIntervalTimetable("0 0 * * MON", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 5, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2, "retry_delay": timedelta(hours=1)},
):

    @task
    def draw_week(data_interval_start=None, data_interval_end=None) -> str:  # noqa: ANN001 (Airflow hands them in)
        """Draw the week and return the picture's path."""
        hook = BaseHook.get_hook("audience_db")
        sums = ", ".join(f"SUM({column})" for column in COUNTS)
        # As the rows have them: ISO 8601 in UTC, which every database reads, SQLite as text.
        week = [moment.in_timezone("UTC").isoformat() for moment in (data_interval_start, data_interval_end)]
        hours = hook.get_records(
            f"SELECT bucket_start, {sums} FROM audience_by_hour "  # noqa: S608 (the columns above)
            f"WHERE bucket_start >= {hook.placeholder} AND bucket_start < {hook.placeholder} "
            "GROUP BY bucket_start ORDER BY bucket_start",
            parameters=week,
        )
        if len(hours) != (data_interval_end - data_interval_start).total_seconds() / 3600:
            raise ValueError(f"The table has {len(hours)} hours of the week: has each day been loaded?")
        os.makedirs(FOLDER, exist_ok=True)  # noqa: PTH103 (an example)
        path = f"{FOLDER}/audience-{data_interval_start:%G-W%V}.png"
        last = data_interval_end.subtract(days=1)
        picture(hours, f"Audience, {data_interval_start:%d %B} to {last:%d %B %Y}").savefig(path)
        print(f"The week's picture: {path}")
        return path

    draw_week()


def picture(hours: list, title: str):  # noqa: ANN201 (matplotlib is imported where it is used)
    """Return the figure: passing and interested people over time, below it gender and age of those interested."""
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
            # Those of unknown age or gender are in no category.
            names, people = [*names, "unknown"], [*people, sum(total["interested"]) - sum(people)]
        drawn = axes.barh(names, people, color=["#2f6db3", "#7aa6d6", "#b9bec6"])
        whole = sum(people) or 1
        axes.bar_label(drawn, [f"{count:,}  ({count / whole:.0%})" for count in people], padding=4)
        axes.set(title=f"{name} of interested people", xlabel="people in the week")
        axes.margins(x=0.25)
        axes.invert_yaxis()
    for axes in (over_time, *shares):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
