"""Each fault in each path: right rows, or one clear error of the right kind, soon; never the half, never a hang."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from faults import Fault, answers, faults
from wire import Trouble, Wire

from airflow_provider_angus import retrying
from airflow_provider_angus.exceptions import AngusError, AngusResponseError, AngusUnavailableError, can_be_retried
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.tokens import TOKENS
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator
from airflow_provider_angus.triggers import AngusEntitiesTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import databases

PATHS = ("operator", "poke", "trigger", "test_connection", "to file", "to SQL")
DAY = datetime(2026, 11, 20, tzinfo=UTC)
ASKED: dict[str, Any] = {
    "metrics": "passing_by",
    "time": "by_hour",
    "from_date": DAY.isoformat(),
    "to_date": (DAY + timedelta(days=1)).isoformat(),
}
#: Seconds that an answer may take, and that a whole path may: four attempts, and a busy machine.
RETRIED = {AngusUnavailableError, AngusResponseError}
TIMEOUT, BOUND = 0.5, 20.0
LONGEST_MESSAGE = 1000


@pytest.fixture(scope="module")
def upstream() -> Iterator[Sandbox]:
    """A sandbox with the day in nine pages."""
    with Sandbox(page_size=3) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def truth(upstream: Sandbox) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", upstream.connection_json())
        return AngusEntitiesOperator(task_id="truth", **ASKED).execute({})


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token yet, and no waits between attempts."""
    TOKENS.clear()
    monkeypatch.setattr(retrying, "_backoff", tenacity.wait_none())
    monkeypatch.setattr(retrying, "LONGEST_WAIT", 0.01)


@contextmanager
def connected(upstream: Sandbox, url: str, **extra: Any) -> Iterator[None]:
    connection = upstream.connection() | {"host": url}
    connection["extra"] |= {"console_url": url, "timeout": TIMEOUT} | extra
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", json.dumps(connection))
        yield


class Paths:
    """The ways to the API; each returns whether the rows are right, or raises."""

    def __init__(self, truth: list[dict[str, Any]], folder: Path, database: databases.Database) -> None:
        self.truth, self.folder, self.database = truth, folder, database

    def walk(self, path: str) -> bool:
        ways: dict[str, Callable[[], bool]] = {
            "operator": self.operator,
            "poke": self.poke,
            "trigger": self.trigger,
            "test_connection": self.test_connection,
            "to file": self.to_file,
            "to SQL": self.to_sql,
        }
        return ways[path]()

    def operator(self) -> bool:
        return AngusEntitiesOperator(task_id="operator", **ASKED).execute({}) == self.truth

    def sensor(self) -> AngusEntitiesSensor:
        return AngusEntitiesSensor(task_id="sensor", max_failures=1, minimum={"passing_by": self.total}, **ASKED)

    @property
    def total(self) -> int:
        return sum(row["passing_by"] for row in self.truth)

    def poke(self) -> bool:
        return self.sensor().poke({})

    def trigger(self) -> bool:
        """A trigger ends by saying "look again"; the worker's look decides."""

        async def first_event() -> Any:
            trigger = AngusEntitiesTrigger(
                angus_conn_id="angus_default", settle=0, poke_interval=1, max_failures=1, **ASKED
            )
            return (await anext(trigger.run())).payload

        event = asyncio.run(first_event())
        self.sensor().look_again({}, event)
        return True

    def test_connection(self) -> bool:
        good, words = AngusHook("angus_default").test_connection()
        if not good:
            raise RefusedError(words)
        return words.startswith("All well")

    def to_file(self) -> bool:
        path = self.folder / "hours.jsonl"
        path.write_text("what was there before")
        try:
            AngusToObjectStorageOperator(task_id="file", path=str(path), **ASKED).execute({})
        except AngusError:
            assert path.read_text() == "what was there before"
            raise
        finally:
            assert list(self.folder.glob(".hours*")) == []
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [(row["bucket_start"], row["passing_by"]) for row in rows] == self.counts

    @property
    def counts(self) -> list[tuple[str, int]]:
        return [(row["bucket_start"], row["passing_by"]) for row in self.truth]

    def to_sql(self) -> bool:
        load = AngusToSqlOperator(
            task_id="sql", sql_conn_id=self.database.conn_id, table=self.database.table, create_table=True, **ASKED
        )
        before = self.rows()
        try:
            load.execute({})
        except AngusError:
            assert self.rows() == before
            raise
        return [row[1:] for row in self.rows()] == self.counts

    def rows(self) -> list[Any]:
        there = self.database.run(f"SELECT name FROM sqlite_master WHERE name = '{self.database.table}'")  # noqa: S608
        return self.database.rows() if there else []


