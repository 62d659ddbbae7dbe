"""One process that lands what the plan says and writes down what that took.

The plain loops are what one would write in a PythonOperator; they
check nothing, retry nothing, and write the file where it is to be.
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
    from collections.abc import Callable, Iterator

METRICS = ["passing_by", "interested", "stop_time", "attention_time", "gender", "category", "satisfaction"]


def to_file(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what lands in a file, by AngusToObjectStorageOperator."""
    from airflow_provider_angus.transfers import AngusToObjectStorageOperator

    operator = AngusToObjectStorageOperator(**question(plan), path=f"{plan['folder']}/landing.{plan['target']}")
    return lambda: int(operator.execute({})["rows"])


def to_sqlite(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what lands in a table, by AngusToSqlOperator."""
    from airflow_provider_angus.transfers import AngusToSqlOperator

    where = {"sql_conn_id": "bench_sqlite", "table": "audience", "create_table": True}
    operator = AngusToSqlOperator(**question(plan), **where)
    return lambda: int(operator.execute({})["rows"])


def plain(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what a loop with requests does."""
    import requests

    def pages() -> Iterator[dict[str, Any]]:
        login = plan["login"]
        who = {"username": login["login"], "access_token": login["password"], **login["extra"]}
        token = requests.post(f"{plan['url']}/api-token-authstream/", json=who, timeout=30).json()["token"]
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token}"
            query = {"metrics": ",".join(METRICS), "time": "by_hour"}
            query |= {name: plan[name] for name in ("from_date", "to_date")}
            page, pages = 0, 1
            while page < pages:
                page += 1
                answer = session.get(f"{plan['url']}/api/1/entities", params=query | {"page": page}, timeout=30).json()
                pages = answer["nb_of_pages"]
                yield answer["entities"]

    def flat(start: str, bucket: dict[str, Any]) -> dict[str, Any]:
        numbers = {f"{metric}_{key}": value for metric, values in bucket.items() for key, value in values.items()}
        return {"bucket_start": start, **numbers}

    def load() -> int:
        count, table = 0, None
        with Path(plan["folder"], f"landing.{plan['target']}").open("w") as file:
            for entities in pages():
                for start, bucket in entities.items():
                    # The bucket that starts at the end is the next run's.
                    if start >= plan["to_date"]:
                        continue
                    row = flat(start, bucket)
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


def one_by_one(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what fetches many streams, one after the other."""
    from airflow_provider_angus.hooks import AngusHook

    def load() -> int:
        day = ("2026-11-19", "2026-11-20")
        hooks = (AngusHook(f"angus_{number}") for number in range(plan["streams"]))
        return sum(len(hook.get_entities("passing_by", *day, "by_hour")) for hook in hooks)

    return load


def side_by_side(plan: dict[str, Any]) -> Callable[[], int]:
    """Return what fetches many streams in one task."""
    from airflow_provider_angus.operators import AngusEntitiesOperator

    operator = AngusEntitiesOperator(
        task_id="bench",
        metrics="passing_by",
        time="by_hour",
        angus_conn_id=[f"angus_{number}" for number in range(plan["streams"])],
        from_date="2026-11-19",
        to_date="2026-11-20",
    )
    return lambda: len(operator.execute({}))


class Masker:
    """Sees how long Airflow's secrets masker computes: it compiles all it knows anew for each secret it learns.

    Two secrets of each connection are Airflow's own doing, one is the token's.
    """

    def __init__(self) -> None:
        from airflow.sdk._shared.secrets_masker.secrets_masker import SecretsMasker

        self.seconds = 0.0
        add_mask = SecretsMasker.add_mask

        def timed(masker: SecretsMasker, secret: Any, name: str | None = None) -> None:
            # Collections come back in with each of their items.
            if not isinstance(secret, str):
                add_mask(masker, secret, name)
                return
            begun = time.thread_time()
            add_mask(masker, secret, name)
            self.seconds += time.thread_time() - begun

        SecretsMasker.add_mask = timed


def question(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a transfer, apart from where it goes."""
    asked = {"task_id": "bench", "metrics": METRICS, "time": "by_hour", "angus_conn_id": "angus_0"}
    return asked | {name: plan[name] for name in ("from_date", "to_date")}


MEASURED = {
    "jsonl": to_file,
    "parquet": to_file,
    "sqlite": to_sqlite,
    "plain-jsonl": plain,
    "plain-csv": plain,
    "loop": one_by_one,
    "list": side_by_side,
}


def main() -> int:
    """Measure what the plan names, without what importing takes."""
    plan = json.loads(sys.argv[1])
    masker = Masker()
    load = MEASURED[plan["target"]](plan)
    begun = time.perf_counter()
    rows = load()
    seconds = time.perf_counter() - begun
    # In KiB on Linux.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = {"rows": rows, "seconds": seconds, "memory": memory, "masking": masker.seconds}
    Path(plan["result"]).write_text(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
