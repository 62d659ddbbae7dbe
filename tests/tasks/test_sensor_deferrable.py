"""AngusEntitiesSensor in deferrable mode ends as in poke mode, run by Airflow. Differences are listed."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import task
from airflow_versions import AIRFLOW
from sensors import (
    DAILY,
    DAY,
    EVENING,
    NEXT_DAY,
    ONE_RETRY,
    EventTrigger,
    at_request,
    wait,
)

from airflow_provider_angus._compat import STARTS_FROM_TRIGGER
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.sensors import AngusEntitiesSensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_runs import Airflow, Outcome

ALWAYS = 1000
REFUSAL = {"code": "no", "message": "No."}
MODES = pytest.mark.parametrize("mode", [{"mode": "poke"}, {"deferrable": True}], ids=["poke", "deferrable"])


def available(sandbox: Sandbox) -> None:
    sandbox.clock.set(NEXT_DAY)


def appears(sandbox: Sandbox) -> None:
    at_request(sandbox, 3, lambda: sandbox.clock.set(NEXT_DAY))


def never_appears(_: Sandbox) -> None:
    """Leave the day's last bucket missing."""


def refuses_credentials_at_once(sandbox: Sandbox) -> None:
    sandbox.fail_next(400, times=ALWAYS, on="token", body={"non_field_errors": ["No."]})


def refuses_credentials(sandbox: Sandbox) -> None:
    def refuse() -> None:
        sandbox.expire_tokens()
        refuses_credentials_at_once(sandbox)

    at_request(sandbox, 2, refuse)


def refuses_every_token(sandbox: Sandbox) -> None:
    at_request(sandbox, 2, lambda: sandbox.fail_next(401, times=ALWAYS, on="entities"))


def refuses_the_request(sandbox: Sandbox) -> None:
    at_request(sandbox, 2, lambda: sandbox.fail_next(400, times=ALWAYS, on="entities", body=REFUSAL))


def fails(sandbox: Sandbox) -> None:
    at_request(sandbox, 2, lambda: sandbox.fail_next(503, times=ALWAYS, on="entities"))


def fails_from_the_start(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=ALWAYS, on="entities")


def fails_at_once(sandbox: Sandbox) -> None:
    """Reach ``max_failures`` before the sensor defers."""
    fails_from_the_start(sandbox)


def fails_twice(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=2, on="entities")
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))


def responds_with_html(sandbox: Sandbox) -> None:
    at_request(sandbox, 2, lambda: sandbox.fail_next(200, times=ALWAYS, on="entities", body="<html>"))


#: Cases that are skipped in deferrable mode only. BaseSensorOperator.resume_execution turns every AirflowException of a
#: resumed sensor into a skip under soft_fail, and since Airflow 3.1 under never_fail. In poke mode, soft_fail skips
#: only errors that are not retried, and never_fail does not apply to time-outs.
SKIPPED_IF_DEFERRED = {
    (fails, "soft_fail"),
    (fails_from_the_start, "soft_fail"),
    (responds_with_html, "soft_fail"),
    *([(never_appears, "never_fail")] if AIRFLOW >= (3, 1) else []),
}


def summary(outcome: Outcome, url: str) -> tuple[Any, ...]:
    """Return what must be equal in both modes: state, tries, XCom, error classes and messages."""
    # Airflow's message of a time-out in poke mode has the duration.
    errors = [(type(error).__name__, str(error).replace(url, "")) for error in outcome.errors]
    errors = [(name, "" if name == "AirflowSensorTimeout" else message) for name, message in errors]
    return outcome.state, outcome.tries, outcome.returned, errors


@pytest.mark.thorough
@pytest.mark.usefixtures("one_attempt")
@pytest.mark.parametrize("policy", ["", "soft_fail", "never_fail"], ids=["fail", "soft_fail", "never_fail"])
@pytest.mark.parametrize(
    "scenario",
    [
        available,
        appears,
        never_appears,
        refuses_credentials_at_once,
        refuses_credentials,
        refuses_every_token,
        refuses_the_request,
        fails,
        fails_from_the_start,
        fails_at_once,
        fails_twice,
        responds_with_html,
    ],
)
def test_sensor_deferrable_ends_as_in_poke_mode(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Sandbox], None], policy: str
) -> None:
    arguments: dict[str, Any] = {"max_failures": 1 if scenario is fails_at_once else 3, "poke_interval": 0.01}
    arguments |= ONE_RETRY | {"timeout": 0.5 if scenario is never_appears else 30} | ({policy: True} if policy else {})

    def run(mode: dict[str, Any]) -> tuple[Any, ...]:
        with Sandbox() as sandbox:
            monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", sandbox.connection_json())
            sandbox.clock.set(EVENING)
            scenario(sandbox)
            return summary(airflow.run(lambda: wait(**arguments, **mode), schedule=DAILY)["wait"], sandbox.url)

    poked, deferred = run({"mode": "poke"}), run({"deferrable": True})
    if (scenario, policy) in SKIPPED_IF_DEFERRED:
        assert poked[0] == "failed"
        assert deferred == ("skipped", 1, None, [])
    else:
        assert deferred == poked


@pytest.mark.usefixtures("one_attempt")
@MODES
def test_sensor_silent_fail_ignores_max_failures(
    airflow: Airflow, sandbox: Sandbox, connection: str, mode: dict[str, Any]
) -> None:
    sandbox.fail_next(503, times=5, on="entities")
    arguments = {"angus_conn_id": connection, "poke_interval": 0.01, "max_failures": 2, "silent_fail": True} | mode
    assert airflow.run(lambda: wait(**arguments), schedule=DAILY)["wait"].state == "success"


