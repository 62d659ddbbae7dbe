"""Load an interval or fetch a list of streams, and write the measurements: a process of ``loading.py``.

The plain loops write the target file directly.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

METRICS = ["passing_by", "interested", "stop_time", "attention_time", "gender", "category", "satisfaction"]


def load_file(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that loads a file with AngusToObjectStorageOperator."""
    from airflow_provider_angus.transfers import AngusToObjectStorageOperator

    operator = AngusToObjectStorageOperator(**query(plan), path=f"{plan['folder']}/loading.{plan['target']}")
    return lambda: int(operator.execute({})["rows"])


def load_sqlite(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that loads a table with AngusToSqlOperator."""
    from airflow_provider_angus.transfers import AngusToSqlOperator

    table = {"sql_conn_id": "bench_sqlite", "table": "audience", "create_table": True}
    operator = AngusToSqlOperator(**query(plan), **table)
    return lambda: int(operator.execute({})["rows"])


def load_with_loop(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that writes a file with a loop."""
    import plain_loop

    def load() -> int:
        count, table = 0, None
        with Path(plan["folder"], f"loading.{plan['target']}").open("w") as file:
            for row in plain_loop.rows(plan, METRICS):
                count += 1
                if plan["target"] == "plain-jsonl":
                    file.write(json.dumps(row) + "\n")
                    continue
                if table is None:
                    table = csv.DictWriter(file, list(row), extrasaction="ignore")
                    table.writeheader()
                table.writerow(row)
        return count

    return load


def fetch_sequentially(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that fetches streams one after the other."""
    from airflow_provider_angus.hooks import AngusHook

    def load() -> int:
        day = ("2026-11-19", "2026-11-20")
        hooks = (AngusHook(f"angus_{number}") for number in range(*plan["streams"]))
        return sum(len(hook.get_entities("passing_by", *day, "by_hour")) for hook in hooks)

    return load


def fetch_list(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that fetches streams with one operator."""
    from airflow_provider_angus.operators import AngusEntitiesOperator

    operator = AngusEntitiesOperator(
        task_id="bench",
        metrics="passing_by",
        time="by_hour",
        angus_conn_id=[f"angus_{number}" for number in range(*plan["streams"])],
        from_date="2026-11-19",
        to_date="2026-11-20",
    )
    return lambda: len(operator.execute({}))


def query(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a transfer without its target."""
    arguments = {"task_id": "bench", "metrics": METRICS, "time": "by_hour", "angus_conn_id": "angus_0"}
    return arguments | {name: plan[name] for name in ("from_date", "to_date")}


TARGETS = {
    "jsonl": load_file,
    "parquet": load_file,
    "sqlite": load_sqlite,
    "plain-jsonl": load_with_loop,
    "plain-csv": load_with_loop,
    "sequential": fetch_sequentially,
    "list": fetch_list,
}


def main() -> int:
    """Measure the plan's target."""
    plan = json.loads(sys.argv[1])
    load = TARGETS[plan["target"]](plan)
    started = time.perf_counter()
    rows = load()
    seconds = time.perf_counter() - started
    # Linux reports KiB.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = {"rows": rows, "seconds": seconds, "memory": memory}
    Path(plan["result"]).write_text(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
