"""The extra ``sql`` with the provider of a database: a day in a SQLite table."""

import json
import os
import sqlite3

from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.transfers import AngusToSqlOperator

with Sandbox() as sandbox:
    os.environ["AIRFLOW_CONN_ANGUS_DEFAULT"] = sandbox.connection_json()
    os.environ["AIRFLOW_CONN_DB"] = json.dumps({"conn_type": "sqlite", "host": os.path.abspath("day.sqlite")})
    AngusToSqlOperator(
        task_id="load",
        metrics="passing_by",
        time="by_hour",
        from_date="2026-11-20",
        to_date="2026-11-21",
        sql_conn_id="db",
        table="audience",
        create_table=True,
    ).execute({})
assert sqlite3.connect("day.sqlite").execute("SELECT COUNT(DISTINCT bucket_start) FROM audience").fetchall() == [(24,)]
