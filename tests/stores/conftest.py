"""Buckets on local servers, and a table of the tests and seconds of each store and database."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from store_link import Link
from store_servers import SERVERS, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Before the first import of gcsfs: it would wait for a gRPC service, which the emulator does not have.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

#: The names of the table.
TARGETS = [*SERVERS, "disk", "sqlite", "postgres", "duckdb", "mysql", "snowflake"]


@dataclass
class Store:
    """A bucket and an Airflow connection to it, for one test. The connection ends with the test."""

    server: Server
    #: The test may break it.
    link: Link
    conn_id: str
    #: Keys of this test begin with it.
    prefix: str

    def url(self, key: str) -> str:
        return f"{self.server.scheme}://{self.server.bucket}/{self.prefix}{key}"

    def names(self) -> list[str]:
        return [key.removeprefix(self.prefix) for key in self.server.names() if key.startswith(self.prefix)]

    def read(self, key: str) -> bytes:
        return self.server.read(self.prefix + key)


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, int], Server]]:
    """A function that returns a server of a kind, with a number. It starts it with the first test that needs it."""
    servers: dict[tuple[str, int], Server] = {}
    with ExitStack() as stack:

        def start(kind: str, number: int = 1) -> Server:
            if (kind, number) not in servers:
                servers[kind, number] = stack.enter_context(SERVERS[kind](tmp_path_factory.mktemp(kind)))
            return servers[kind, number]

        yield start


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], str]:
    """A function that adds an Airflow connection, and returns its ID."""

    def add(connection: dict[str, Any]) -> str:
        # Airflow and fsspec cache stores by the ID and by the options.
        conn_id = f"store_{uuid.uuid4().hex[:10]}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return conn_id

    return add


@pytest.fixture
def open_store(
    start_server: Callable[[str, int], Server], connect: Callable[[dict[str, Any]], str]
) -> Iterator[Callable[..., Store]]:
    """A function that returns a bucket of a kind of store."""
    with ExitStack() as stack:

        def open_(kind: str, number: int = 1) -> Store:
            server = start_server(kind, number)
            link = stack.enter_context(Link(server.port))
            return Store(server, link, connect(server.connection(link.port)), f"{uuid.uuid4().hex[:10]} ")

        yield open_


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in SERVERS])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def store(kind: str, open_store: Callable[..., Store]) -> Store:
    """A bucket of each kind of store in turn."""
    return open_store(kind)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a table of the stores and databases, from the parameters in the names of the tests."""
    tests, seconds = Counter[str](), Counter[str]()
    for report in (report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])):
        for target in TARGETS:
            if re.search(rf"(test_|[\[-]){target}[]_-]", report.nodeid):
                tests[target] += report.when == "call"
                seconds[target] += report.duration
    terminalreporter.section("targets")
    terminalreporter.write_line(f"{'target':10} {'tests':>6} {'seconds':>8}")
    for target, count in tests.items():
        terminalreporter.write_line(f"{target:10} {count:6} {seconds[target]:8.0f}")
