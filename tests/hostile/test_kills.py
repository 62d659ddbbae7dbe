"""Transfers killed at random moments, and two at the same moment: each interval is in its place exactly once."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import databases
import pytest
from forked import Run, execute

from airflow_provider_angus.publishing import STRAY_AFTER
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Tell

KILLS = 200
SEED = 20_261_120

#: How many runs are measured undisturbed; kills are spread evenly over the median.
MEASURED = 7

ROUNDS = 20
DAYS = {"from_date": "2026-11-10", "to_date": "2026-11-20"}
WIDER = {"from_date": "2026-11-09T23:00", "to_date": "2026-11-20T01:00"}
EVENING = datetime(2026, 11, 21, 20, tzinfo=UTC)
HOURS = 240


class Target(Protocol):
    """Where a transfer's rows go: two streams' rows of ten days, with others around them."""

    path: str
    operator: type

    def arguments(self) -> dict[str, Any]:
        """Return the operator's arguments that name the target."""

    def make_old(self, number: int) -> None:
        """Replace the interval's rows by others that are all of this number."""

    def parts(self, number: int) -> list[str]:
        """Return for each part that becomes new in one step whether it is "old", "new" or something else."""

    def others(self) -> object:
        """Return all that is not of the interval."""

    def strays(self) -> list[Path]:
        """Return the files that are left of runs that were killed."""


class InFile:
    path = "to file"
    operator = AngusToObjectStorageOperator

    def __init__(self, folder: Path) -> None:
        self.file, self.neighbour = folder / "audience.jsonl", folder / "audience.jsonl.gz"
        self.neighbour.write_text("another interval's")
        self.new = b""

    def arguments(self) -> dict[str, Any]:
        return {"path": f"file://{self.file}"}

    def remember_new(self) -> None:
        self.new = self.file.read_bytes()
        assert self.new.count(b"\n") == 2 * HOURS

    def make_old(self, number: int) -> None:
        self.file.write_bytes(self._old(number))

    def parts(self, number: int) -> list[str]:
        there = self.file.read_bytes()
        return [{self.new: "new", self._old(number): "old"}.get(there, f"{len(there)} bytes")]

    def others(self) -> object:
        return self.neighbour.read_text()

    def strays(self) -> list[Path]:
        return [path for path in self.file.parent.iterdir() if path not in {self.file, self.neighbour}]

    def _old(self, number: int) -> bytes:
        return f"old {number}\n".encode() * HOURS


class InTable:
    operator = AngusToSqlOperator

    def __init__(self, database: databases.Database, streams: list[str]) -> None:
        self.path = "to PostgreSQL" if database.kind == "postgres" else "to SQLite"
        self.database, self.streams = database, streams[:2]
        self.new: list[Any] = []
        ours = ", ".join(f"'{stream}'" for stream in self.streams)
        first, last = ("2026-11-10T00:00:00+00:00", "2026-11-19T23:00:00+00:00")
        self._last = last
        self._ours = f"stream IN ({ours}) AND bucket_start >= '{first}' AND bucket_start <= '{last}'"

    def arguments(self) -> dict[str, Any]:
        return {"sql_conn_id": self.database.conn_id, "table": self.database.table, "create_table": True}

    def remember_new(self) -> None:
        self.new = self._rows(self._ours)
        assert len(self.new) == 2 * HOURS

    def make_old(self, number: int) -> None:
        table = self.database.table
        self.database.run(f"UPDATE {table} SET passing_by = -{number} WHERE {self._ours}")  # noqa: S608 (a test's)
        self.database.run(f"DELETE FROM {table} WHERE {self._ours} AND bucket_start = '{self._last}'")  # noqa: S608

    def parts(self, number: int) -> list[str]:
        rows = self._rows(self._ours)
        return [self._part([row for row in rows if row[0] == stream], stream, number) for stream in self.streams]

    def others(self) -> object:
        return self._rows(f"NOT ({self._ours})")

    def strays(self) -> list[Path]:
        return []

    def _part(self, rows: list[Any], stream: str, number: int) -> str:
        new = [row for row in self.new if row[0] == stream]
        if rows == new:
            return "new"
        old = [(*row[:2], -number) for row in new[:-1]]
        return "old" if list(map(tuple, rows)) == old else f"{len(rows)} rows"

    def _rows(self, condition: str) -> list[Any]:
        return self.database.run(
            f"SELECT stream, bucket_start, passing_by FROM {self.database.table} "  # noqa: S608 (a test's)
            f"WHERE {condition} ORDER BY stream, bucket_start"
        )


@pytest.fixture
def angus() -> Iterator[Sandbox]:
    """A local Angus that has what is asked of it on three pages for each stream."""
    with Sandbox(page_size=100) as sandbox:
        sandbox.clock.set(EVENING)
        yield sandbox


