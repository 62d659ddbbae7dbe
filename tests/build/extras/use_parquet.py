"""The extra ``parquet``: a day in a Parquet file."""

import os

from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

with Sandbox() as sandbox:
    os.environ["AIRFLOW_CONN_ANGUS_DEFAULT"] = sandbox.connection_json()
    AngusToObjectStorageOperator(
        task_id="write",
        metrics="passing_by",
        time="by_hour",
        from_date="2026-11-20",
        to_date="2026-11-21",
        path=os.path.abspath("day.parquet"),
    ).execute({})

from pyarrow import parquet

assert parquet.read_table("day.parquet").num_rows == 24
