"""Plot the weekly audience of all cameras: people over time, hours in the table, gender and age.

The DAG reads the table of ``angus_daily_to_sql`` with SQL. It draws the three charts of the Angus dashboard with
matplotlib, and shows which hours of which camera are loaded, zero or missing. It saves them as one image.

**Needs:** the table of ``angus_daily_to_sql``, and ``airflow-provider-angus[report,sql]``. Set ``FOLDER`` to the folder
for the images.

**You will see:** an image such as ``audience-2026-W47.png``, and its path in the log of ``draw_week``.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime

import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseHook, task
from airflow.timetables.interval import CronDataIntervalTimetable

FOLDER = os.environ.get("ANGUS_FOLDER", "/tmp/audience")  # noqa: S108 (an example path)

COUNTS = [
    *["passing_by", "interested", "gender_female", "gender_male", "gender_unknown"],
    *["category_young_female", "category_young_male", "category_senior_female", "category_senior_male"],
]

#: Above a chart, on the right.
LEGEND = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2, "frameon": False}

with DAG(
    dag_id="angus_weekly_report",
    doc_md=__doc__,
    # On Monday at 06:00 UTC, after Sunday has been loaded.
    schedule=CronDataIntervalTimetable("0 6 * * MON", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 5, tz="UTC"),
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2},
):

    @task
    def draw_week(data_interval_end=None) -> str:  # noqa: ANN001 (Airflow passes it)
        """Plot the last complete week, Monday to Sunday in UTC, and return the path of the image."""
        end = data_interval_end.in_timezone("UTC").start_of("week")
        start = end.subtract(weeks=1)
        rows = select(f"stream, bucket_start, {', '.join(COUNTS)}", start, end)
        # A camera may have no rows in the week.
        streams = sorted(stream for (stream,) in select("DISTINCT stream", start.subtract(weeks=4), end))
        if not streams:
            raise ValueError("The table has no rows of the last five weeks.")
        loaded, hours = Counter(row[0] for row in rows), (end - start).days * 24
        missing = [f"{stream} {hours - loaded[stream]}" for stream in streams if loaded[stream] < hours]
        print(f"{len(rows)} of {len(streams) * hours} hours are loaded. Missing: {', '.join(missing) or 'none'}.")
        os.makedirs(FOLDER, exist_ok=True)  # noqa: PTH103 (a short example)
        path = f"{FOLDER}/audience-{start:%G-W%V}.png"
        picture(rows, streams, start, hours).savefig(path)
        print(f"The week's picture: {path}")
        return path

    draw_week()


def select(columns: str, start: datetime, end: datetime) -> list:
    """Return columns of the rows between two times."""
    hook = BaseHook.get_hook("audience_db")
    return hook.get_records(
        f"SELECT {columns} FROM audience_by_hour "  # noqa: S608 (column names are constants)
        f"WHERE bucket_start >= {hook.placeholder} AND bucket_start < {hook.placeholder}",
        # The table holds UTC times. Every database reads ISO 8601; SQLite compares it as text.
        parameters=[start.isoformat(), end.isoformat()],
    )


def picture(rows: list, streams: list[str], start: pendulum.DateTime, hours: int):  # noqa: ANN201 (matplotlib's)
    """Return a figure: people over time, hours in the table, gender and age of interested people.

    :param rows: the stream, the start (UTC) and the counts of each hour of each camera.
    """
    from matplotlib.dates import DateFormatter, DayLocator
    from matplotlib.figure import Figure

    edges = [start.add(hours=hour) for hour in range(hours + 1)]
    people = {
        (stream, pendulum.parse(str(hour)).in_timezone("UTC")): [count or 0 for count in counts]
        for stream, hour, *counts in rows
    }
    total = {column: sum(counts[index] for counts in people.values()) for index, column in enumerate(COUNTS)}

    height = 0.5 + 0.2 * len(streams)  # inches
    figure = Figure(figsize=(12, 8 + height), layout="constrained")
    last = edges[-1].subtract(days=1)
    figure.suptitle(f"Audience, {start:%d %B} to {last:%d %B %Y}", fontsize=15, fontweight="bold")
    over_time, coverage, *shares = figure.subplot_mosaic(
        [["time", "time"], ["hours", "hours"], ["gender", "age"]], height_ratios=[4, height, 2.6]
    ).values()

    for column, color in (("passing_by", "#c7d3e3"), ("interested", "#2f6db3")):
        index, sums = COUNTS.index(column), []
        for hour in edges[:-1]:
            counts = [people[stream, hour][index] for stream in streams if (stream, hour) in people]
            # An hour that no camera has is a gap.
            sums.append(sum(counts) if counts else float("nan"))
        over_time.fill_between(edges, [*sums, sums[-1]], step="post", color=color, label=column.replace("_", " "))
    over_time.set(ylabel="people per hour")
    over_time.set_ylim(bottom=0)
    over_time.set_title("People over time", loc="left")
    over_time.legend(**LEGEND, ncols=2)

    draw_coverage(coverage, people, streams, edges)
    for axes in (over_time, coverage):
        axes.set(xlim=(edges[0], edges[-1]), xlabel="time (UTC)")
        axes.xaxis.set_major_locator(DayLocator())
        axes.xaxis.set_major_formatter(DateFormatter("%a %d %b"))

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
        sums = [sum(total[column] for column in columns) for columns in groups.values()]
        names = list(groups)
        if name == "Age":
            # People of unknown age or gender are in no category.
            names, sums = [*names, "unknown"], [*sums, total["interested"] - sum(sums)]
        chart = axes.barh(names, sums, color=["#2f6db3", "#7aa6d6", "#b9bec6"])
        whole = sum(sums) or 1
        axes.bar_label(chart, [f"{count:,}  ({count / whole:.0%})" for count in sums], padding=4)
        axes.set(title=f"{name} of interested people", xlabel="people in the week")
        axes.margins(x=0.25)
        axes.invert_yaxis()
    for axes in (over_time, coverage, *shares):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_coverage(axes, people: dict, streams: list[str], edges: list) -> None:  # noqa: ANN001 (matplotlib's)
    """Draw a row for each camera: which hours the table has."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    states = {"loaded": "#2f6db3", "zero: no people": "#c7d3e3", "missing": "#d1495b"}
    passing_by = COUNTS.index("passing_by")
    codes = [
        [2 if (stream, hour) not in people else int(people[stream, hour][passing_by] == 0) for hour in edges[:-1]]
        for stream in streams
    ]
    axes.pcolormesh(edges, range(len(streams) + 1), codes, cmap=ListedColormap([*states.values()]), vmin=0, vmax=2)
    axes.hlines(range(1, len(streams)), edges[0], edges[-1], color="white", linewidth=1.5)
    axes.set_yticks([row + 0.5 for row in range(len(streams))], [stream[:36] for stream in streams], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_title("Hours in the table", loc="left")
    handles = [Patch(color=color, label=state) for state, color in states.items()]
    axes.legend(**LEGEND, handles=handles, ncols=3)
