"""A running Airflow for all tests of this folder, and the sandboxes of its DAGs."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_versions import AIRFLOW_3
from databases import own_postgres
from live_airflow import LiveAirflow
from scenarios import SCENARIOS
from sensors import EVENING
from sqlalchemy.engine import make_url

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "example_dags"


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    """A sandbox for each scenario of ``dags/waiting.py``, without the last hour of the day."""
    with ExitStack() as stack:
        sandboxes = {name: stack.enter_context(Sandbox()) for name in SCENARIOS}
        for sandbox in sandboxes.values():
            sandbox.clock.set(EVENING)
        yield sandboxes


@pytest.fixture(scope="session")
def watched() -> Iterator[Sandbox]:
    """The sandbox of the example ``angus_hourly_on_asset``, with three hours since the example's first hour."""
    with Sandbox() as sandbox:
        sandbox.clock.set(EVENING)
        yield sandbox


@pytest.fixture(scope="session")
def shops() -> Iterator[Sandbox]:
    """The sandbox of ``dags/scheduling.py`` and of ``angus_hourly_files``, with a stream for each DAG or task."""
    names = ["scheduled", "daily", "backfilled", "shop_1", "shop_2", "shop_3", "files"]
    with Sandbox(streams={name: f"the-secret-of-{name}" for name in names}) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def corrected() -> Iterator[Sandbox]:
    """The sandbox of the DAG ``cleared``. Its data changes between two runs."""
    with Sandbox(streams={"cleared": "the-secret-of-cleared"}) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def live(sandboxes: dict[str, Sandbox], watched: Sandbox, shops: Sandbox, corrected: Sandbox) -> Iterator[LiveAirflow]:
    """A running Airflow on PostgreSQL with the DAGs of ``dags/`` and the examples with assets.

    The tests of each file wait for the end of their own DAGs.
    """
    home = Path(f"{os.environ['AIRFLOW_HOME']}-live")
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(HERE / "dags", home / "dags")
    files = (EXAMPLES / "angus_hourly_files.py").read_text()
    for task_id in ("wait_for_hour", "write_hour"):
        files = files.replace(f'task_id="{task_id}"', f'task_id="{task_id}", angus_conn_id="files"')
    (home / "dags" / "angus_hourly_files.py").write_text(files)
    connections = {name: sandbox.connection() for name, sandbox in sandboxes.items()}
    for connection in connections.values():
        connection["extra"]["timeout"] = 2
    deleted_later = connections.pop("connection_deleted")
    connections |= {name: shops.connection(name) for name in shops.streams}
    connections["cleared"] = corrected.connection()
    if AIRFLOW_3:
        shutil.copy(EXAMPLES / "angus_hourly_on_asset.py", home / "dags")
        connections["angus_default"] = watched.connection()
    env = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()}
    # With a key, Airflow 2 encrypts the arguments of triggers, and a test could not search them.
    env["AIRFLOW__CORE__FERNET_KEY"] = ""
    env["ANGUS_FOLDER"] = str(home / "files")
    with own_postgres() as database:
        env["AIRFLOW_CONN_AUDIENCE"] = (
            make_url(database).set(drivername="postgres").render_as_string(hide_password=False)
        )
        live = LiveAirflow(home, home / "dags", env, database)
        try:
            live.run("connections", "add", "connection_deleted", "--conn-json", json.dumps(deleted_later))
            live.start_all()
            yield live
        finally:
            live.close()
