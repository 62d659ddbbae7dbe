"""Access tokens, JWTs and a proxy's password appear nowhere: on all paths, on success and with each failure.

The tasks of these tests run in the test process. The tests also search unmasked logs, tracebacks, reprs and pickles,
which is stricter than a search of Airflow's files. ``test_secrets_live.py`` searches the files of a running Airflow.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from echo_server import (
    ACCESS_TOKEN,
    BEHAVIOURS,
    DAY,
    PROXY_PASSWORD,
    SIGNATURE,
    SUCCESSFUL,
    EchoServer,
    search_secrets,
)
from secret_search import encoded_forms
from sensors import DAILY

from airflow_provider_angus.api.auth import SHARED_TOKENS, Authenticator
from airflow_provider_angus.api.messages import Request
from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import AngusError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.model.intervals import explicit_interval
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator
from airflow_provider_angus.triggers import AngusEntitiesTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_runs import Airflow, Outcome
    from outcome_table import Record
    from secret_search import SecretSearch

HOME = Path(os.environ["AIRFLOW_HOME"])
LOGGERS = ("urllib3", "httpx", "httpcore", "requests", "airflow_provider_angus", "airflow.task")
QUERY = {"metrics": "passing_by", "time": "by_hour"} | DAY
EVENT = "echoed secrets"

#: The number of bytes that each test has searched.
searched_bytes: list[int] = []


@pytest.fixture
def echo_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EchoServer]:
    """A server with a connection for each of its behaviours."""
    SHARED_TOKENS.clear()
    monkeypatch.setattr(AngusHook, "retry_policy", RetryPolicy(backoff=tenacity.wait_none()))
    with EchoServer() as server:
        for name, connection in server.environment(BEHAVIOURS).items():
            monkeypatch.setenv(name, connection)
        yield server


@pytest.fixture
def search(airflow: Airflow, caplog: pytest.LogCaptureFixture) -> Iterator[SecretSearch]:
    """The search of a test. Afterwards it also searches the log of the test, and must have found nothing."""
    for name in LOGGERS:
        caplog.set_level(logging.DEBUG, logger=name)
    search = search_secrets()
    yield search
    # httpcore logs headers. Airflow masks them, but the handler of this test runs before the mask.
    records = [record for record in caplog.get_records("call") if not record.name.startswith("httpcore")]
    for record in records:
        search.search(f"log of {record.name}", caplog.handler.format(record))
    search.search("output", airflow.log.removesuffix(caplog.text))
    assert {record.name.partition(".")[0] for record in records} & {"urllib3", "httpx"}
    assert search.found == {}
    searched_bytes.append(search.size)


def fetch(name: str) -> AngusEntitiesOperator:
    return AngusEntitiesOperator(task_id=name, angus_conn_id=name, **QUERY)


def poke(name: str) -> AngusEntitiesSensor:
    return AngusEntitiesSensor(task_id=name, angus_conn_id=name, max_failures=1, poke_interval=0.1, **QUERY)


def to_file(name: str) -> AngusToObjectStorageOperator:
    path = f"{HOME}/loaded/{name}.csv"
    return AngusToObjectStorageOperator(task_id=name, angus_conn_id=name, path=path, **QUERY)


def to_sql(name: str) -> AngusToSqlOperator:
    return AngusToSqlOperator(
        task_id=name, angus_conn_id=name, sql_conn_id="canaries", table=name, create_table=True, **QUERY
    )


@pytest.mark.parametrize(
    ("path", "create_task"),
    [("operator", fetch), ("poke", poke), ("to file", to_file), ("to SQL", to_sql)],
)
@pytest.mark.usefixtures("echo_server")
def test_tasks_write_no_secret(
    airflow: Airflow,
    search: SecretSearch,
    monkeypatch: pytest.MonkeyPatch,
    record: Record,
    path: str,
    create_task: Callable[[str], Any],
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CANARIES", json.dumps({"conn_type": "sqlite", "host": f"{HOME}/loaded.sqlite"}))
    outcomes = airflow.run(lambda: [create_task(name) for name in BEHAVIOURS], schedule=DAILY)
    for name, outcome in outcomes.items():
        search_outcome(search, outcome)
        expected = ("success", []) if name in SUCCESSFUL else ("failed", [True])
        assert (outcome.state, [isinstance(error, AngusError) for error in outcome.errors]) == expected, name
        record(EVENT, path, "no secret found")


@pytest.mark.usefixtures("echo_server")
def test_mapped_tasks_and_connection_lists_write_no_secret(
    airflow: Airflow, search: SecretSearch, record: Record
) -> None:
    names = [name for name in BEHAVIOURS if not name.startswith("proxy")]
    # All connections have the same stream, and a list must not repeat a stream. So each list fails.
    lists = [["correct_response", name] for name in names if name not in SUCCESSFUL]

    def build() -> None:
        AngusEntitiesOperator.partial(task_id="mapped", **QUERY).expand(angus_conn_id=names)
        AngusEntitiesOperator.partial(task_id="list", **QUERY).expand(angus_conn_id=lists)

    for outcome in airflow.run(build, schedule=DAILY).values():
        search_outcome(search, outcome)
        record(EVENT, "mapped, lists", "no secret found")


def test_test_connection_shows_no_secret(echo_server: EchoServer, search: SecretSearch, record: Record) -> None:
    for name in BEHAVIOURS:
        success, message = AngusHook(name).test_connection()
        search.search(f"test_connection of {name}", message)
        assert success is (name in SUCCESSFUL), message
        record(EVENT, "test_connection", "no secret found")
    assert set(echo_server.counts) == set(BEHAVIOURS) - {"proxy_refuses_tunnel"}


@pytest.mark.usefixtures("echo_server")
def test_triggers_write_no_secret(search: SecretSearch, record: Record) -> None:
    async def run(name: str) -> None:
        trigger = AngusEntitiesTrigger(angus_conn_id=name, settle=0.0, poke_interval=0.1, max_failures=1, **QUERY)
        search.search_object(trigger)
        search.search("arguments of a trigger", trigger.serialize())
        search.search("event of a trigger", [event.payload async for event in trigger.run()])
        search.search_object(trigger)
        hook = AngusHook(name)
        for thing in (hook, await hook.get_async_conn()):
            search.search_object(thing)
        record(EVENT, "trigger", "no secret found")

    async def run_all() -> None:
        await asyncio.gather(*map(run, BEHAVIOURS))

    asyncio.run(run_all())


@pytest.mark.usefixtures("echo_server")
def test_reprs_and_pickles_contain_no_secret(search: SecretSearch) -> None:
    hook = AngusHook("proxy_correct_response")
    client, settings = hook.get_conn(), hook.settings()
    assert hook.get_entities("passing_by", DAY["from_date"], DAY["to_date"])
    authenticator = Authenticator(settings.credentials, settings.console_url, SHARED_TOKENS)
    request = authenticator.send(Request("GET", settings.data_url)).send(None)
    assert isinstance(request, Request)
    assert SIGNATURE in str(request.token)
    pages = client.pages("passing_by", explicit_interval(*DAY.values()), "by_hour")
    for thing in (hook, client, settings, settings.credentials, authenticator, pages, SHARED_TOKENS, request):
        search.search_object(thing)
    for create_task in (fetch, poke, to_file, to_sql):
        search.search_object(create_task("correct_response"))


def test_airflow_home_contains_no_secret(record: Record) -> None:
    """Search all that Airflow has written during the tests above."""
    search = search_secrets().search_folder(HOME)
    assert {"xcom", "rendered_task_instance_fields"} <= search.filled_tables
    assert search.found == {}
    size = sum(searched_bytes) + search.size
    record("secrets in logs, errors, objects, tables", "in this process", f"0 found in {size:,} bytes")


def test_search_finds_secrets_in_all_forms_and_files(tmp_path: Path) -> None:
    for secret in (ACCESS_TOKEN, PROXY_PASSWORD, SIGNATURE):
        for form in encoded_forms(secret):
            assert search_secrets().search("log", f"You sent {form}, sorry").found.total() == 1
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "task.log").write_text(f"Bearer eyJ.eyJ.{SIGNATURE}0123")
    assert search_secrets().search_folder(tmp_path).found == {"JWT in logs/task.log": 1}


def test_search_finds_secrets_in_causes_unless_suppressed() -> None:
    """``raise ... from None`` suppresses a context. Tracebacks then do not show it."""
    for cause, found in ((ValueError(ACCESS_TOKEN), True), (None, False)):
        search, error = search_secrets(), AngusError("refused")
        error.__context__, error.__cause__ = ValueError(ACCESS_TOKEN), cause
        search.search_error(error)
        assert bool(search.found) is found


def search_outcome(search: SecretSearch, outcome: Outcome) -> None:
    search.search("return value", outcome.returned)
    for error in outcome.errors:
        search.search_error(error)
