"""AngusConsoleLink: the button of a task that opens the Angus console of its connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import serialization
from hypothesis import HealthCheck, given, settings
from sensors import wait
from strategies import arguments
from transfers import fetch

from airflow_provider_angus.links import AngusConsoleLink

if TYPE_CHECKING:
    from airflow_provider_angus.sandbox import Sandbox


def links_of(task: Any) -> dict[str, str]:
    """Return the URLs of a task's links by their names."""
    return {link.name: link.get_link(task, ti_key=None) for link in task.operator_extra_links}


@pytest.mark.parametrize("conn_id", ["angus_default", ["angus_default", "another"]])
@pytest.mark.usefixtures("connection")
def test_link_opens_console_of_first_connection(conn_id: str | list[str], sandbox: Sandbox) -> None:
    assert links_of(fetch(angus_conn_id=conn_id)) == {"Angus console": sandbox.url}
    assert sandbox.count() == 0


@pytest.mark.usefixtures("airflow")
def test_link_opens_console_of_connection_with_digits(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_20231023", sandbox.connection_json())
    for conn_id in (20231023, [20231023, "another"], {20231023}):
        assert links_of(fetch(angus_conn_id=conn_id)) == {"Angus console": sandbox.url}


@pytest.mark.usefixtures("airflow")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=arguments)
def test_link_of_any_value_is_a_url(value: object) -> None:
    """The web server of Airflow 2 has the attribute as it was serialised, or not at all."""
    url = AngusConsoleLink().get_link(SimpleNamespace(angus_conn_id=value), ti_key=None)
    assert url == AngusConsoleLink().get_link(SimpleNamespace(), ti_key=None) == "https://console.angus.ai"


@pytest.mark.parametrize("conn_id", ["missing", "{{ params.shop }}"])
def test_link_without_readable_connection_opens_default_console(conn_id: str) -> None:
    """Airflow 2 calls the link in the web server, which may lack the connection and does not render templates."""
    assert links_of(wait(angus_conn_id=conn_id)) == {"Angus console": "https://console.angus.ai"}


@pytest.mark.usefixtures("airflow")
def test_link_survives_serialization_of_the_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import DAG

    serialized = serialization()
    with DAG("linked", schedule=None) as dag:
        fetch()
    # The API server loads links. The scheduler does not, and sets this for its process.
    monkeypatch.setattr(serialized, "_load_operator_extra_links", True)
    task = serialized.from_dict(serialized.to_dict(dag)).get_task("fetch")
    assert [link.name for link in task.operator_extra_links] == ["Angus console"]
