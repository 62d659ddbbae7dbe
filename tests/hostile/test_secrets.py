"""No secret anywhere: access tokens, JWTs and a proxy's password, on success and on each fault, in every path.

Here tasks run in this process, and what is searched is stricter than a user's log: what is logged before Airflow masks
it, each error with its traceback, each object's repr and pickle. A live scheduler's own files are searched in
test_secrets_live.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from canaries import (
    ACCESS_TOKEN,
    BEHAVIOURS,
    DAYS,
    HARMLESS,
    PROXY_PASSWORD,
    SIGNATURE,
    Echo,
    Search,
    connections,
)
from landing import DAILY, to_file
from secret_search import writings

from airflow_provider_angus.exceptions import AngusError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.tokens import TOKENS
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator
from airflow_provider_angus.triggers import AngusEntitiesTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_runs import Airflow, Outcome
    from conftest import Tell

HOME = Path(os.environ["AIRFLOW_HOME"])
#: How many bytes each test has searched.
SEARCHED: list[int] = []

LIBRARIES = ("urllib3", "httpx", "httpcore", "requests", "airflow_provider_angus", "airflow.task")
ASKED = {"metrics": "passing_by", "time": "by_hour"} | DAYS


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    """A server that spreads what it is told, and a connection to it for each of its behaviours."""
    TOKENS.clear()
    monkeypatch.setattr("airflow_provider_angus.retrying._backoff", lambda _: 0)
    with Echo() as echo:
        for name, connection in connections(echo, list(BEHAVIOURS)).items():
            monkeypatch.setenv(name, connection)
        yield echo


@pytest.fixture
def searched(airflow: Airflow, caplog: pytest.LogCaptureFixture) -> Iterator[Search]:
    """What a test searches; in the end all that was logged is searched too."""
    for name in LIBRARIES:
        caplog.set_level(logging.DEBUG, logger=name)
    search = Search()
    yield search
    # What httpcore says of headers is for Airflow to mask, which this test's handler comes before.
    said = [record for record in caplog.get_records("call") if not record.name.startswith("httpcore")]
    for record in said:
        search.text(f"log of {record.name}", caplog.handler.format(record))
    search.text("what was printed", airflow.log.removesuffix(caplog.text))
    assert {record.name.partition(".")[0] for record in said} & {"urllib3", "httpx"}
    assert search.found == {}
    SEARCHED.append(search.size)


def operator(name: str) -> AngusEntitiesOperator:
    return AngusEntitiesOperator(task_id=name, angus_conn_id=name, **ASKED)


def poke(name: str) -> AngusEntitiesSensor:
    return AngusEntitiesSensor(task_id=name, angus_conn_id=name, max_failures=1, poke_interval=0.1, **ASKED)


def in_file(name: str) -> AngusToObjectStorageOperator:
    return to_file(HOME / "landed" / f"{name}.csv", task_id=name, angus_conn_id=name, **DAYS)


def in_table(name: str) -> AngusToSqlOperator:
    return AngusToSqlOperator(
        task_id=name, angus_conn_id=name, sql_conn_id="canaries", table=name, create_table=True, **ASKED
    )


@pytest.mark.parametrize(
    ("path", "task"),
    [("operator", operator), ("poke", poke), ("to file", in_file), ("to SQL", in_table)],
)
@pytest.mark.usefixtures("echo")
def test_a_task_leaves_no_secret_whatever_the_server_does(
    airflow: Airflow,
    searched: Search,
    monkeypatch: pytest.MonkeyPatch,
    tell: Tell,
    path: str,
    task: Callable[[str], Any],
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CANARIES", json.dumps({"conn_type": "sqlite", "host": f"{HOME}/landed.sqlite"}))
    outcomes = airflow.run(lambda: [task(name) for name in BEHAVIOURS], schedule=DAILY)
    for name, outcome in outcomes.items():
        search_outcome(searched, outcome)
        ends = ("success", []) if name in HARMLESS else ("failed", [True])
        assert (outcome.state, [isinstance(error, AngusError) for error in outcome.errors]) == ends, name
        tell("secrets echoed, a canary in each", path, "not one leaked")


@pytest.mark.usefixtures("echo")
def test_mapped_tasks_and_lists_of_connections_leave_none(airflow: Airflow, searched: Search, tell: Tell) -> None:
    names = [name for name in BEHAVIOURS if not name.startswith("proxy")]
    # One stream comes once in a list.
    lists = [["well", name] for name in names if name not in HARMLESS]

    def build() -> None:
        AngusEntitiesOperator.partial(task_id="mapped", **ASKED).expand(angus_conn_id=names)
        AngusEntitiesOperator.partial(task_id="list", **ASKED).expand(angus_conn_id=lists)

    for outcome in airflow.run(build, schedule=DAILY).values():
        search_outcome(searched, outcome)
        tell("secrets echoed, a canary in each", "mapped, lists", "not one leaked")


def test_the_test_button_shows_none(echo: Echo, searched: Search, tell: Tell) -> None:
    for name in BEHAVIOURS:
        works, said = AngusHook(name).test_connection()
        searched.text(f"test_connection of {name}", said)
        assert works is (name in HARMLESS), said
        tell("secrets echoed, a canary in each", "test_connection", "not one leaked")
    assert set(echo.asked) == set(BEHAVIOURS) - {"proxy_refuses_a_tunnel"}


@pytest.mark.usefixtures("echo")
def test_triggers_leave_none(searched: Search, tell: Tell) -> None:
    async def run(name: str) -> None:
        trigger = AngusEntitiesTrigger(
            angus_conn_id=name, settle=0.0, poke_interval=0.1, max_failures=1, **ASKED | {"first_look": None}
        )
        search_object(searched, trigger)
        searched.text("trigger's arguments", trigger.serialize())
        searched.text("trigger's event", [event.payload async for event in trigger.run()])
        search_object(searched, trigger)
        hook = AngusHook(name)
        client = await hook.get_async_conn()
        for each in (hook, client, client.stream):
            search_object(searched, each)
        tell("secrets echoed, a canary in each", "trigger", "not one leaked")

    async def run_all() -> None:
        await asyncio.gather(*map(run, BEHAVIOURS))

    asyncio.run(run_all())


@pytest.mark.usefixtures("echo")
def test_no_object_shows_one_in_its_repr_or_its_pickle(searched: Search) -> None:
    hook = AngusHook("proxy_does_well")
    client = hook.get_conn()
    assert hook.get_entities("passing_by", DAYS["from_date"], DAYS["to_date"])
    settings = client._settings  # noqa: SLF001 (all that there is)
    request = client.stream.entities({}).send(None)
    for each in (hook, client, settings, settings.credentials, client.stream, TOKENS, request):
        search_object(searched, each)
    for task in (operator, poke, in_file, in_table):
        search_object(searched, task("well"))


def test_airflow_s_home_and_its_database_hold_none_of_it(tell: Tell) -> None:
    search = Search().folder(HOME)
    assert {"xcom", "rendered_task_instance_fields"} <= search.filled_tables
    assert search.found == {}
    size = sum(SEARCHED) + search.size
    tell("canaries in logs, errors, objects, tables", "in this process", f"0 found in {size:,} bytes")


def test_the_search_finds_a_canary_in_each_way_to_write_it_and_in_each_place(tmp_path: Path) -> None:
    for secret in (ACCESS_TOKEN, PROXY_PASSWORD, SIGNATURE):
        for writing in writings(secret):
            assert Search().text("a log", f"told {writing}, sorry").found.total() == 1
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "task.log").write_text(f"Bearer eyJ.eyJ.{SIGNATURE}0123")
    assert Search().folder(tmp_path).found == {"JWT in logs/task.log": 1}


def search_outcome(search: Search, outcome: Outcome) -> None:
    """Search what is known of a task that has ended."""
    search.text("what a task returned", outcome.returned)
    for error in outcome.errors:
        search.text("traceback", "".join(traceback.format_exception(error)))
        search_object(search, error)


def search_object(search: Search, each: object) -> None:
    """Search what an object shows of itself, and its pickle, where it lets itself be pickled."""
    name = type(each).__name__
    search.text(f"repr of {name}", f"{each!r} {each}")
    try:
        search.text(f"pickle of {name}", pickle.dumps(each))
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        search.text(f"why {name} cannot be pickled", error)
