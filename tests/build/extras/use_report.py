"""The extra ``report``: the plot of an example DAG. Its argument is the example's file."""

import os
import runpy
import sys

import pendulum

from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.sandbox import Sandbox

example = runpy.run_path(sys.argv[1])
with Sandbox() as sandbox:
    os.environ["AIRFLOW_CONN_ANGUS_DEFAULT"] = sandbox.connection_json()
    rows = AngusHook().get_entities(
        ["passing_by", "interested", "gender", "category"], "2026-11-16", "2026-11-23", "by_hour"
    )
streams = sorted({row["stream"] for row in rows})
hours = [[row["stream"], row["bucket_start"], *(row[column] for column in example["COUNTS"])] for row in rows]
example["picture"](hours, streams, pendulum.datetime(2026, 11, 16), len(rows)).savefig("week.png")
with open("week.png", "rb") as picture:
    assert picture.read(8) == b"\x89PNG\r\n\x1a\n"
