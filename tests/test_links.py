"""The button on a task's page: it leads to the console of the task's own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow_runs import AIRFLOW_3

from airflow_provider_angus.links import AngusConsoleLink
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox


def links_of(task: Any) -> dict[str, str]:
    return {link.name: link.get_link(task, ti_key=None) for link in task.operator_extra_links}


@pytest.mark.parametrize("conn_id", ["angus_default", ["angus_default", "another"]])
@pytest.mark.usefixtures("connection")
def test_the_link_leads_to_the_console_of_the_connection(conn_id: Any, sandbox: Sandbox) -> None:
    task = AngusEntitiesOperator(task_id="fetch", metrics="passing_by", angus_conn_id=conn_id)
    assert links_of(task) == {"Angus console": sandbox.url}
    assert sandbox.count() == 0


@pytest.mark.parametrize("conn_id", ["not_there", "{{ params.shop }}"])
def test_where_the_connection_cannot_be_read_it_leads_to_angus_own_console(conn_id: str) -> None:
    sensor = AngusEntitiesSensor(task_id="wait", metrics="passing_by", angus_conn_id=conn_id)
    assert links_of(sensor) == {"Angus console": "https://console.angus.ai"}


def test_airflow_knows_the_link_of_a_task_that_it_reads_from_its_database(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    if AIRFLOW_3:
        from airflow.serialization.serialized_objects import DagSerialization as Serialization
    else:
        from airflow.serialization.serialized_objects import SerializedDAG as Serialization
    from airflow.providers.common.compat.sdk import DAG

    with DAG("linked", schedule=None) as dag:
        AngusEntitiesOperator(task_id="fetch", metrics="passing_by")
    # As what shows tasks reads them; what schedules them does without links, and says so to the whole process.
    monkeypatch.setattr(Serialization, "_load_operator_extra_links", True)
    task = Serialization.from_dict(Serialization.to_dict(dag)).get_task("fetch")
    assert [link.name for link in task.operator_extra_links] == ["Angus console"]
    assert AngusConsoleLink().name == "Angus console"
    assert airflow