@pytest.fixture
def env(angus: Sandbox, tmp_path: Path) -> dict[str, str]:
    """What a run's process knows: the streams, and a folder of its own for temporary files."""
    (tmp_path / "tmp").mkdir()
    shops = {
        f"AIRFLOW_CONN_SHOP_{number}": angus.connection_json(client_id)
        for number, client_id in enumerate(angus.streams)
    }
    return shops | {"TMPDIR": str(tmp_path / "tmp")}


@pytest.fixture(params=["file", "sqlite", "postgres"])
def target(
    request: pytest.FixtureRequest,
    angus: Sandbox,
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Target]:
    """Each transfer's target in turn, with the interval in it, its neighbours, and another stream."""
    if request.param == "file":
        (tmp_path / "data").mkdir()
        in_file = InFile(tmp_path / "data")
        assert land(in_file, env).result()["rows"] == 2 * HOURS
        in_file.remember_new()
        yield in_file
        return
    for database in databases.made(request.param, tmp_path, monkeypatch):
        name = f"AIRFLOW_CONN_{database.conn_id.upper()}"
        env[name] = os.environ[name]
        in_table = InTable(database, list(angus.streams))
        everything = {"angus_conn_id": ["shop_0", "shop_1", "shop_2"]} | WIDER
        assert land(in_table, env, **everything).result()["rows"] == 3 * (HOURS + 2)
        in_table.remember_new()
        yield in_table


def land(target: Target, env: dict[str, str], **arguments: Any) -> Run:
    """Begin to land two streams' ten days in a process of its own."""
    return landing(target, env, **arguments).go()


def landing(target: Target, env: dict[str, str], **arguments: Any) -> Run:
    """Return a run that is ready to land them."""
    given = {"metrics": "passing_by", "time": "by_hour", "angus_conn_id": ["shop_0", "shop_1"]} | DAYS
    return Run(execute, env, operator=target.operator, **given | target.arguments() | arguments)


def undisturbed(target: Target, env: dict[str, str]) -> float:
    """Return how long a run takes, in seconds."""
    taken = []
    for _ in range(MEASURED):
        target.make_old(1)
        begun = time.monotonic()
        land(target, env).result()
        taken.append(time.monotonic() - begun)
        assert set(target.parts(1)) == {"new"}
    return statistics.median(taken)


def test_a_run_that_is_killed_leaves_old_or_new_and_its_rerun_each_row_once(
    target: Target, env: dict[str, str], tmp_path: Path, tell: Tell
) -> None:
    moments = random.Random(SEED)  # noqa: S311 (no secret)
    seconds = undisturbed(target, env)
    others, became, ended = target.others(), Counter[str](), 0
    print(f"Kills are spread over {seconds * 1000:.0f} ms; seed {SEED}.")
    for number in range(2, 3 * KILLS):
        target.make_old(number)
        killed = land(target, env).kill_after(moments.uniform(0, seconds))
        parts = target.parts(number)
        assert set(parts) <= {"old", "new"}, f"run {number}: {parts}"
        if killed:
            whole = {"old": "old kept, then new", "new": "new already"}
            became[whole[parts[0]] if len(set(parts)) == 1 else "one stream new, then both"] += 1
        else:
            assert set(parts) == {"new"}
            ended += 1
        assert land(target, env).result()["rows"] == 2 * HOURS
        assert set(target.parts(number)) == {"new"}, f"run {number}: {target.parts(number)}"
        assert target.others() == others
        if became.total() == KILLS:
            break
    print(f"{dict(became)}; {ended} runs ended before they could be killed.")
    assert became.total() == KILLS
    for outcome, times in became.items():
        tell("killed at a random moment, then run again", target.path, outcome, times)
    assert list((tmp_path / "tmp").iterdir()) == []
    strays = target.strays()
    for stray in strays:
        os.utime(stray, (time.time() - STRAY_AFTER - 1,) * 2)
    land(target, env).result()
    assert target.strays() == []
    if strays:
        tell("left beside the file by killed runs", target.path, "gone with a run a day later", len(strays))


def test_two_runs_at_the_same_moment_leave_each_row_once(target: Target, env: dict[str, str], tell: Tell) -> None:
    others = target.others()
    for number in range(2, 2 + ROUNDS):
        target.make_old(number)
        runs = [landing(target, env) for _ in range(2)]
        results = [run.result() for run in [run.go() for run in runs]]
        for result in results:
            done = isinstance(result, dict)
            assert done or result.startswith("AngusStorageError"), result
            tell(
                "two runs of one interval at the same moment",
                target.path,
                "landed" if done else result.partition(":")[0],
            )
        assert set(target.parts(number)) == {"new"}, f"round {number}: {target.parts(number)}, {results}"
        assert target.others() == others
