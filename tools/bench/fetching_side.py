"""One process that fetches what the plan says and writes down what that took.

The plain loop is what one would write in a PythonOperator, the HttpOperator what one would make of the HTTP provider:
they check nothing, retry nothing, and leave the token to somebody else.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METRICS = ["passing_by", "interested", "stop_time", "attention_time", "gender", "category"]

#: Imported where a connection is read; a task's process has it from the supervisor that it is forked from.
CONNECTIONS = "airflow.sdk.execution_time.supervisor"

#: What is imported when it is first needed; what modules take is not what fetching takes.
IMPORTED_LATE = {
    "angus": (
        CONNECTIONS,
        "airflow_provider_angus.client",
        "airflow_provider_angus.connection",
        "airflow_provider_angus.fetching",
    ),
    "iterated": (CONNECTIONS, "airflow_provider_angus.client", "airflow_provider_angus.connection"),
    "http": (CONNECTIONS, "airflow.providers.http.hooks.http", "requests"),
    "loop": ("requests",),
}


def token(plan: dict[str, Any]) -> str:
    """Return a token, as a person who has read the API's page gets one."""
    import requests

    login = plan["login"]
    who = {"username": login["login"], "access_token": login["password"], **login["extra"]}
    return str(requests.post(f"{plan['url']}/api-token-authstream/", json=who, timeout=30).json()["token"])


def query(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the query of the first page."""
    dates = {name: plan[name] for name in ("from_date", "to_date")}
    return {"metrics": ",".join(METRICS), "time": "by_hour", "page": 1, **dates}


def flat(plan: dict[str, Any], entities: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for each bucket, without the one that starts at the end, which is the next run's."""
    for start, bucket in entities.items():
        if start < plan["to_date"]:
            numbers = {f"{metric}_{key}": value for metric, values in bucket.items() for key, value in values.items()}
            yield {"bucket_start": start, **numbers}


def by_loop(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what a loop with requests does."""

    def load() -> int:
        import requests

        rows, page, pages = [], 0, 1
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token(plan)}"
            while page < pages:
                page += 1
                asked = query(plan) | {"page": page}
                answer = session.get(f"{plan['url']}/api/1/entities", params=asked, timeout=30).json()
                pages = answer["nb_of_pages"]
                rows += flat(plan, answer["entities"])
        return len(rows)

    return load


def by_http(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what the HTTP provider's operator does with a pagination function."""
    from airflow.providers.http.operators.http import HttpOperator

    def next_page(response: Any) -> dict[str, Any] | None:
        answer = response.json()
        page = answer["page"] + 1
        return {"data": {"page": page}} if page <= answer["nb_of_pages"] else None

    def load() -> int:
        bench = HttpOperator(
            task_id="bench",
            method="GET",
            endpoint="api/1/entities",
            data=query(plan),
            headers={"Authorization": f"Bearer {token(plan)}"},
            pagination_function=next_page,
            response_filter=lambda pages: [row for page in pages for row in flat(plan, page.json()["entities"])],
        )
        return len(bench.execute({}))

    return load


def by_angus(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what our operator does."""
    from airflow_provider_angus.operators import AngusEntitiesOperator

    dates = {name: plan[name] for name in ("from_date", "to_date")}
    operator = AngusEntitiesOperator(task_id="bench", metrics=METRICS, time="by_hour", **dates)
    return lambda: len(operator.execute({}))


def iterated(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what iterates over our hook's rows and keeps none."""
    from airflow_provider_angus.hooks import AngusHook

    asked = (METRICS, plan["from_date"], plan["to_date"], "by_hour")
    return lambda: sum(1 for _ in AngusHook().iter_entities(*asked))


TARGETS = {"loop": by_loop, "http": by_http, "angus": by_angus, "iterated": iterated}


def main() -> int:
    """Measure what the plan names."""
    plan = json.loads(sys.argv[1])
    if plan.get("cold"):
        # What is there in any worker.
        importlib.import_module("airflow.sdk.bases.operator")
        importlib.import_module("airflow.sdk.bases.hook")
    begun = time.time()
    load = TARGETS[plan["target"]](plan)
    for module in () if plan.get("cold") else IMPORTED_LATE[plan["target"]]:
        importlib.import_module(module)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = load()
    measured = {
        "rows": rows,
        "begun": begun,
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        # In KiB on Linux.
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    Path(plan["result"]).write_text(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
