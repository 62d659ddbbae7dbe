"""AngusRetryPolicy: a task is retried when the API asked for it, with the policy's default, limit and exceptions."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_versions import only_airflow_3_3

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusIncompleteError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.retry_policy import AngusRetryPolicy
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def evaluate(error: BaseException, retry_delay: timedelta | None = None) -> tuple[str, timedelta | None]:
    """Return the policy's action and delay for a task with this ``retry_delay``, or without a context."""
    context = {"task": SimpleNamespace(retry_delay=retry_delay)} if retry_delay is not None else None
    decision = AngusRetryPolicy().evaluate(exception=error, try_number=1, max_tries=3, context=context)
    return decision.action.value, decision.retry_delay


@only_airflow_3_3
@pytest.mark.parametrize(
    ("asked", "delay"),
    [
        (600.0, timedelta(minutes=10)),
        (3600.0, HOUR),
        (3601.0, HOUR),
        (1e300, HOUR),
        (float("inf"), HOUR),
        (0.5, timedelta(seconds=0.5)),
    ],
)
def test_policy_delays_retry_as_asked_up_to_an_hour(asked: float, delay: timedelta) -> None:
    assert evaluate(AngusUnavailableError("429", retry_after=asked)) == ("retry", delay)


@only_airflow_3_3
@pytest.mark.parametrize(
    ("seconds", "delay"), [(12_720.0, timedelta(seconds=12_720)), (86_400.0, DAY), (86_401.0, DAY), (1e300, DAY)]
)
def test_policy_delays_retry_until_settled_up_to_a_day(seconds: float, delay: timedelta) -> None:
    assert evaluate(AngusIncompleteError("not ended", retry_after=seconds)) == ("retry", delay)


@only_airflow_3_3
@pytest.mark.parametrize(
    "error",
    [
        AngusUnavailableError("no response"),
        AngusUnavailableError("429", retry_after=0.0),
        AngusUnavailableError("429", retry_after=-60.0),
        AngusIncompleteError("missing 1 bucket"),
        AngusResponseError("no JSON"),
        AngusAuthError("refused"),
        ValueError("not ours"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_policy_without_asked_delay_keeps_task_default(error: BaseException) -> None:
    assert evaluate(error) == ("default", None)


@only_airflow_3_3
@pytest.mark.parametrize(("retry_delay", "action"), [(601, "default"), (600, "default"), (599, "retry"), (0, "retry")])
def test_policy_longer_retry_delay_of_task_wins(retry_delay: int, action: str) -> None:
    error = AngusUnavailableError("429", retry_after=600.0)
    assert evaluate(error, timedelta(seconds=retry_delay))[0] == action


@only_airflow_3_3
def test_policy_survives_serialization() -> None:
    data = json.loads(json.dumps(AngusRetryPolicy().serialize()))
    assert isinstance(AngusRetryPolicy.deserialize(data), AngusRetryPolicy)


OPERATORS: dict[Any, dict[str, Any]] = {
    AngusEntitiesOperator: {},
    AngusEntitiesSensor: {},
    AngusToSqlOperator: {"sql_conn_id": "db", "table": "audience"},
    AngusToObjectStorageOperator: {"path": "file:///tmp/x.csv"},
}


@only_airflow_3_3
@pytest.mark.parametrize("operator", OPERATORS)
def test_policy_is_the_default_of_operators(operator: Any) -> None:
    arguments = {"task_id": "load", "metrics": "passing_by", **OPERATORS[operator]}
    assert isinstance(operator(**arguments).retry_policy, AngusRetryPolicy)


@only_airflow_3_3
@pytest.mark.parametrize("operator", OPERATORS)
def test_policy_is_the_default_of_mapped_operators(operator: Any) -> None:
    """``partial`` passes ``retry_policy=None``."""
    from airflow.sdk import DAG

    with DAG("mapped", schedule=None):
        mapped = operator.partial(task_id="load", **OPERATORS[operator]).expand(metrics=["passing_by"])
    task = mapped.unmap({"metrics": "passing_by"})
    assert isinstance(task.retry_policy, AngusRetryPolicy)


@only_airflow_3_3
@pytest.mark.parametrize("place", ["task", "default_args"])
def test_policy_of_user_replaces_default(place: str) -> None:
    from airflow.sdk import DAG

    class OwnPolicy(AngusRetryPolicy):
        pass

    own = {"retry_policy": OwnPolicy()}
    with DAG("own_policy", schedule=None, default_args=own if place == "default_args" else {}):
        task = AngusEntitiesOperator(task_id="fetch", metrics="passing_by", **(own if place == "task" else {}))
        partial = AngusEntitiesOperator.partial(task_id="map", **(own if place == "task" else {}))
        mapped = partial.expand(metrics=["gender"])
    assert type(task.retry_policy) is type(mapped.retry_policy) is OwnPolicy
