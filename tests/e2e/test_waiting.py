"""Deferred sensors under a real scheduler and triggerer: each way that a wait can end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow_runs import AIRFLOW_3, only_airflow_3
from scenarios import SCENARIOS

if TYPE_CHECKING:
    from live_airflow import LiveAirflow

    from airflow_provider_angus.sandbox import Sandbox

NEXT_DAY = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
ENDED = {"success", "failed", "skipped"}
FOR_EVER = 10_000
NEVER_WAIT = {"starts_from_trigger_without_interval"}
NEVER_GET_DATA = {"runs_out_of_time", "runs_out_of_time_softly"}


@pytest.fixture(scope="module")
def held(live: LiveAirflow, sandboxes: dict[str, Sandbox]) -> str:
    """All that the metadata database holds while every sensor waits in the triggerer that ever does."""
    # Two looks: the first may be a worker's, the second is a trigger's.
    waiting = set(SCENARIOS) - NEVER_WAIT - NEVER_GET_DATA
    assert live.wait_until(lambda: all(sandboxes[name].count("entities") >= 2 for name in waiting), 180)
    return everything(live)


@pytest.fixture(scope="module")
def waited(live: LiveAirflow, held: str, sandboxes: dict[str, Sandbox], watched: Sandbox) -> LiveAirflow:
    """An Airflow in which every scenario has come to its end."""
    assert held
    assert live.wait_until(lambda: not AIRFLOW_3 or marked(live) == "2026-11-20T23:00:00+00:00", 60)
    live.kill("triggerer")
    watched.clock.set(NEXT_DAY)
    live.run("connections", "delete", "loses_its_connection")
    for name in set(SCENARIOS) - NEVER_WAIT - NEVER_GET_DATA:
        happens(sandboxes[name], SCENARIOS[name])
    live.start("triggerer")
    assert live.wait_until(lambda: all(live.task(name).state in ENDED for name in SCENARIOS), 300)
    assert live.wait_until(lambda: not AIRFLOW_3 or len(fetched(live)) >= 5, 60)
    return live


def everything(live: LiveAirflow) -> str:
    """Return all that stands in the metadata database, but for connections, whose place it is."""
    tables = live.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'connection'")
    rows = [row for (table,) in tables for row in live.query(f'SELECT CAST(t AS TEXT) FROM "{table}" t')]  # noqa: S608 (its own names)
    return "\n".join(row for (row,) in rows)


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
    """Return the payloads of the events of the watched asset."""
    sql = "SELECT asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id WHERE name = 'angus_shop_hours'"
    return [extra["payload"] for (extra,) in live.query(sql)]


def marked(live: LiveAirflow) -> str | None:
    """Return the mark of the watcher: the start of the bucket it will fire for next."""
    marks = live.query("SELECT value FROM asset_state_store")
    return json.loads(marks[0][0]) if marks else None


def fetched(live: LiveAirflow) -> list[str]:
    """Return the bucket starts of the rows that the example on the asset has fetched, in all its runs."""
    done = live.query("SELECT value FROM xcom WHERE (task_id, key) = ('fetch_hour', 'return_value')")
    return sorted(row["bucket_start"] for (value,) in done for row in value)


def ended(live: LiveAirflow, name: str) -> tuple[str | None, int]:
    """Return state and number of tries, and show the log, for the case that they are not what was expected."""
    task = live.task(name)
    print(f"{name}:\n{task.trigger_log}\n{task.worker_log}")
    return task.state, task.tries


def test_data_that_appears_ends_the_wait_also_after_the_triggerer_was_killed(waited: LiveAirflow) -> None:
    assert ended(waited, "appears") == ("success", 1)
    assert ended(waited, "outlives_a_triggerer") == ("success", 1)


def test_a_time_out_is_a_sensor_s_and_is_not_retried(waited: LiveAirflow) -> None:
    assert ended(waited, "runs_out_of_time") == ("failed", 1)
    assert "AirflowSensorTimeout" in waited.task("runs_out_of_time").worker_log
    assert "not there within the timeout of 4 s" in waited.task("runs_out_of_time").worker_log


def test_a_time_out_with_soft_fail_is_a_skip(waited: LiveAirflow) -> None:
    assert ended(waited, "runs_out_of_time_softly") == ("skipped", 1)


def test_refused_credentials_fail_at_once_with_the_server_s_words_and_no_retry(waited: LiveAirflow) -> None:
    assert ended(waited, "is_refused_credentials") == ("failed", 1)
    assert "AngusAuthError" in waited.task("is_refused_credentials").worker_log
    assert "No such stream." in waited.task("is_refused_credentials").worker_log


def test_a_sensor_starts_from_the_trigger_where_airflow_can_and_says_where_it_cannot(waited: LiveAirflow) -> None:
    assert ended(waited, "starts_from_trigger") == ("success", 1)
    task = waited.task("starts_from_trigger")
    assert "Not yet" in task.trigger_log
    assert ("Not yet" in task.worker_log) is not AIRFLOW_3
    assert ("cannot start from the trigger" in task.worker_log) is not AIRFLOW_3


def test_trigger_arguments_hold_no_secret(held: str, waited: LiveAirflow, sandboxes: dict[str, Sandbox]) -> None:
    assert 'AngusEntitiesTrigger,"{' in held  # in plain text, so that a secret would be seen
    everything_held = held + everything(waited)
    for name in SCENARIOS:
        assert sandboxes[name].connection()["password"] not in everything_held


def test_a_run_without_an_interval_is_refused_as_in_every_other_mode(waited: LiveAirflow) -> None:
    assert ended(waited, "starts_from_trigger_without_interval") == ("failed", 1)
    assert "AngusIntervalError" in waited.task("starts_from_trigger_without_interval").worker_log


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
    waited: LiveAirflow, sandboxes: dict[str, Sandbox], name: str, error: str, tries: int
) -> None:
    assert ended(waited, name) == ("failed", tries)
    log = waited.task(name).worker_log
    assert error in log
    assert "TaskDeferralError" not in log
    # Two tries of at most two looks in a trigger and two of workers, each of at most four attempts.
    assert sandboxes[name].count() <= tries * 4 * 4


def test_a_deleted_connection_is_named(waited: LiveAirflow) -> None:
    assert "There is no connection 'loses_its_connection'" in waited.task("loses_its_connection").worker_log


def test_too_many_requests_are_borne(waited: LiveAirflow) -> None:
    assert ended(waited, "meets_429_for_a_while") == ("success", 1)


@only_airflow_3
def test_a_watcher_fires_for_each_hour_and_its_dag_fetches_it_once_also_across_a_restart(waited: LiveAirflow) -> None:
    """The example angus_hourly_on_asset: "angus_hourly_on_asset"."""
    starts = [f"2026-11-20T{hour}:00:00+00:00" for hour in range(20, 24)] + ["2026-11-21T00:00:00+00:00"]
    assert sorted(payload["from_date"] for payload in fired(waited)) == starts
    assert fetched(waited) == starts
