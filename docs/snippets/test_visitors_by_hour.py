"""Tests of the DAG visitors_by_hour."""

from datetime import UTC, datetime

import pytest
from visitors_by_hour import dag


@pytest.fixture(autouse=True)
def connection(angus_sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", angus_sandbox.connection_json())


def run_dag():
    """Run the DAG for 20 November 2026."""
    return dag.test(logical_date=datetime(2026, 11, 21, tzinfo=UTC))


def test_run_fetches_each_hour_of_the_day(angus_sandbox):
    run = run_dag()
    assert run.state == "success"
    rows = run.get_task_instance("fetch_hours").xcom_pull(task_ids="fetch_hours")
    assert len(rows) == 24
    assert sum(row["passing_by"] for row in rows) == 778
    assert angus_sandbox.count("entities") == 1


def test_run_repeats_a_failed_request(angus_sandbox):
    angus_sandbox.fail_next(503, on="entities", headers={"Retry-After": "0"})
    assert run_dag().state == "success"
    assert angus_sandbox.count("entities") == 2


def test_run_fails_while_an_hour_is_missing(angus_sandbox):
    angus_sandbox.clock.set(datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    assert run_dag().state == "failed"
