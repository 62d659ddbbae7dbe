"""One process that imports what the plan names, or parses a DAG of a thousand tasks, and writes down what that took."""

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
        asked = {"metrics": ["passing_by", "interested"], "time": "by_hour", "angus_conn_id": f"shop_{number}"}
        AngusEntitiesSensor(task_id=f"wait_{number}", deferrable=True, **asked)
        AngusEntitiesOperator(task_id=f"fetch_{number}", **asked)
""",
    ),
}


def imported(modules: list[str]) -> dict[str, float]:
    """Return how long importing takes once ``airflow.sdk`` is there, in seconds."""
    # What a DAG file imports of Airflow anyway; its attributes are imported when they are asked for.
    from airflow.sdk import DAG, BaseOperator, BaseSensorOperator  # noqa: F401

    begun = time.perf_counter()
    for module in modules:
        importlib.import_module(module)
    return {"seconds": time.perf_counter() - begun}


def parsed(kind: str, folder: str) -> dict[str, float]:
    """Return how long a DAG file takes to be parsed, serialised and deserialised, in seconds each."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    imports, tasks = TASKS[kind]
    path = Path(folder, f"thousand_{kind}.py")
    path.write_text(HEAD.format(imports=imports) + tasks)
    took: dict[str, float] = {}

    def timed(name: str, does: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = does()
        took[name] = time.perf_counter() - begun
        return result

    # As Airflow's DAG processor does: else the garbage collector walks through Airflow in one run and not in another.
    gc.freeze()
    bag = timed("parsed", lambda: DagBag(path))
    if bag.import_errors or len(bag.dags["thousand"].tasks) != 1000:  # noqa: PLR2004 (a thousand)
        raise RuntimeError(f"The DAG is not as it should be: {bag.import_errors}")
    text = timed("serialised", lambda: json.dumps(DagSerialization.to_dict(bag.dags["thousand"])))
    timed("deserialised", lambda: DagSerialization.from_dict(json.loads(text)))
    return took


def main() -> int:
    """Measure what the plan names."""
    plan = json.loads(sys.argv[1])
    measured = imported(plan["modules"]) if "modules" in plan else parsed(plan["tasks"], plan["folder"])
    Path(plan["result"]).write_text(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
