"""A cluster for all tests of this folder, and the sandboxes of its DAGs."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cluster import Cluster, own_redis
from databases import own_postgres
from held_requests import HeldRequests
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
WATCHER = "angus_hourly_on_asset"

#: Without a key, so that a row that is loaded twice is found.
HOURS_TABLE = (
    "CREATE TABLE hours (stream text, bucket_start timestamptz, bucket_end timestamptz, passing_by bigint, other jsonb)"
)


@pytest.fixture(scope="session")
def held() -> HeldRequests:
    """The requests for the third stream of the DAG ``hours``, which a test can hold."""
    return HeldRequests("shop_3")


@pytest.fixture(scope="session")
def shops(held: HeldRequests) -> Iterator[Sandbox]:
    """The sandbox of the DAG ``hours``."""
    streams = {f"shop_{number}": f"the-secret-of-shop-{number}" for number in (1, 2, 3)}
    with Sandbox(streams=streams, on_request=held) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def cameras() -> Iterator[Sandbox]:
    """The sandbox of the DAG ``many_streams``: 500 streams. Each response takes 50 ms."""
    streams = {f"camera_{number:03}": f"the-secret-of-camera-{number:03}" for number in range(500)}
    with Sandbox(streams=streams, latency=0.05) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def watched() -> Iterator[Sandbox]:
    """The sandbox of the example with a watcher. It has no hour yet that the example waits for."""
    with Sandbox(streams={"watched": "the-secret-of-watched"}) as sandbox:
        sandbox.clock.set(datetime(2026, 11, 20, 20, tzinfo=UTC))
        yield sandbox


@pytest.fixture(scope="session")
def _cluster(shops: Sandbox, cameras: Sandbox, watched: Sandbox) -> Iterator[Cluster]:
    home = Path(f"{os.environ['AIRFLOW_HOME']}-cluster")
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(HERE / "dags", home / "dags")
    example = (HERE.parents[1] / "example_dags" / f"{WATCHER}.py").read_text()
    (home / "dags" / f"{WATCHER}.py").write_text(example.replace("since=", "poke_interval=1, since="))
    sandboxes = {stream: sandbox for sandbox in (shops, cameras) for stream in sandbox.streams}
    connections = {stream: sandbox.connection(stream) for stream, sandbox in sandboxes.items()}
    for number in (1, 2, 3):
        # A held request must not time out.
        connections[f"shop_{number}"]["extra"]["timeout"] = 300
    with own_postgres() as database, own_redis(home) as broker:
        with create_engine(database).begin() as connection:
            connection.exec_driver_sql(HOURS_TABLE)
        audience = make_url(database).set(drivername="postgres").render_as_string(hide_password=False)
        # The watcher starts before the connections are created.
        env = {"AIRFLOW_CONN_AUDIENCE": audience, "AIRFLOW_CONN_ANGUS_DEFAULT": watched.connection_json()}
        cluster = Cluster(home, env, database, broker)
        try:
            cluster.start_all()
            fields = [{"connection_id": name, **fields} for name, fields in connections.items()]
            entities = [each | {"extra": json.dumps(each["extra"])} for each in fields]
            cluster.request("PATCH", "connections", json={"actions": [{"action": "create", "entities": entities}]})
            yield cluster
        finally:
            cluster.close()


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """A running cluster. Processes that an earlier test has killed are started again."""
    _cluster.start_all()
    return _cluster
