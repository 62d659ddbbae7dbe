"""AngusEntitiesSensor in poke and reschedule mode, run by Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import not_in_test_runs_of_3_0
from sensors import DAILY, DAY, EVENING, NEXT_DAY, ONE_RETRY, at_request, wait, without_people

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusIntervalError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.sensors import AngusEntitiesSensor

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")


# Availability


def test_sensor_available_data_needs_one_request(airflow: Airflow, sandbox: Sandbox) -> None:
    assert airflow.run(wait, schedule=DAILY)["wait"].state == "success"
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]
    assert f"Data of {DAY} is available." in airflow.log


@pytest.mark.parametrize("mode", ["poke", pytest.param("reschedule", marks=not_in_test_runs_of_3_0)])
def test_sensor_waits_for_missing_buckets(airflow: Airflow, sandbox: Sandbox, mode: str) -> None:
    """The log names the missing buckets."""
    sandbox.clock.set(datetime(2026, 11, 20, 18, tzinfo=UTC))
    at_request(sandbox, 2, lambda: sandbox.clock.set(EVENING))
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert airflow.run(lambda: wait(mode=mode), schedule=DAILY)["wait"].state == "success"
    assert sandbox.count("entities") == 4
    assert sandbox.count("token") == 1
    six = "6 buckets (2026-11-20T18:00:00+00:00, 2026-11-20T19:00:00+00:00, 2026-11-20T20:00:00+00:00 and 3 more)"
    assert f"Data of {DAY} is not available yet: missing {six}" in airflow.log
    assert "missing 1 bucket (2026-11-20T23:00:00+00:00)" in airflow.log


def test_sensor_time_global_waits_for_one_bucket(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.clock.set(datetime(2026, 11, 19, 12, tzinfo=UTC))
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert airflow.run(lambda: wait(time="global"), schedule=DAILY)["wait"].state == "success"
    assert sandbox.count("entities") == 2


@pytest.mark.parametrize(
    ("ends_in", "reason"),
    [(timedelta(hours=1), "the interval ends at "), (timedelta(minutes=-1), "the data settles at ")],
)
def test_sensor_sends_no_request_before_the_interval_settled(
    airflow: Airflow, sandbox: Sandbox, ends_in: timedelta, reason: str
) -> None:
    end = datetime.now(UTC) + ends_in
    outcome = airflow.run(lambda: wait(from_date=end - timedelta(hours=2), to_date=end, timeout=0))["wait"]
    assert type(outcome.errors[0]).__name__ == "AirflowSensorTimeout"
    assert reason in airflow.log
    assert sandbox.count() == 0


def test_sensor_settle_zero_checks_at_the_end(airflow: Airflow, sandbox: Sandbox) -> None:
    end = datetime.now(UTC) - timedelta(minutes=1)
    arguments: dict[str, Any] = {"from_date": end - timedelta(hours=2), "to_date": end, "settle": timedelta(0)}
    assert airflow.run(lambda: wait(**arguments))["wait"].state == "success"
    assert sandbox.count("entities") == 1


def test_sensor_waits_for_the_minimum(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.change_next(without_people, on="entities")
    outcome = airflow.run(lambda: wait(minimum={"passing_by": 5}), schedule=DAILY)["wait"]
    assert outcome.state == "success"
    assert sandbox.count("entities") == 2
    assert "passing_by: expected at least 5, got 0" in airflow.log


def test_sensor_mapped_waits_for_each_connection(
    airflow: Airflow, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, client_id in enumerate(sandbox.streams):
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", sandbox.connection_json(client_id))
    outcomes = airflow.run(
        lambda: AngusEntitiesSensor.partial(task_id="wait", metrics="passing_by", poke_interval=0).expand(
            angus_conn_id=["shop_0", "shop_1", "shop_2"]
        ),
        schedule=DAILY,
    )
    assert [outcome.state for outcome in outcomes.values()] == ["success"] * 3
    assert {call.client_id for call in sandbox.calls} == set(sandbox.streams)


# API failures


@pytest.mark.usefixtures("one_attempt")
@pytest.mark.parametrize(
    "failure",
    [{"status": 503}, {"status": 429}, {"status": 0}, {"status": 200, "cut": True}, {"status": 200, "body": "<html>"}],
    ids=["503", "429", "no response", "incomplete body", "HTML"],
)
def test_sensor_survives_fewer_than_max_failures(airflow: Airflow, sandbox: Sandbox, failure: dict[str, Any]) -> None:
    sandbox.fail_next(**failure, times=4, on="entities")
    outcome = airflow.run(lambda: wait(**ONE_RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries) == ("success", 1)
    assert "API failure 4 of 5 in a row: " in airflow.log


@pytest.mark.usefixtures("one_attempt")
@pytest.mark.parametrize(
    ("failure", "error"),
    [({"status": 503}, AngusUnavailableError), ({"status": 200, "body": "<html>"}, AngusResponseError)],
)
def test_sensor_max_failures_in_a_row_fail_a_try(
    airflow: Airflow, sandbox: Sandbox, failure: dict[str, Any], error: type[Exception]
) -> None:
    sandbox.fail_next(**failure, times=20, on="entities")
    outcome = airflow.run(lambda: wait(max_failures=3, **ONE_RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries, sandbox.count("entities")) == ("failed", 2, 6)
    assert [type(each) for each in outcome.errors] == [error, error]


@pytest.mark.usefixtures("one_attempt")
def test_sensor_success_resets_the_failure_count(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    sandbox.fail_next(503, times=2, on="entities")
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    sandbox.fail_next(503, times=2, on="entities")
    outcome = airflow.run(lambda: wait(max_failures=3), schedule=DAILY)["wait"]
    assert (outcome.state, sandbox.count("entities")) == ("success", 6)


@pytest.mark.usefixtures("one_attempt")
@not_in_test_runs_of_3_0
def test_sensor_reschedule_mode_ignores_max_failures(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=3, on="entities")
    outcome = airflow.run(lambda: wait(mode="reschedule", max_failures=1), schedule=DAILY)["wait"]
    assert (outcome.state, sandbox.count("entities")) == ("success", 4)
    assert f"Data of {DAY} is not available yet: API failure: " in airflow.log


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize(
    ("endpoint", "status", "error"),
    [("token", 400, AngusAuthError), ("entities", 401, AngusAuthError), ("entities", 400, AngusRequestError)],
)
def test_sensor_refused_request_fails_without_retry(
    airflow: Airflow, sandbox: Sandbox, mode: str, endpoint: str, status: int, error: type[Exception]
) -> None:
    sandbox.fail_next(status, times=20, on=endpoint, body={"code": "no", "message": "No."})
    outcome = airflow.run(lambda: wait(mode=mode, **ONE_RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert type(outcome.errors[0]) is error


# Other endings


def test_sensor_timeout_is_airflow_sensor_timeout(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    outcome = airflow.run(lambda: wait(timeout=0, **ONE_RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert type(outcome.errors[0]).__name__ == "AirflowSensorTimeout"


def test_sensor_soft_fail_skips_refused_credentials(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.fail_next(400, times=20, on="token", body={"non_field_errors": ["No."]})
    assert airflow.run(lambda: wait(soft_fail=True), schedule=DAILY)["wait"].state == "skipped"


def test_sensor_without_interval_fails_before_any_request(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: wait(**ONE_RETRY))["wait"]
    assert (outcome.state, outcome.tries, sandbox.count()) == ("failed", 1, 0)
    assert isinstance(outcome.errors[0], AngusIntervalError)


def test_sensor_templated_metrics_are_checked_with_minimum(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: wait(metrics="{{ 'gender' }}", minimum={"passing_by": 1}), schedule=DAILY)["wait"]
    assert isinstance(outcome.errors[0], AngusRequestError)
    assert sandbox.count() == 0
