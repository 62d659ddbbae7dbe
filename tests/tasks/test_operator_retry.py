"""Retries of an operator whose API asks to wait: when Airflow 3.3 retries it, and what the message says elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import only_airflow_3_3
from transfers import DAILY, fetch

from airflow_provider_angus.retry_policy import AngusRetryPolicy

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection", "one_attempt")


@only_airflow_3_3
@pytest.mark.parametrize(("asked", "delay"), [("900", 900.0), ("86400", 3600.0), ("5", None)])
def test_operator_is_retried_when_the_api_asks(
    airflow: Airflow, sandbox: Sandbox, asked: str, delay: float | None
) -> None:
    """The policy of the test notes the delay and shortens it. The task's own ``retry_delay`` is ten seconds."""
    from airflow.sdk import RetryDecision

    delays: list[timedelta | None] = []

    class ImpatientPolicy(AngusRetryPolicy):
        def evaluate(self, *args: Any, **kwargs: Any) -> RetryDecision:
            delays.append(super().evaluate(*args, **kwargs).retry_delay)
            return RetryDecision.retry(delay=timedelta(0))

    sandbox.fail_next(429, headers={"Retry-After": asked}, on="entities")
    task = {"retries": 1, "retry_delay": timedelta(seconds=10), "retry_policy": ImpatientPolicy()}
    outcome = airflow.run(lambda: fetch(**task), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries) == ("success", 2)
    assert delays == [delay and timedelta(seconds=delay)]


def test_operator_failure_says_when_to_retry(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.fail_next(429, headers={"Retry-After": "900"}, on="entities")
    outcome = airflow.run(fetch, schedule=DAILY)["fetch"]
    assert "The API asks to retry after 900 s." in str(outcome.errors[0])
