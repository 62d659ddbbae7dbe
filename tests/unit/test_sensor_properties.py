"""Arguments of any type, for every parameter of the sensor, when parsed and when rendered."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from any_arguments import REFUSED, result_or_refusal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensors import wait
from strategies import arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.thorough

RENDERED = ["metrics", "time", "angus_conn_id", "minimum"]
DATES = ["from_date", "to_date"]
UNRENDERED = ["interval", "window", "settle", "max_failures", "deferrable"]

values = arguments | st.dictionaries(st.just("passing_by"), arguments, min_size=1)
with_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(action: Callable[[], object], name: str, value: object) -> object:
    """Return ``result_or_refusal``. An error about a minimum names the column, and its type or that of its number."""
    if name == "minimum" and isinstance(value, dict) and value:
        value = [*value, *value.values()]
        name = "minimum['passing_by']" if value[0] == "passing_by" else name
    return result_or_refusal(action, name, value)


@pytest.mark.parametrize("deferrable", [False, True], ids=["on a worker", "in the triggerer"])
@pytest.mark.parametrize("name", [*RENDERED, *DATES, *UNRENDERED, "start_from_trigger"])
@with_fixtures
@given(value=values)
def test_sensor_argument_of_any_type_is_accepted_or_refused_when_parsed(
    name: str, value: object, *, deferrable: bool
) -> None:
    other = {"from_date": {"to_date": "2026-11-20"}, "to_date": {"from_date": "2026-11-20"}}.get(name, {})
    given = {"deferrable": deferrable, "start_from_trigger": deferrable, **other, name: value}
    check(lambda: wait(**given), name, value)


@pytest.mark.usefixtures("airflow", "connection", "no_backoff")
@pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])
@pytest.mark.parametrize("name", [*RENDERED, *UNRENDERED])
@with_fixtures
@given(value=values)
def test_sensor_argument_of_any_type_works_or_is_refused_before_any_request(
    name: str, value: object, airflow: Airflow, sandbox: Sandbox, *, deferrable: bool
) -> None:
    assert airflow
    sensor = wait(deferrable=deferrable, timeout=0, from_date="2026-11-20", to_date="2026-11-21")
    sandbox.forget_calls()
    # As Airflow's native rendering does, but a recursive list, which Airflow refuses to set.
    vars(sensor)[name] = value
    context: Any = {"ti": SimpleNamespace(start_date=datetime.now(UTC), map_index=-1)}

    def execute() -> None:
        # The data may be missing, or settle later.
        with suppress(AirflowSensorTimeout, TaskDeferred):
            sensor.execute(context)

    if check(execute, name, value) is REFUSED:
        assert sandbox.count() == 0
