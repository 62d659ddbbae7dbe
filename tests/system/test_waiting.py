"""Deferred sensors with a scheduler and a triggerer: each way in which a wait ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import AIRFLOW_3, only_airflow_3
from scenarios import SCENARIOS
from sensors import DAY, NEXT_DAY

if TYPE_CHECKING:
    from live_airflow import LiveAirflow

    from airflow_provider_angus.sandbox import Sandbox

FINAL = {"success", "failed", "skipped"}
ALWAYS = 10_000
#: Scenarios whose data never appears.
TIME_OUT = {"times_out", "times_out_with_soft_fail"}
#: Scenarios that wait until the test changes the data, the API or the connection.
WAIT = set(SCENARIOS) - TIME_OUT - {"starts_from_trigger_without_interval"}


@pytest.fixture(scope="module")
def database_content(live: LiveAirflow, sandboxes: dict[str, Sandbox]) -> str:
    """The content of the metadata database while all sensors wait in the triggerer."""
    # The first request may come from a worker, the second comes from a trigger.
    assert live.wait_until(lambda: all(sandboxes[name].count("entities") >= 2 for name in WAIT), 180)
    return read_database(live)


@pytest.fixture(scope="module")
def finished(live: LiveAirflow, database_content: str, sandboxes: dict[str, Sandbox], watched: Sandbox) -> LiveAirflow:
    """An Airflow in which all scenarios have ended. Its triggerer was killed and restarted during the waits."""
    assert database_content
    assert live.wait_until(lambda: not AIRFLOW_3 or stored_bucket(live) == "2026-11-20T23:00:00+00:00", 60)
    live.kill("triggerer")
    watched.clock.set(NEXT_DAY)
    live.run("connections", "delete", "connection_deleted")
    for name in WAIT:
        start_scenario(sandboxes[name], SCENARIOS[name])
    live.start("triggerer")
    assert live.wait_until(lambda: all(live.task(name).state in FINAL for name in SCENARIOS), 300)
    assert live.wait_until(lambda: not AIRFLOW_3 or len(fetched_buckets(live)) >= 5, 60)
    return live


def read_database(live: LiveAirflow) -> str:
    """Return the content of the metadata database as text, without the table of connections."""
    tables = live.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'connection'")
    rows = [row for (table,) in tables for row in live.query(f'SELECT CAST(t AS TEXT) FROM "{table}" t')]  # noqa: S608 (names from the database)
    return "\n".join(row for (row,) in rows)


def start_scenario(sandbox: Sandbox, failure: dict[str, Any]) -> None:
    """Let the last hour appear, and the API fail as the scenario says."""
    sandbox.forget_calls()
    if failure.get("status") in {400, 401}:
        sandbox.expire_tokens()
    if failure:
        sandbox.fail_next(**({"times": ALWAYS} | failure))
    sandbox.clock.set(NEXT_DAY)


def event_payloads(live: LiveAirflow) -> list[dict[str, Any]]:
    """Return the payloads of the watched asset's events."""
    sql = "SELECT asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id WHERE name = 'angus_shop_hours'"
    return [extra["payload"] for (extra,) in live.query(sql)]


def stored_bucket(live: LiveAirflow) -> str | None:
    """Return the start of the next bucket that the watcher has stored."""
    values = live.query("SELECT value FROM asset_state_store")
    return json.loads(values[0][0]) if values else None


def fetched_buckets(live: LiveAirflow) -> list[str]:
    """Return the bucket starts that all runs of the DAG on the watched asset have fetched."""
    found = live.query(
        "SELECT value FROM xcom WHERE (dag_id, task_id, key) = (?, 'fetch_hour', 'return_value')",
        "angus_hourly_on_asset",
    )
    return sorted(row["bucket_start"] for (value,) in found for row in value)


def state_and_tries(live: LiveAirflow, name: str) -> tuple[str | None, int]:
    """Return a task's state and number of tries. Print its logs, which pytest shows if the test fails."""
    task = live.task(name)
    print(f"{name}:\n{task.trigger_log}\n{task.worker_log}")
    return task.state, task.tries


def test_new_data_ends_wait(finished: LiveAirflow) -> None:
    """Also after the triggerer was killed."""
    assert state_and_tries(finished, "data_appears") == ("success", 1)
    assert state_and_tries(finished, "triggerer_restarts") == ("success", 1)


def test_timeout_fails_without_retry(finished: LiveAirflow) -> None:
    assert state_and_tries(finished, "times_out") == ("failed", 1)
    assert "AirflowSensorTimeout" in finished.task("times_out").worker_log
    assert "The data was not available within the timeout of 4 s" in finished.task("times_out").worker_log


