"""The example DAGs, each run through Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

EXAMPLES = Path(__file__).resolve().parent.parent / "example_dags"

pytestmark = pytest.mark.usefixtures("connection")


def test_every_example_is_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [path.stem for path in EXAMPLES.glob("*.py") if f'"{path.stem}"' not in tests] == []


def test_the_daily_audience_waits_fetches_its_day_and_sums_it_up(airflow: Airflow, sandbox: Sandbox) -> None:
    outcomes = airflow.run_dag(
        airflow.load(EXAMPLES / "angus_daily_audience.py", "angus_daily_audience"),
        logical_date=datetime(2026, 11, 21, tzinfo=UTC),
    )
    hours = outcomes["fetch_hours"].returned
    assert (hours[0]["bucket_start"], hours[-1]["bucket_end"]) == (
        "2026-11-20T00:00:00+00:00",
        "2026-11-21T00:00:00+00:00",
    )
    day = outcomes["sum_up"].returned
    assert day["passing_by"] == sum(hour["passing_by"] for hour in hours) > 0
    assert f"the day: {day['passing_by']} passed by" in airflow.log
    assert sandbox.count("entities") == 2


def test_a_run_that_is_run_again_gives_the_same(airflow: Airflow) -> None:
    dag = airflow.load(EXAMPLES / "angus_daily_audience.py", "angus_daily_audience")
    first, again = (airflow.run_dag(dag, logical_date=datetime(2026, 11, 21, tzinfo=UTC)) for _ in range(2))
    assert first["fetch_hours"].returned == again["fetch_hours"].returned