class RefusedError(AngusError):
    """What the Test button says when all is not well."""


@pytest.fixture
def paths(truth: list[dict[str, Any]], tmp_path: Path, sqlite: databases.Database) -> Paths:
    return Paths(truth, tmp_path, sqlite)


def survive(paths: Paths, path: str, ends: type[AngusError] | None) -> str:
    """Walk a path into a fault, hold what comes of it against what must, and name it."""
    begun = time.monotonic()
    if ends is None:
        assert paths.walk(path)
        outcome = "right rows"
    else:
        kind = ends if path != "test_connection" else RefusedError
        with pytest.raises(kind) as raised:
            paths.walk(path)
        error, outcome = raised.value, raised.type.__name__
        assert raised.type is kind
        # The Test button shows a sentence; what Airflow retries is the others' affair.
        assert can_be_retried(error) == (ends in RETRIED or kind is RefusedError)
        assert 10 < len(str(error)) < LONGEST_MESSAGE
        assert str(error).isprintable()
    assert time.monotonic() - begun < BOUND
    return outcome


FAULTS = faults()

#: The Test button makes one small call of its own, with one page and without a date: these do not meet it.
UNMET = {
    "pages that shift under us",
    "pages that repeat the first",
    "a bucket twice",
    "a bucket without an offset",
    "a bucket at half past",
    "a bucket of another year",
    "a bucket of the day before",
    *(name for name, fault in FAULTS.items() if fault.page),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_in_right_rows_or_in_the_error_that_it_is(
    name: str, path: str, upstream: Sandbox, paths: Paths, tell: Any
) -> None:
    fault: Fault = FAULTS[name]
    if path == "test_connection" and name in UNMET:
        pytest.skip("the Test button does not meet it")
    trouble = Trouble(fault.does, fault.on, fault.page, fault.times)
    with Wire(upstream.url, trouble) as wire, connected(upstream, wire.url):
        tell(name, path, survive(paths, path, fault.ends))
        # Nobody asks for ever, and nobody follows anything.
        assert wire.asked <= 60


@contextmanager
def a_full_backlog() -> Iterator[str]:
    """A port that takes no more connections: whoever connects waits for ever."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 (the socket's own)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def nobody() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def no_such_host() -> Iterator[str]:
    yield "https://angus.invalid"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("server", [nobody, no_such_host, a_full_backlog])
def test_a_server_that_cannot_be_reached_is_an_unavailable_error(
    server: Any, path: str, upstream: Sandbox, paths: Paths, tell: Any
) -> None:
    with server() as url, connected(upstream, url):
        tell(server.__name__.replace("_", " "), path, survive(paths, path, AngusUnavailableError))


@pytest.mark.parametrize("path", PATHS)
def test_a_certificate_is_believed_only_when_verify_names_it(
    path: str, upstream: Sandbox, paths: Paths, certificate: Path, tell: Any
) -> None:
    with Wire(upstream.url, certificate=certificate) as wire:
        with connected(upstream, wire.url):
            tell("a certificate that nobody vouches for", path, survive(paths, path, AngusUnavailableError))
        assert wire.authorizations == []
        with connected(upstream, wire.url, verify=str(certificate)):
            tell("a certificate that verify names", path, survive(paths, path, None))


@pytest.mark.parametrize("path", PATHS)
def test_a_proxy_in_between_changes_nothing(path: str, upstream: Sandbox, paths: Paths, tell: Any) -> None:
    with Wire(upstream.url) as proxy, connected(upstream, upstream.url, proxy=proxy.url):
        tell("a proxy in between", path, survive(paths, path, None))
        assert proxy.asked > 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("on", ["token", "entities"])
def test_a_redirect_takes_neither_token_nor_credentials_elsewhere(
    on: str, path: str, upstream: Sandbox, paths: Paths, tell: Any
) -> None:
    with Wire(upstream.url) as elsewhere:
        trouble = Trouble(answers(307, Location=f"{elsewhere.url}/api/1/entities"), on)
        with Wire(upstream.url, trouble) as wire, connected(upstream, wire.url):
            outcome = survive(paths, path, AngusResponseError)
        tell("a redirect to another host" + " (token)" * (on == "token"), path, outcome)
        assert elsewhere.asked == 0