@MODES
def test_sensor_check_is_one_request(airflow: Airflow, sandbox: Sandbox, connection: str, mode: dict[str, Any]) -> None:
    sandbox.clock.set(EVENING)
    at_request(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    arguments = {"angus_conn_id": connection, "poke_interval": 0.01} | mode
    assert airflow.run(lambda: wait(**arguments), schedule=DAILY)["wait"].state == "success"
    # In deferrable mode, the worker checks once more after the trigger's signal.
    assert sandbox.count("entities") == (6 if mode.get("deferrable") else 5)
    assert sandbox.count("token") == 1


def test_sensor_deferrable_waits_after_its_first_check(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[float] = []
    with Sandbox(on_call=lambda call: times.append(monotonic()) if call.endpoint == "entities" else None) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", sandbox.connection_json())
        sandbox.clock.set(EVENING)
        at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
        outcome = airflow.run(lambda: wait(deferrable=True, poke_interval=0.5), schedule=DAILY)["wait"]
    assert outcome.state == "success"
    assert times[1] - times[0] >= 0.5


@MODES
def test_sensor_window_divides_each_check(
    airflow: Airflow, sandbox: Sandbox, connection: str, mode: dict[str, Any]
) -> None:
    sandbox.clock.set(EVENING)
    at_request(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    arguments = {"angus_conn_id": connection, "poke_interval": 0.01, "window": timedelta(hours=12)} | mode
    assert airflow.run(lambda: wait(**arguments), schedule=DAILY)["wait"].state == "success"
    ends = [call.query["to_date"][8:13] for call in sandbox.calls if call.endpoint == "entities"]
    assert ends == ["20T12", "21T00"] * (len(ends) // 2)
    assert len(ends) >= 4


@pytest.mark.parametrize("event", [None, {}, "available", {"version": 2, "failures": 0}, {"failures": 0}])
def test_sensor_unexpected_event_is_checked_on_the_worker(
    airflow: Airflow, sandbox: Sandbox, connection: str, event: object
) -> None:
    class Sensor(AngusEntitiesSensor):
        def defer(self, **arguments: Any) -> None:
            super().defer(**arguments | {"trigger": EventTrigger(event)})

    sandbox.clock.set(EVENING)
    at_request(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    arguments = {"angus_conn_id": connection, "metrics": "passing_by", "time": "by_hour", "deferrable": True}
    assert airflow.run(lambda: Sensor(task_id="wait", **arguments), schedule=DAILY)["wait"].state == "success"
    assert sandbox.count("entities") == 5
    assert f"Data of {DAY} is available." in airflow.log
    assert f"Unexpected trigger event {event!r}; checking from the worker." in airflow.log


def test_sensor_start_from_trigger_falls_back_to_the_worker(
    airflow: Airflow, sandbox: Sandbox, connection: str
) -> None:
    """The log has the reason: calendar days cannot be given to a trigger, and Airflow 2.11 cannot start from one."""
    arguments = {"interval": pendulum.duration(days=1), "deferrable": True, "start_from_trigger": True}
    outcome = airflow.run(lambda: wait(angus_conn_id=connection, **arguments), schedule=DAILY)["wait"]
    assert outcome.state == "success"
    assert sandbox.count("entities") == 1
    reason = "interval is a calendar duration" if STARTS_FROM_TRIGGER else "Airflow 3.3 is required"
    assert f"Starts on a worker: {reason}." in airflow.log


def test_sensor_mapped_logs_that_it_starts_on_a_worker(airflow: Airflow, connection: str) -> None:
    arguments: dict[str, Any] = {"metrics": "passing_by", "deferrable": True, "start_from_trigger": True}
    outcomes = airflow.run(
        lambda: AngusEntitiesSensor.partial(task_id="wait", **arguments).expand(angus_conn_id=[connection]),
        schedule=DAILY,
    )
    assert outcomes["wait[0]"].state == "success"
    reason = "the task is mapped or runs in dag.test()" if STARTS_FROM_TRIGGER else "Airflow 3.3 is required"
    assert f"Starts on a worker: {reason}." in airflow.log


def test_sensor_arguments_from_another_task_are_used_on_the_worker(
    airflow: Airflow, sandbox: Sandbox, connection: str
) -> None:
    """Also a minimum, which is templated. The trigger gets the rendered values."""
    sandbox.clock.set(EVENING)
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))

    def build() -> None:
        @task
        def choose() -> dict[str, Any]:
            return {"metrics": ["interested", "passing_by"], "day": "2026-11-20", "minimum": {"interested": 1}}

        chosen = choose()
        dates = {"from_date": chosen["day"], "to_date": "{{ macros.ds_add('2026-11-20', 1) }}"}
        wait(
            angus_conn_id=connection,
            metrics=chosen["metrics"],
            minimum=chosen["minimum"],
            deferrable=True,
            start_from_trigger=True,
            poke_interval=0.01,
            **dates,
        )

    assert airflow.run(build, schedule=DAILY)["wait"].state == "success"
    queries = [call.query for call in sandbox.calls if call.endpoint == "entities"]
    assert len(queries) == 3
    assert {query["metrics"] for query in queries} == {"passing_by,interested"}
    assert {query["from_date"][:10] for query in queries} == {"2026-11-20"}
