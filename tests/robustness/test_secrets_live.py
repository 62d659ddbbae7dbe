"""A running scheduler, its workers and its triggerer write no secret, with log level DEBUG."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_versions import AIRFLOW_3
from echo_server import SUCCESSFUL, TRIGGERER, EchoServer, search_secrets
from live_airflow import LiveAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outcome_table import Record

#: The server's behaviours towards workers. All paths use the first two.
BEHAVIOURS = [
    "correct_response",
    "entities_status_500",
    "credentials_refused",
    "token_invalid_json",
    "entities_status_401",
    "entities_invalid_json",
    "entities_redirect",
    "entities_no_response",
    "proxy_correct_response",
    "proxy_status_407",
    "proxy_refuses_tunnel",
]

#: The server's behaviours towards the triggerer, after a worker has deferred.
TRIGGERER_BEHAVIOURS = [
    f"{TRIGGERER}{name}"
    for name in (
        "correct_response",
        "credentials_refused",
        "entities_status_401",
        "entities_status_500",
        "entities_redirect",
        "token_redirect",
        "proxy_status_407",
    )
]
FINAL = {"success", "failed", "skipped"}
TASKS = len(BEHAVIOURS) + 2 + len(TRIGGERER_BEHAVIOURS) + 4


@pytest.fixture(scope="module")
def live() -> Iterator[LiveAirflow]:
    """An Airflow in which all tasks of the DAG have ended."""
    home = Path(f"{os.environ['AIRFLOW_HOME']}-canaries")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "canaries.py", home / "dags")
    with EchoServer() as server:
        env = server.environment(BEHAVIOURS + TRIGGERER_BEHAVIOURS) | {
            "AIRFLOW_CONN_CANARY_DATABASE": json.dumps({"conn_type": "sqlite", "host": f"{home}/loaded.sqlite"}),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "urllib3=DEBUG httpx=DEBUG httpcore=DEBUG",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": f"{home}/openlineage.json", "append": True}
            ),
            "BEHAVIOURS": ",".join(BEHAVIOURS),
            "TRIGGERER_BEHAVIOURS": ",".join(TRIGGERER_BEHAVIOURS),
        }
        live = LiveAirflow(home, home / "dags", env)
        try:
            live.start_all()
            assert live.wait_until(lambda: len(final_states(live)) == TASKS, 600), final_states(live)
            # The event of the last task.
            live.wait_until(lambda: "COMPLETE" in lineage_events(live), 20)
        finally:
            live.close()
        yield live


def final_states(live: LiveAirflow) -> dict[tuple[str, int], str]:
    """Return the states of the tasks that have ended, by task ID and map index."""
    found = live.query("SELECT task_id, map_index, state FROM task_instance")
    return {(str(task), int(str(index))): str(state) for task, index, state in found if state in FINAL}


def lineage_events(live: LiveAirflow) -> str:
    path = live.home / "openlineage.json"
    return path.read_text() if path.exists() else ""


def test_airflow_files_contain_no_secret(live: LiveAirflow, record: Record) -> None:
    search = search_secrets().search_folder(live.home)
    assert search.found == {}
    path = "running Airflow 3" if AIRFLOW_3 else "running Airflow 2.11"
    record("secrets in logs, errors, objects, tables", path, f"0 found in {search.size:,} bytes")


def test_tasks_of_all_paths_end_as_expected(live: LiveAirflow, record: Record) -> None:
    states = final_states(live)
    for number, name in enumerate(BEHAVIOURS):
        assert states["operator", number] == ("success" if name in SUCCESSFUL else "failed"), name
    for number, name in enumerate(TRIGGERER_BEHAVIOURS):
        assert states["trigger", number] == "success", name
    for path, index in (("poke", 0), ("file_correct_response", -1), ("table_correct_response", -1)):
        assert states[path, index] == "success"
    for path, index in (("poke", 1), ("file_entities_status_500", -1), ("table_entities_status_500", -1)):
        assert states[path, index] == "failed"
    record("echoed secrets", "running scheduler", "no secret found", TASKS)


def test_search_covers_logs_database_and_lineage(live: LiveAirflow) -> None:
    search = search_secrets().search_folder(live.home)
    logs = "".join(path.read_text(errors="replace") for path in (live.home / "logs").rglob("*.log*"))
    trigger_logs = "".join(path.read_text(errors="replace") for path in (live.home / "logs").rglob("*.trigger.*"))
    assert "Starting new HTTP connection" in logs
    assert "send_request_headers" in trigger_logs
    assert "refused with status 401" in trigger_logs
    assert {"xcom", "rendered_task_instance_fields", "serialized_dag"} <= search.filled_tables
    assert {"asset_event", "dataset_event"} & search.filled_tables
    assert "angus://canary-stream" in lineage_events(live)
