"""Transfers that are killed at random moments, or run concurrently: the target has each row exactly once."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import databases
import pytest
from forked import Run, execute
from transfer_targets import HOURS, FileTarget, TableTarget

from airflow_provider_angus.loading.object_storage import STALE_AFTER
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outcome_table import Record
    from transfer_targets import Target

KILLS = 200
SEED = 20_261_120

#: The number of runs without a kill. The kills are spread evenly over their median duration.
MEASURED = 7

#: The number of pairs of concurrent runs.
ROUNDS = 20

INTERVAL = {"from_date": "2026-11-10", "to_date": "2026-11-20"}
WIDER_INTERVAL = {"from_date": "2026-11-09T23:00", "to_date": "2026-11-20T01:00"}


@pytest.fixture
def angus() -> Iterator[Sandbox]:
    """A sandbox with the interval on three pages for each stream."""
    with Sandbox(page_size=100) as sandbox:
        sandbox.clock.set(datetime(2026, 11, 21, 20, tzinfo=UTC))
        yield sandbox


@pytest.fixture
def env(angus: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The environment of a run: connections to the streams, and a folder for temporary files."""
    (tmp_path / "tmp").mkdir()
    shops = {
        f"AIRFLOW_CONN_SHOP_{number}": angus.connection_json(client_id)
        for number, client_id in enumerate(angus.streams)
    }
    return shops | {"TMPDIR": str(tmp_path / "tmp")}


#: The last day of the interval, and the days before it as the lookback.
LOOKBACK = {"from_date": "2026-11-19", "lookback": timedelta(days=9)}


@pytest.fixture(
    params=["file", "sqlite", "postgres", "sqlite lookback", "postgres lookback", "sqlite repair", "postgres repair"]
)
def target(
    request: pytest.FixtureRequest,
    angus: Sandbox,
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Target]:
    """Each target with the rows of the interval. Tables also have the hours around it and a third stream."""
    if request.param == "file":
        (tmp_path / "data").mkdir()
        file = FileTarget(tmp_path / "data")
        assert start_load(file, env).result()["rows"] == 2 * HOURS
        file.remember_new()
        yield file
        return
    kind, _, variant = request.param.partition(" ")
    for database in databases.made(kind, tmp_path, monkeypatch):
        name = f"AIRFLOW_CONN_{database.conn_id.upper()}"
        env[name] = os.environ[name]
        table = TableTarget(database, list(angus.streams)[:2], **LOOKBACK if variant == "lookback" else {})
        all_rows = {"angus_conn_id": ["shop_0", "shop_1", "shop_2"], "lookback": None} | WIDER_INTERVAL
        assert start_load(table, env, **all_rows).result()["rows"] == 3 * (HOURS + 2)
        table.remember_new()
        if variant == "repair":
            table.audit()
        yield table


def start_load(target: Target, env: dict[str, str], **arguments: Any) -> Run:
    """Start to load the interval of two streams in another process."""
    return prepare_load(target, env, **arguments).start()


def prepare_load(target: Target, env: dict[str, str], **arguments: Any) -> Run:
    """Return a process that is ready to load the interval of two streams."""
    defaults = {"metrics": "passing_by", "time": "by_hour", "angus_conn_id": ["shop_0", "shop_1"]} | INTERVAL
    return Run(execute, env, operator=target.operator, **defaults | target.arguments() | arguments)


def median_duration(target: Target, env: dict[str, str]) -> float:
    """Return the median duration in seconds of runs without a kill."""
    durations = []
    for _ in range(MEASURED):
        target.make_old(1)
        started = time.monotonic()
        start_load(target, env).result()
        durations.append(time.monotonic() - started)
        assert set(target.parts(1)) == {"new"}
    return statistics.median(durations)


def test_killed_transfer_leaves_old_or_new_rows(
    target: Target, env: dict[str, str], tmp_path: Path, record: Record
) -> None:
    """A rerun replaces the rows, keeps others, and a later run removes temporary files."""
    generator = random.Random(SEED)  # noqa: S311 (not for cryptography)
    seconds = median_duration(target, env)
    others, outcomes, completed = target.others(), Counter[str](), 0
    print(f"Kills within {seconds * 1000:.0f} ms, seed {SEED}.")
    for number in range(2, 3 * KILLS):
        target.make_old(number)
        killed = start_load(target, env).kill_after(generator.uniform(0, seconds))
        parts = target.parts(number)
        assert set(parts) <= {"old", "new"}, f"run {number}: {parts}"
        if killed:
            equal = {"old": "old rows, new after the rerun", "new": "new rows"}
            outcomes[equal[parts[0]] if len(set(parts)) == 1 else "new rows of one stream"] += 1
        else:
            assert set(parts) == {"new"}
            completed += 1
        assert start_load(target, env).result()["rows"] == 2 * HOURS
        assert set(target.parts(number)) == {"new"}, f"run {number}: {target.parts(number)}"
        assert target.others() == others
        if outcomes.total() == KILLS:
            break
    print(f"{dict(outcomes)}, {completed} runs completed before the kill.")
    assert outcomes.total() == KILLS
    for outcome, times in outcomes.items():
        record("killed at a random moment, then rerun", target.path, outcome, times)
    assert list((tmp_path / "tmp").iterdir()) == []
    stale_files = target.temporary_files()
    for stale_file in stale_files:
        os.utime(stale_file, (time.time() - STALE_AFTER - 1,) * 2)
    start_load(target, env).result()
    assert target.temporary_files() == []
    if stale_files:
        record("temporary files of killed runs", target.path, "removed by a run a day later", len(stale_files))


def test_concurrent_transfers_leave_each_row_once(target: Target, env: dict[str, str], record: Record) -> None:
    others = target.others()
    for number in range(2, 2 + ROUNDS):
        target.make_old(number)
        runs = [prepare_load(target, env) for _ in range(2)]
        results = [run.result() for run in [run.start() for run in runs]]
        for result in results:
            success = isinstance(result, dict)
            assert success or result.startswith("AngusStorageError"), result
            outcome = "success" if success else result.partition(":")[0]
            record("two concurrent runs of one interval", target.path, outcome)
        assert set(target.parts(number)) == {"new"}, f"round {number}: {target.parts(number)}, {results}"
        assert target.others() == others
