"""AngusEntitiesSensor sends no request before the time that the API asked for with Retry-After, run by Airflow."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.taskreschedule import TaskReschedule
from airflow.utils.session import create_session
from sensors import DAILY, ONE_RETRY, wait
from sqlalchemy import select

from airflow_provider_angus import _backoff
from airflow_provider_angus._compat import HAS_RETRY_POLICIES
from airflow_provider_angus.retry_policy import AngusRetryPolicy
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_runs import Airflow

pytestmark = pytest.mark.usefixtures("connection", "one_attempt")

ASKED = 0.5
MODES: list[dict[str, Any]] = [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}]
each_mode = pytest.mark.parametrize("mode", MODES, ids=["poke", "reschedule", "deferrable"])


@pytest.fixture
def times() -> list[float]:
    return []


@pytest.fixture
def sandbox(times: list[float]) -> Iterator[Sandbox]:
    """A sandbox that records when it received requests for entities."""
    with Sandbox(on_call=lambda call: times.append(monotonic()) if call.endpoint == "entities" else None) as sandbox:
        yield sandbox


@pytest.fixture
def asks_for_half_a_second(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request fails with a Retry-After of an hour, of which the sensor waits half a second."""
    monkeypatch.setattr(_backoff, "MAX_RETRY_AFTER", timedelta(seconds=ASKED))
    sandbox.fail_next(503, headers={"Retry-After": "3600"}, on="entities")


@pytest.mark.usefixtures("asks_for_half_a_second")
@each_mode
@pytest.mark.parametrize("policy", ["", "soft_fail", "never_fail", "silent_fail"])
def test_sensor_sends_no_request_before_retry_after(
    airflow: Airflow, times: list[float], mode: dict[str, Any], policy: str
) -> None:
    """Checks in between send no request and are not failures."""
    arguments = mode | ({policy: True} if policy else {})
    outcome = airflow.run(lambda: wait(poke_interval=0.05, max_failures=2, **arguments), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries) == ("success", 1)
    assert times[1] - times[0] >= ASKED
    # In deferrable mode, the worker checks once more after the trigger's signal.
    assert len(times) == (3 if mode.get("deferrable") else 2)
    assert ("the API asked to wait until " in airflow.log) is (mode == {"mode": "poke"})


@pytest.mark.usefixtures("asks_for_half_a_second")
def test_sensor_in_reschedule_mode_asks_airflow_for_the_time(airflow: Airflow) -> None:
    """Airflow starts the next check at that time, not after poke_interval."""
    outcome = airflow.run(lambda: wait(mode="reschedule", poke_interval=0.05), schedule=DAILY)["wait"]
    assert outcome.state == "success"
    with create_session() as session:
        last = session.scalars(select(TaskReschedule).order_by(TaskReschedule.id.desc()).limit(1)).one()
        # Airflow 3 takes the start when it stores the row, some milliseconds after the request.
        assert last.reschedule_date - last.start_date > timedelta(seconds=ASKED / 2)


@each_mode
@pytest.mark.parametrize(("policy", "state"), [({}, "failed"), ({"soft_fail": True}, "skipped")])
def test_sensor_times_out_before_retry_after(
    airflow: Airflow, sandbox: Sandbox, mode: dict[str, Any], policy: dict[str, Any], state: str
) -> None:
    """The only request is the first. In reschedule mode, which keeps no state, the sensor times out at once."""
    sandbox.fail_next(429, headers={"Retry-After": "3"}, times=100, on="entities")
    arguments = {"timeout": 0.5, "poke_interval": 0.05} | mode | policy
    outcome = airflow.run(lambda: wait(**arguments, **ONE_RETRY), schedule=DAILY)["wait"]
    assert (outcome.state, outcome.tries, sandbox.count("entities")) == (state, 1, 1)
    assert [type(error).__name__ for error in outcome.errors] == ["AirflowSensorTimeout"] * (state == "failed")


def test_sensor_has_a_retry_policy() -> None:
    """After max_failures, the next try waits for the asked time, too. The policy can be replaced."""
    assert isinstance(getattr(wait(), "retry_policy", None), AngusRetryPolicy) is HAS_RETRY_POLICIES
    if HAS_RETRY_POLICIES:
        own = AngusRetryPolicy()
        assert wait(retry_policy=own).retry_policy is own
