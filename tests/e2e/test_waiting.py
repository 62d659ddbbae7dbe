"""Deferred sensors under a real scheduler and triggerer: each way that a wait can end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_runs import AIRFLOW_3, only_airflow_3
from live_airflow import LiveAirflow

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

E2E = Path(__file__).parent
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
ENDED = {"success", "failed", "skipped"}

#: What the API does once a sensor waits in the triggerer; where nothing is said, the data appears.
SCENARIOS: dict[str, dict[str, Any]] = {
    "appears": {},
    "outlives_a_triggerer": {},
    "starts_from_trigger": {},
    "runs_out_of_time": {},
    "runs_out_of_time_softly": {},
    "is_refused_credentials": {"status": 400, "on": "token", "body": {"non_field_errors": ["No such stream."]}},
}
if AIRFLOW_3:  # On Airflow 2 only SequentialExecutor goes with SQLite: one task at a time, so less is tried there.
    SCENARIOS |= {
        "starts_from_trigger_without_interval": {},
        "loses_its_connection": {},
        "is_refused_a_fresh_token": {"status": 401, "on": "entities"},
        "meets_500": {"status": 500, "headers": {"Retry-After": "0"}},
        "meets_html": {"status": 200, "body": "<html>hello</html>", "on": "entities"},
        "meets_half_bodies": {"status": 200, "cut": True},
        "meets_slow_bytes": {"status": 200, "drip": 0.5},
        "meets_429_for_a_while": {"status": 429, "times": 3, "headers": {"Retry-After": "1"}},
    }
FOR_EVER = 10_000
NEVER_WAIT = {"starts_from_trigger_without_interval"}
NEVER_GET_DATA = {"runs_out_of_time", "runs_out_of_time_softly"}


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[str, Sandbox]]:
    """A local Angus for each scenario, where the day's last hour is missing."""
    with contextlib.ExitStack() as stack:
        sandboxes = {name: stack.enter_context(Sandbox()) for name in SCENARIOS}
        for sandbox in sandboxes.values():
            sandbox.clock.set(EVENING)
        yield sandboxes


@pytest.fixture(scope="module")
def watched() -> Iterator[Sandbox]:
    """The local Angus that the example of an asset watcher looks at, where three hours since its first are there."""
    with Sandbox() as sandbox:
        sandbox.clock.set(EVENING)
        yield sandbox


@pytest.fixture(scope="module")
def live(sandboxes: dict[str, Sandbox], watched: Sandbox) -> Iterator[LiveAirflow]:
    """An Airflow in which every scenario has come to its end."""
    home = Path(f"{os.environ['AIRFLOW_HOME']}-live")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    connections = {name: sandbox.connection() for name, sandbox in sandboxes.items()}
    for connection in connections.values():
        connection["extra"]["timeout"] = 2
    lost = connections.pop("loses_its_connection", None)
    env = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()}
    shutil.copytree(E2E / "dags", home / "dags")
    if AIRFLOW_3:
        shutil.copy(E2E.parent.parent / "example_dags" / "angus_hourly_on_asset.py", home / "dags")
        env["AIRFLOW_CONN_ANGUS_DEFAULT"] = watched.connection_json()
    live = LiveAirflow(home, home / "dags", env | {"SCENARIOS": ",".join(SCENARIOS)})
    try:
        if lost:
            live.run("connections", "add", "loses_its_connection", "--conn-json", json.dumps(lost))
        live.start_all()

        # Two looks: the first may be a worker's, the second is a trigger's.
        waiting = set(SCENARIOS) - NEVER_WAIT - NEVER_GET_DATA
        assert live.wait_until(lambda: all(sandboxes[name].count("entities") >= 2 for name in waiting), 180)
        assert live.wait_until(lambda: not AIRFLOW_3 or marked(live) == "2026-11-20T23:00:00+00:00", 60)
        live.kill("triggerer")
        watched.clock.set(NEXT_DAY)
        if lost:
            live.run("connections", "delete", "loses_its_connection")
        for name in waiting:
            happens(sandboxes[name], SCENARIOS[name])
        live.start("triggerer")
        assert live.wait_until(lambda: all(live.task(name).state in ENDED for name in SCENARIOS), 300)
        live.wait_until(lambda: len(fetched(live)) >= 5 or not AIRFLOW_3, 60)
        yield live
    finally:
        live.close()


def happens(sandbox: Sandbox, trouble: dict[str, Any]) -> None:
    """Let the API do what a scenario is about."""
    sandbox.forget_calls()
    if trouble.get("status") in {400, 401}:
        sandbox.expire_tokens()
    if trouble:
        sandbox.fail_next(**({"times": FOR_EVER} | trouble))
    if trouble.get("times", 0) < FOR_EVER:
        sandbox.clock.set(NEXT_DAY)


def fired(live: LiveAirflow) -> list[dict[str, Any]]:
    """Return the payloads of the asset events there have been."""
    return [json.loads(extra)["payload"] for (extra,) in live.query("SELECT extra FROM asset_event ORDER BY id")]


