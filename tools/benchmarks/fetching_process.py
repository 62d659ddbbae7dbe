"""Fetch an interval and write the measurements: a process of ``fetching.py``.

The loop is what a user would write in a PythonOperator, the HttpOperator what a user would build on the HTTP provider.
Both check nothing, retry nothing and do not manage tokens.
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

#: Imported when a connection is read. A task's process inherits it from the supervisor that it is forked from.
CONNECTIONS = "airflow.sdk.execution_time.supervisor"

#: Modules that are imported on first use. Import time is not fetching time.
LAZY_IMPORTS = {
    "angus": (
        CONNECTIONS,
        "airflow_provider_angus.api.client",
        "airflow_provider_angus.loading.multi_stream",
    ),
    "iterate": (CONNECTIONS, "airflow_provider_angus.api.client"),
    "http": (CONNECTIONS, "airflow.providers.http.hooks.http", "requests"),
    "loop": ("requests",),
}


def token(plan: dict[str, Any]) -> str:
    """Return a token, as the API documentation describes."""
    import requests

    login = plan["login"]
    credentials = {"username": login["login"], "access_token": login["password"], **login["extra"]}
    return str(requests.post(f"{plan['url']}/api-token-authstream/", json=credentials, timeout=30).json()["token"])


def query(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the query of the first page."""
    dates = {name: plan[name] for name in ("from_date", "to_date")}
    return {"metrics": ",".join(METRICS), "time": "by_hour", "page": 1, **dates}


def flatten(plan: dict[str, Any], entities: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row per bucket, without the bucket that starts at the end of the interval."""
    for start, bucket in entities.items():
        if start < plan["to_date"]:
            numbers = {f"{metric}_{key}": value for metric, values in bucket.items() for key, value in values.items()}
            yield {"bucket_start": start, **numbers}


def fetch_with_loop(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that fetches with a loop."""

    def load() -> int:
        import requests

        rows, page, pages = [], 0, 1
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token(plan)}"
            while page < pages:
                page += 1
                params = query(plan) | {"page": page}
                body = session.get(f"{plan['url']}/api/1/entities", params=params, timeout=30).json()
                pages = body["nb_of_pages"]
                rows += flatten(plan, body["entities"])
        return len(rows)

    return load


def fetch_with_http(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that fetches with the HTTP provider's operator and its pagination."""
    from airflow.providers.http.operators.http import HttpOperator

    def next_page(response: Any) -> dict[str, Any] | None:
        body = response.json()
        page = body["page"] + 1
        return {"data": {"page": page}} if page <= body["nb_of_pages"] else None

    def load() -> int:
        bench = HttpOperator(
            task_id="bench",
            method="GET",
            endpoint="api/1/entities",
            data=query(plan),
            headers={"Authorization": f"Bearer {token(plan)}"},
            pagination_function=next_page,
            response_filter=lambda pages: [row for page in pages for row in flatten(plan, page.json()["entities"])],
        )
        return len(bench.execute({}))

    return load


def fetch_with_angus(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that fetches with our operator."""
    from airflow_provider_angus.operators import AngusEntitiesOperator

    dates = {name: plan[name] for name in ("from_date", "to_date")}
    operator = AngusEntitiesOperator(task_id="bench", metrics=METRICS, time="by_hour", **dates)
    return lambda: len(operator.execute({}))


def iterate(plan: dict[str, Any]) -> Callable[[], int]:
    """Return a function that iterates over our hook's rows and keeps none."""
    from airflow_provider_angus.hooks import AngusHook

    query = (METRICS, plan["from_date"], plan["to_date"], "by_hour")
    return lambda: sum(1 for _ in AngusHook().iter_entities(*query))


TARGETS = {"loop": fetch_with_loop, "http": fetch_with_http, "angus": fetch_with_angus, "iterate": iterate}


def main() -> int:
    """Measure the plan's target."""
    plan = json.loads(sys.argv[1])
    if plan.get("cold"):
        # Every worker has imported these modules.
        importlib.import_module("airflow.sdk.bases.operator")
        importlib.import_module("airflow.sdk.bases.hook")
    started = time.time()
    load = TARGETS[plan["target"]](plan)
    for module in () if plan.get("cold") else LAZY_IMPORTS[plan["target"]]:
        importlib.import_module(module)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = load()
    measured = {
        "rows": rows,
        "started": started,
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        # Linux reports KiB.
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    Path(plan["result"]).write_text(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
