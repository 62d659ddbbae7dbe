"""Landing is the entities operator with another end: what it refuses and what it may be mapped over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow_runs import AIRFLOW_3
from landing import DAILY, RETRY, land, to_table

from airflow_provider_angus.exceptions import AngusIntervalError
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from pathlib import Path

    import databases
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 has no such runs")
def test_a_run_without_an_interval_is_refused_before_anything_is_asked(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    outcome = land(airflow, lambda: to_table(sqlite, **RETRY), schedule="@daily")
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusIntervalError)
    assert sandbox.count() == 0


def test_both_may_be_mapped_over_connections(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database, tmp_path: Path
) -> None:
    def build() -> None:
        shared = {"metrics": "passing_by", "time": "by_hour"}
        AngusToSqlOperator.partial(
            task_id="table", sql_conn_id=sqlite.conn_id, table=sqlite.table, create_table=True, **shared
        ).expand(angus_conn_id=shops)
        AngusToObjectStorageOperator.partial(task_id="file", **shared).expand_kwargs(
            [{"angus_conn_id": shop, "path": f"{tmp_path}/{shop}/{{{{ ds }}}}.jsonl"} for shop in shops]
        )

    outcomes = airflow.run(build, schedule=DAILY)
    assert {outcome.state for outcome in outcomes.values()} == {"success"}
    assert sqlite.count() == 72
    assert {path.parent.name for path in tmp_path.glob("shop_*/*.jsonl")} == set(shops)
    assert [outcomes[f"file[{number}]"].returned["stream"] for number in range(3)] == list(sandbox.streams)