def test_timeout_with_soft_fail_skips(finished: LiveAirflow) -> None:
    assert state_and_tries(finished, "times_out_with_soft_fail") == ("skipped", 1)


def test_refused_credentials_fail_without_retry(finished: LiveAirflow) -> None:
    assert state_and_tries(finished, "credentials_refused") == ("failed", 1)
    log = finished.task("credentials_refused").worker_log
    assert "AngusAuthError" in log
    assert "No such stream." in log


def test_start_from_trigger_needs_airflow_3_3(finished: LiveAirflow) -> None:
    """On earlier versions the wait starts on a worker, with a log line."""
    assert state_and_tries(finished, "starts_from_trigger") == ("success", 1)
    task = finished.task("starts_from_trigger")
    assert "is not available yet" in task.trigger_log
    assert ("is not available yet" in task.worker_log) is not AIRFLOW_3
    assert ("Starts on a worker: Airflow 3.3 is required." in task.worker_log) is not AIRFLOW_3


@only_airflow_3
@pytest.mark.parametrize("name", ["starts_with_datetimes", "starts_with_templates"])
def test_start_from_trigger_with_dates_needs_no_worker(finished: LiveAirflow, name: str) -> None:
    """The worker checks once, after the trigger's signal."""
    assert state_and_tries(finished, name) == ("success", 1)
    task = finished.task(name)
    assert f"Data of {DAY} is not available yet" in task.trigger_log
    assert "is not available yet" not in task.worker_log


@only_airflow_3
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("starts_with_results_of_task", "metrics comes from another task or a function"),
        ("starts_with_native_list", "metrics is a native template"),
        ("starts_with_pulled_date", "only a worker can render ti in from_date"),
        ("starts_with_calendar_day", "interval is a calendar duration"),
        ("starts_mapped", "the task is mapped or runs in dag.test()"),
    ],
)
def test_start_from_trigger_starts_on_a_worker(finished: LiveAirflow, name: str, reason: str) -> None:
    """The log has the reason. The wait continues in the triggerer."""
    assert state_and_tries(finished, name) == ("success", 1)
    task = finished.task(name)
    assert f"Starts on a worker: {reason}." in task.worker_log
    assert "is not available yet" in task.trigger_log


def test_trigger_arguments_contain_no_secret(
    database_content: str, finished: LiveAirflow, sandboxes: dict[str, Sandbox]
) -> None:
    assert 'AngusEntitiesTrigger,"{' in database_content  # plain text, so the search would find a secret
    content = database_content + read_database(finished)
    for name in SCENARIOS:
        assert sandboxes[name].connection()["password"] not in content


def test_start_from_trigger_without_interval_fails(finished: LiveAirflow) -> None:
    assert state_and_tries(finished, "starts_from_trigger_without_interval") == ("failed", 1)
    assert "AngusIntervalError" in finished.task("starts_from_trigger_without_interval").worker_log


@pytest.mark.parametrize(
    ("name", "error", "tries"),
    [
        ("new_token_refused", "AngusAuthError", 1),
        ("connection_deleted", "AngusAuthError", 1),
        ("status_500", "AngusUnavailableError", 2),
        ("html_body", "AngusResponseError", 1),
        ("truncated_bodies", "AngusResponseError", 1),
        ("slow_bodies", "AngusUnavailableError", 1),
    ],
)
def test_failure_raises_the_error_of_poke_mode(
    finished: LiveAirflow, sandboxes: dict[str, Sandbox], name: str, error: str, tries: int
) -> None:
    assert state_and_tries(finished, name) == ("failed", tries)
    log = finished.task(name).worker_log
    assert error in log
    assert "TaskDeferralError" not in log
    # Per try, at most two checks of the trigger and two of the worker, with at most four attempts each.
    assert sandboxes[name].count() <= tries * 4 * 4


def test_deleted_connection_is_named(finished: LiveAirflow) -> None:
    log = finished.task("connection_deleted").worker_log
    assert "Connection 'connection_deleted' does not exist" in log


def test_status_429_three_times_is_retried(finished: LiveAirflow) -> None:
    assert state_and_tries(finished, "status_429_three_times") == ("success", 1)


@only_airflow_3
def test_watcher_fires_once_for_each_hour(finished: LiveAirflow) -> None:
    """Also across the restart of the triggerer. The DAG on the asset fetches each hour once."""
    starts = [f"2026-11-20T{hour}:00:00+00:00" for hour in range(20, 24)] + ["2026-11-21T00:00:00+00:00"]
    assert sorted(payload["from_date"] for payload in event_payloads(finished)) == starts
    assert fetched_buckets(finished) == starts