def marked(live: LiveAirflow) -> str | None:
    """Return the mark of the watcher: the start of the bucket it will fire for next."""
    marks = live.query("SELECT value FROM asset_state_store")
    return json.loads(marks[0][0]) if marks else None


def fetched(live: LiveAirflow) -> list[str]:
    """Return the bucket starts of the rows that the example on the asset has fetched, in all its runs."""
    done = live.query("SELECT value FROM xcom WHERE (task_id, key) = ('fetch_hour', 'return_value')")
    return sorted(row["bucket_start"] for (value,) in done for row in json.loads(value))


def ended(live: LiveAirflow, name: str) -> tuple[str | None, int]:
    """Return state and number of tries, and show the log, for the case that they are not what was expected."""
    task = live.task(name)
    print(f"{name}:\n{task.trigger_log}\n{task.worker_log}")
    return task.state, task.tries


def test_data_that_appears_ends_the_wait_also_after_the_triggerer_was_killed(live: LiveAirflow) -> None:
    assert ended(live, "appears") == ("success", 1)
    assert ended(live, "outlives_a_triggerer") == ("success", 1)


def test_a_time_out_is_a_sensor_s_and_is_not_retried(live: LiveAirflow) -> None:
    assert ended(live, "runs_out_of_time") == ("failed", 1)
    assert "AirflowSensorTimeout" in live.task("runs_out_of_time").worker_log
    assert "not there within the timeout of 4 s" in live.task("runs_out_of_time").worker_log


def test_a_time_out_with_soft_fail_is_a_skip(live: LiveAirflow) -> None:
    assert ended(live, "runs_out_of_time_softly") == ("skipped", 1)


def test_refused_credentials_fail_at_once_with_the_server_s_words_and_no_retry(live: LiveAirflow) -> None:
    assert ended(live, "is_refused_credentials") == ("failed", 1)
    assert "AngusAuthError" in live.task("is_refused_credentials").worker_log
    assert "No such stream." in live.task("is_refused_credentials").worker_log


def test_a_sensor_starts_from_the_trigger_where_airflow_can_and_says_where_it_cannot(live: LiveAirflow) -> None:
    assert ended(live, "starts_from_trigger") == ("success", 1)
    task = live.task("starts_from_trigger")
    assert "Not yet" in task.trigger_log
    assert ("Not yet" in task.worker_log) is not AIRFLOW_3
    assert ("cannot start from the trigger" in task.worker_log) is not AIRFLOW_3


def test_trigger_arguments_hold_no_secret(live: LiveAirflow, sandboxes: dict[str, Sandbox]) -> None:
    everything = (live.home / "airflow.db").read_bytes()
    for name in SCENARIOS:
        if name != "loses_its_connection":
            assert sandboxes[name].connection()["password"].encode() not in everything


@only_airflow_3
def test_a_run_without_an_interval_is_refused_as_in_every_other_mode(live: LiveAirflow) -> None:
    assert ended(live, "starts_from_trigger_without_interval") == ("failed", 1)
    assert "AngusIntervalError" in live.task("starts_from_trigger_without_interval").worker_log


@only_airflow_3
@pytest.mark.parametrize(
    ("name", "error", "tries"),
    [
        ("is_refused_a_fresh_token", "AngusAuthError", 1),
        ("loses_its_connection", "AngusAuthError", 1),
        ("meets_500", "AngusUnavailableError", 2),
        ("meets_html", "AngusResponseError", 1),
        ("meets_half_bodies", "AngusResponseError", 1),
        ("meets_slow_bytes", "AngusUnavailableError", 1),
    ],
)
def test_trouble_ends_in_the_error_that_poke_mode_ends_in(
    live: LiveAirflow, sandboxes: dict[str, Sandbox], name: str, error: str, tries: int
) -> None:
    assert ended(live, name) == ("failed", tries)
    log = live.task(name).worker_log
    assert error in log
    assert "TaskDeferralError" not in log
    # Two tries of at most two looks in a trigger and two of workers, each of at most four attempts.
    assert sandboxes[name].count() <= tries * 4 * 4


@only_airflow_3
def test_a_deleted_connection_is_named(live: LiveAirflow) -> None:
    assert "There is no connection 'loses_its_connection'" in live.task("loses_its_connection").worker_log


@only_airflow_3
def test_too_many_requests_are_borne(live: LiveAirflow) -> None:
    assert ended(live, "meets_429_for_a_while") == ("success", 1)


@only_airflow_3
def test_a_watcher_fires_for_each_hour_and_its_dag_fetches_it_once_also_across_a_restart(live: LiveAirflow) -> None:
    """The example angus_hourly_on_asset: "angus_hourly_on_asset"."""
    starts = [f"2026-11-20T{hour}:00:00+00:00" for hour in range(20, 24)] + ["2026-11-21T00:00:00+00:00"]
    assert sorted(payload["from_date"] for payload in fired(live)) == starts
    assert fetched(live) == starts
