"""The extra ``openlineage``: the lineage from a stream to a file."""

import os

from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

with Sandbox() as sandbox:
    os.environ["AIRFLOW_CONN_ANGUS_DEFAULT"] = sandbox.connection_json()
    write = AngusToObjectStorageOperator(
        task_id="write",
        metrics="passing_by",
        time="by_hour",
        from_date="2026-11-20",
        to_date="2026-11-21",
        path=os.path.abspath("day.jsonl"),
    )
    write.execute({})
lineage = write.get_openlineage_facets_on_complete(None)
assert lineage.inputs[0].namespace == f"angus://{next(iter(sandbox.streams))}", lineage
assert lineage.outputs[0].name.endswith("day.jsonl"), lineage
