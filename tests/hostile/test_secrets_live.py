"""No secret in anything that a live scheduler, its workers and its triggerer write, all of it with log level DEBUG."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_runs import AIRFLOW_3
from canaries import HARMLESS, Echo, Search, connections
from live_airflow import LiveAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Tell

#: What the server does to workers; the first two in every path.
BEHAVIOURS = [
    "well",
    "jwt_meets_500",
    "token_is_refused",
    "token_is_no_json",
    "jwt_meets_401",
    "jwt_is_in_no_json",
    "jwt_is_elsewhere",
    "jwt_meets_silence",
    "proxy_does_well",
    "proxy_refuses",
    "proxy_refuses_a_tunnel",
]

#: What it does to the triggerer, once a worker has deferred.
LATER = [
    f"later_{name}"
    for name in (
        "well",
        "token_is_refused",
        "jwt_meets_401",
        "jwt_meets_500",
        "jwt_is_elsewhere",
        "token_is_elsewhere",
        "proxy_refuses",
    )
]
ENDED = {"success", "failed", "skipped"}
TASKS = len(BEHAVIOURS) + 2 + len(LATER) + 4


@pytest.fixture(scope="module")
def live() -> Iterator[LiveAirflow]:
    """An Airflow in which every task of the DAG has come to its end."""
    home = Path(f"{os.environ['AIRFLOW_HOME']}-canaries")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "canaries.py", home / "dags")
    with Echo() as echo:
        env = connections(echo, BEHAVIOURS + LATER) | {
            "AIRFLOW_CONN_CANARY_DATABASE": json.dumps({"conn_type": "sqlite", "host": f"{home}/landed.sqlite"}),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "urllib3=DEBUG httpx=DEBUG httpcore=DEBUG",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": f"{home}/openlineage.json", "append": True}
            ),
            "BEHAVIOURS": ",".join(BEHAVIOURS),
            "LATER": ",".join(LATER),
        }
        live = LiveAirflow(home, home / "dags", env)
        try:
            live.start_all()
            assert live.wait_until(lambda: len(ended(live)) == TASKS, 600), ended(live)
            # What they say last.
            live.wait_until(lambda: "COMPLETE" in lineage(live), 20)
        finally:
            live.close()
        yield live


def ended(live: LiveAirflow) -> dict[tuple[str, int], str]:
    """Return the states of the tasks that have ended."""
    found = live.query("SELECT task_id, map_index, state FROM task_instance")
    return {(str(task), int(str(index))): str(state) for task, index, state in found if state in ENDED}


def lineage(live: LiveAirflow) -> str:
    path = live.home / "openlineage.json"
    return path.read_text() if path.exists() else ""


def test_nothing_that_airflow_writes_holds_a_secret(live: LiveAirflow, tell: Tell) -> None:
    search = Search().folder(live.home)
    assert search.found == {}
    where = "live, Airflow 3" if AIRFLOW_3 else "live, Airflow 2.11"
    tell("canaries in logs, errors, objects, tables", where, f"0 found in {search.size:,} bytes")


def test_every_path_was_taken_and_ended_as_it_should(live: LiveAirflow, tell: Tell) -> None:
    states = ended(live)
    for number, name in enumerate(BEHAVIOURS):
        assert states["operator", number] == ("success" if name in HARMLESS else "failed"), name
    for number, name in enumerate(LATER):
        assert states["trigger", number] == "success", name
    for path, index in (("poke", 0), ("file_well", -1), ("table_well", -1)):
        assert states[path, index] == "success"
    for path, index in (("poke", 1), ("file_jwt_meets_500", -1), ("table_jwt_meets_500", -1)):
        assert states[path, index] == "failed"
    tell("secrets echoed, a canary in each", "live scheduler", "not one leaked", TASKS)


def test_what_was_searched_is_what_could_have_told(live: LiveAirflow) -> None:
    search = Search().folder(live.home)
    logs = "".join(path.read_text(errors="replace") for path in (live.home / "logs").rglob("*.log*"))
    triggers = "".join(path.read_text(errors="replace") for path in (live.home / "logs").rglob("*.trigger.*"))
    assert "Starting new HTTP connection" in logs
    assert "send_request_headers" in triggers
    assert "was refused with 401" in triggers
    assert {"xcom", "rendered_task_instance_fields", "serialized_dag"} <= search.filled_tables
    assert {"asset_event", "dataset_event"} & search.filled_tables
    assert "angus://canary-stream" in lineage(live)
