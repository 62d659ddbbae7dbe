"""One Airflow for all tests under a scheduler, and the local Anguses that its DAGs ask."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_runs import AIRFLOW_3
from databases import own_postgres
from live_airflow import LiveAirflow
from scenarios import SCENARIOS
from sqlalchemy.engine import make_url

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

E2E = Path(__file__).parent
EXAMPLES = E2E.parent.parent / "example_dags"
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    """A local Angus for each sensor that waits, where the day's last hour is missing."""
    with ExitStack() as stack:
        sandboxes = {name: stack.enter_context(Sandbox()) for name in SCENARIOS}
        for sandbox in sandboxes.values():
            sandbox.clock.set(EVENING)
        yield sandboxes


@pytest.fixture(scope="session")
def watched() -> Iterator[Sandbox]:
    """The local Angus that the example of an asset watcher looks at, where three hours since its first are there."""
    with Sandbox() as sandbox:
        sandbox.clock.set(EVENING)
        yield sandbox


@pytest.fixture(scope="session")
def shops() -> Iterator[Sandbox]:
    """The local Angus of the DAGs in dags/scheduling.py, with a stream for each."""
    names = ["scheduled", "daily", "backfilled", "shop_1", "shop_2", "shop_3", "files"]
    with Sandbox(streams={name: f"the-secret-of-{name}" for name in names}) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def corrected() -> Iterator[Sandbox]:
    """The local Angus of one DAG alone, whose data changes."""
    with Sandbox(streams={"corrected": "the-secret-of-corrected"}) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def live(sandboxes: dict[str, Sandbox], watched: Sandbox, shops: Sandbox, corrected: Sandbox) -> Iterator[LiveAirflow]:
    """A running Airflow on PostgreSQL that has begun with the DAGs of dags/ and the examples on assets.

    The tests of each file bring their own DAGs to an end.
    """
    home = Path(f"{os.environ['AIRFLOW_HOME']}-live")
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(E2E / "dags", home / "dags")
    files = (EXAMPLES / "angus_hourly_files.py").read_text()
    files = files.replace('task_id="write_hour"', 'task_id="write_hour", angus_conn_id="files"')
    (home / "dags" / "angus_hourly_files.py").write_text(files)
    connections = {name: sandbox.connection() for name, sandbox in sandboxes.items()}
    for connection in connections.values():
        connection["extra"]["timeout"] = 2
    lost = connections.pop("loses_its_connection")
    connections |= {name: shops.connection(name) for name in shops.streams}
    connections["corrected"] = corrected.connection()
    if AIRFLOW_3:
        shutil.copy(EXAMPLES / "angus_hourly_on_asset.py", home / "dags")
        connections["angus_default"] = watched.connection()
    env = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()}
    # Airflow 2 would encrypt what triggers are given, and hide from a test what stands there.
    env["AIRFLOW__CORE__FERNET_KEY"] = ""
    env["ANGUS_FOLDER"] = str(home / "files")
    with own_postgres() as database:
        env["AIRFLOW_CONN_AUDIENCE"] = (
            make_url(database).set(drivername="postgres").render_as_string(hide_password=False)
        )
        live = LiveAirflow(home, home / "dags", env, database)
        try:
            live.run("connections", "add", "loses_its_connection", "--conn-json", json.dumps(lost))
            live.start_all()
            yield live
        finally:
            live.close()
