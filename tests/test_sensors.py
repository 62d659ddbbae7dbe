"""The sensor: it waits until the data of a run's own interval is there, and says why it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_angus import retrying
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusIntervalError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.sensors import AngusEntitiesSensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
RETRY: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}

pytestmark = pytest.mark.usefixtures("connection")


def wait(**arguments: Any) -> AngusEntitiesSensor:
    defaults = {"task_id": "wait", "metrics": "passing_by", "time": "by_hour", "poke_interval": 0, "timeout": 30}
    return AngusEntitiesSensor(**defaults | arguments)


@pytest.fixture
def _no_second_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client give up after one attempt, so that each failure of the API is one of the sensor's."""
    import tenacity

    monkeypatch.setitem(retrying.POLICY, "stop", tenacity.stop_after_attempt(1))


def at_look(sandbox: Sandbox, look: int, happens: Callable[[], object]) -> None:
    """Let something happen in the sandbox just after this look at its entities has been answered."""
    looks = iter(range(1, look + 1))

    def answered(answer: dict[str, Any]) -> dict[str, Any]:
        if next(looks) == look:
            happens()
        return answer

    sandbox.change_next(answered, times=look, on="entities")


def test_data_that_is_there_is_found_with_one_call(airflow: Airflow, sandbox: Sandbox) -> None:
    assert airflow.run(wait, schedule=DAILY)["wait"].state == "success"
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]
    assert "The data of 2026-11-20T00:00:00+00:00 .. 2026-11-21T00:00:00+00:00 is there." in airflow.log


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_it_waits_until_every_bucket_is_there_and_names_those_that_are_not(
    airflow: Airflow, sandbox: Sandbox, mode: str
) -> None:
    sandbox.clock.set(datetime(2026, 11, 20, 18, tzinfo=UTC))
    at_look(sandbox, 2, lambda: sandbox.clock.set(EVENING))
    at_look(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert airflow.run(lambda: wait(mode=mode), schedule=DAILY)["wait"].state == "success"
    assert sandbox.count("entities") == 4
    assert sandbox.count("token") == 1
    six = "6 buckets (2026-11-20T18:00:00+00:00, 2026-11-20T19:00:00+00:00, 2026-11-20T20:00:00+00:00 and 3 more)"
    assert f"Not yet: 2026-11-20T00:00:00+00:00 .. 2026-11-21T00:00:00+00:00: {six} are missing" in airflow.log
    assert "1 bucket (2026-11-20T23:00:00+00:00) is missing" in airflow.log


def test_with_time_global_it_waits_for_the_one_entity(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.clock.set(datetime(2026, 11, 19, 12, tzinfo=UTC))
    at_look(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    assert airflow.run(lambda: wait(time="global"), schedule=DAILY)["wait"].state == "success"
    assert sandbox.count("entities") == 2


@pytest.mark.parametrize(
    ("ends_in", "reason"),
    [(timedelta(hours=1), "it is not over until"), (timedelta(minutes=-1), "it settles until")],
)
def test_nothing_is_asked_before_the_interval_is_over_and_settled(
    airflow: Airflow, sandbox: Sandbox, ends_in: timedelta, reason: str
) -> None:
    end = datetime.now(UTC) + ends_in
    outcome = airflow.run(lambda: wait(from_date=end - timedelta(hours=2), to_date=end, timeout=0))["wait"]
    assert type(outcome.errors[0]).__name__ == "AirflowSensorTimeout"
    assert reason in airflow.log
    assert sandbox.count() == 0


def test_settle_says_how_long_after_its_end_an_interval_may_still_change(airflow: Airflow, sandbox: Sandbox) -> None:
    end = datetime.now(UTC) - timedelta(minutes=1)
    arguments: dict[str, Any] = {"from_date": end - timedelta(hours=2), "to_date": end, "settle": timedelta(0)}
    assert airflow.run(lambda: wait(**arguments))["wait"].state == "success"
    assert sandbox.count("entities") == 1


def test_a_minimum_that_is_not_reached_is_waited_for_and_said(airflow: Airflow, sandbox: Sandbox) -> None:
    def silent(answer: dict[str, Any]) -> dict[str, Any]:
        for bucket in answer["entities"].values():
            bucket["passing_by"]["value"] = 0
        return answer

    sandbox.change_next(silent, on="entities")
    outcome = airflow.run(lambda: wait(minimum={"passing_by": 5}), schedule=DAILY)["wait"]
    assert outcome.state == "success"
    assert sandbox.count("entities") == 2
    assert "passing_by is 0, 5 short of 5" in airflow.log


@pytest.mark.usefixtures("_no_second_attempts")
@pytest.mark.parametrize(
    "order",
    [{"status": 503}, {"status": 429}, {"status": 0}, {"status": 200, "cut": True}, {"status": 200, "body": "<html>"}],
    ids=["503", "429", "no answer", "cut short", "HTML"],
)
def test_an_api_that_is_away_for_a_while_does_not_fail_a_waiting_sensor(
    airflow: Airflow, sandbox: Sandbox, order: dict[str, Any]
) -> None:
    sandbox.fail_next(**order, times=4, on="entities")
    outcome = airflow.run(lambda: wait(**RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries) == ("success", 1)
    assert "failure 4 of 5 of the API in a row" in airflow.log


@pytest.mark.usefixtures("_no_second_attempts")
@pytest.mark.parametrize(
    ("order", "error"),
    [({"status": 503}, AngusUnavailableError), ({"status": 200, "body": "<html>"}, AngusResponseError)],
)
def test_max_failures_in_a_row_end_a_try(
    airflow: Airflow, sandbox: Sandbox, order: dict[str, Any], error: type[Exception]
) -> None:
    sandbox.fail_next(**order, times=20, on="entities")
    outcome = airflow.run(lambda: wait(max_failures=3, **RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries, sandbox.count("entities")) == ("failed", 2, 6)
    assert [type(each) for each in outcome.errors] == [error, error]


@pytest.mark.usefixtures("_no_second_attempts")
def test_an_answer_in_between_starts_the_count_of_failures_again(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    sandbox.fail_next(503, times=2, on="entities")
    at_look(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    sandbox.fail_next(503, times=2, on="entities")
    outcome = airflow.run(lambda: wait(max_failures=3), schedule=DAILY)["wait"]
    assert (outcome.state, sandbox.count("entities")) == ("success", 6)


@pytest.mark.usefixtures("_no_second_attempts")
def test_in_reschedule_mode_an_api_that_is_away_is_waited_for_until_the_timeout(
    airflow: Airflow, sandbox: Sandbox
) -> None:
    sandbox.fail_next(503, times=3, on="entities")
    outcome = airflow.run(lambda: wait(mode="reschedule", max_failures=1), schedule=DAILY)["wait"]
    assert (outcome.state, sandbox.count("entities")) == ("success", 4)


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize(
    ("endpoint", "status", "error"),
    [("token", 400, AngusAuthError), ("entities", 401, AngusAuthError), ("entities", 400, AngusRequestError)],
)
def test_what_is_refused_fails_at_once_and_is_not_retried(
    airflow: Airflow, sandbox: Sandbox, mode: str, endpoint: str, status: int, error: type[Exception]
) -> None:
    sandbox.fail_next(status, times=20, on=endpoint, body={"code": "no", "message": "No."})
    outcome = airflow.run(lambda: wait(mode=mode, **RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert type(outcome.errors[0]) is error


def test_a_timeout_is_airflow_s_own(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    outcome = airflow.run(lambda: wait(timeout=0, **RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert type(outcome.errors[0]).__name__ == "AirflowSensorTimeout"


def test_soft_fail_skips_what_is_refused(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.fail_next(400, times=20, on="token", body={"non_field_errors": ["No."]})
    assert airflow.run(lambda: wait(soft_fail=True), schedule=DAILY)["wait"].state == "skipped"


def test_a_run_without_an_interval_is_refused_before_any_call(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: wait(**RETRY))["wait"]
    assert (outcome.state, outcome.tries, sandbox.count()) == ("failed", 1, 0)
    assert isinstance(outcome.errors[0], AngusIntervalError)


def test_a_mapped_sensor_waits_for_each_connection(
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


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"metrics": "visitors"}, AngusRequestError, "must be one or more of passing_by"),
        ({"time": "by_week"}, AngusRequestError, "by_hour, by_day, global"),
        ({"from_date": "2026-11-20"}, AngusIntervalError, "without to_date"),
        ({"minimum": {"interested": 1}}, AngusRequestError, "'interested'.* only these add up over .*: passing_by"),
        ({"metrics": "stop_time", "minimum": {"stop_time": 1}}, AngusRequestError, "add up over an interval: none"),
        ({"minimum": {"passing_by": "1"}}, AngusRequestError, "must be a number, got '1'"),
        ({"settle": 120}, AngusRequestError, "settle must be a timedelta"),
        ({"window": 120}, AngusRequestError, "window must be a timedelta longer than zero"),
        ({"max_failures": 0}, AngusRequestError, "max_failures must be"),
        ({"angus_conn_id": ["a", "b"]}, AngusRequestError, "waits for one stream; map it"),
    ],
)
def test_parsing_a_dag_refuses_what_is_always_wrong(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        wait(**arguments)


def test_a_minimum_is_held_against_metrics_that_are_templates_when_they_are_rendered(
    airflow: Airflow, sandbox: Sandbox
) -> None:
    outcome = airflow.run(lambda: wait(metrics="{{ 'gender' }}", minimum={"passing_by": 1}), schedule=DAILY)["wait"]
    assert isinstance(outcome.errors[0], AngusRequestError)
    assert sandbox.count() == 0
