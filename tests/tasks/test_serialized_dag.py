"""The serialised DAG: Airflow stores a new version of a DAG whenever it differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import json
from datetime import UTC, datetime, timedelta
from airflow.providers.common.compat.sdk import DAG
from airflow.serialization import serialized_objects
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

serialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
metrics = {"passing_by", "interested", "gender", "category", "stop_time"}
ids = frozenset({"shop_a", "shop_b", "shop_c", 20231023, "{{ params.shop }}"})
with DAG("sets", schedule=None, start_date=datetime(2026, 11, 20, tzinfo=UTC)) as dag:
    AngusEntitiesOperator(task_id="fetch", metrics=metrics, angus_conn_id=ids)
    AngusEntitiesOperator(task_id="lazy", metrics=iter(sorted(metrics)), angus_conn_id=dict.fromkeys(["a", "b"]).keys())
    AngusToObjectStorageOperator(task_id="load", metrics=frozenset(metrics), angus_conn_id=ids, path="a.csv")
    AngusEntitiesSensor(task_id="wait", metrics=metrics)
print("\\n" + json.dumps(serialization.to_dict(dag), sort_keys=True))
"""


@pytest.mark.usefixtures("airflow")
def test_serialized_dag_with_sets_is_equal_in_each_process(tmp_path: Path) -> None:
    file = tmp_path / "sets.py"
    file.write_text(_SCRIPT)
    processes = [
        subprocess.Popen(
            [sys.executable, str(file)],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(2)
    ]
    first, second = (process.communicate()[0].splitlines()[-1] for process in processes)
    assert first == second
    assert '"metrics": ["category", "gender", "interested", "passing_by", "stop_time"]' in first
    assert '[20231023, "shop_a", "shop_b", "shop_c", "{{ params.shop }}"]' in first
