"""Import modules or parse a DAG of a thousand tasks, and write the measurements: a process of ``parsing.py``."""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = """
from datetime import datetime

from airflow.sdk import DAG
{imports}

with DAG(dag_id="thousand", schedule=None, start_date=datetime(2026, 1, 1)):
"""

TASKS = {
    "empty": (
        "from airflow.providers.standard.operators.empty import EmptyOperator",
        """
    for number in range(1000):
        EmptyOperator(task_id=f"task_{number}")
""",
    ),
    "angus": (
        """
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor
""",
        """
    for number in range(500):
        query = {"metrics": ["passing_by", "interested"], "time": "by_hour", "angus_conn_id": f"shop_{number}"}
        AngusEntitiesSensor(task_id=f"wait_{number}", deferrable=True, **query)
        AngusEntitiesOperator(task_id=f"fetch_{number}", **query)
""",
    ),
}


def measure_imports(modules: list[str]) -> dict[str, float]:
    """Return the seconds to import modules after ``airflow.sdk``."""
    # Every DAG file imports these. airflow.sdk imports its attributes on first access.
    from airflow.sdk import DAG, BaseOperator, BaseSensorOperator  # noqa: F401

    started = time.perf_counter()
    for module in modules:
        importlib.import_module(module)
    return {"seconds": time.perf_counter() - started}


def measure_parsing(kind: str, folder: str) -> dict[str, float]:
    """Return the seconds to parse, serialise and deserialise a DAG file."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    imports, tasks = TASKS[kind]
    path = Path(folder, f"thousand_{kind}.py")
    path.write_text(HEAD.format(imports=imports) + tasks)
    seconds: dict[str, float] = {}

    def timed(name: str, action: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = action()
        seconds[name] = time.perf_counter() - started
        return result

    # As in Airflow's DAG processor. Otherwise the collector walks through all of Airflow in some of the runs.
    gc.freeze()
    bag = timed("parsed", lambda: DagBag(path))
    if bag.import_errors or len(bag.dags["thousand"].tasks) != 1000:  # noqa: PLR2004 (a thousand)
        raise RuntimeError(f"The DAG file has errors: {bag.import_errors}")
    text = timed("serialised", lambda: json.dumps(DagSerialization.to_dict(bag.dags["thousand"])))
    timed("deserialised", lambda: DagSerialization.from_dict(json.loads(text)))
    return seconds


def main() -> int:
    """Run the plan."""
    plan = json.loads(sys.argv[1])
    measured = measure_imports(plan["modules"]) if "modules" in plan else measure_parsing(plan["tasks"], plan["folder"])
    Path(plan["result"]).write_text(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
