"""Parameters that Airflow renders as native objects, in the operator and the transfers: any type may arrive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import task
from airflow_versions import not_in_test_runs_of_3_0
from transfers import DAILY, ONE_RETRY, fetch, read_file, to_file, to_table

from airflow_provider_angus.exceptions import AngusError
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import databases
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.thorough

#: Airflow renders it as an integer.
DIGITS = "{{ '2023' ~ '1023' }}"


def run_native(airflow: Airflow, build: Callable[[], object]) -> dict[str, Outcome]:
    """Run a DAG for 20 November 2026 that renders templates as native objects."""
    return airflow.run(build, schedule=DAILY, dag_args={"render_template_as_native_obj": True})


@pytest.fixture
def digits(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ID of a connection to the sandbox's second stream: ``20231023``."""
    monkeypatch.setenv("AIRFLOW_CONN_20231023", sandbox.connection_json(list(sandbox.streams)[1]))
    return "20231023"


@pytest.mark.usefixtures("connection", "digits")
def test_operator_native_connection_ids_are_text(airflow: Airflow, sandbox: Sandbox) -> None:
    first, second, _ = sandbox.streams
    outcomes = run_native(
        airflow,
        lambda: (
            fetch(task_id="one", time="global", angus_conn_id=DIGITS),
            fetch(task_id="expression", time="global", angus_conn_id="{{ [20231023, 'angus_default'] }}"),
            fetch(task_id="list", time="global", angus_conn_id=["angus_default", DIGITS]),
            fetch(task_id="lazy", time="global", angus_conn_id="{{ ['ANGUS_DEFAULT', '20231023'] | map('lower') }}"),
            fetch(task_id="integer", time="global", angus_conn_id=20231023),
        ),
    )
    streams = {name: [row["stream"] for row in outcome.returned] for name, outcome in outcomes.items()}
    assert streams == {
        "one": [second],
        "expression": [second, first],
        "list": [first, second],
        "lazy": [first, second],
        "integer": [second],
    }


@pytest.mark.usefixtures("connection")
def test_operator_native_metrics_may_be_any_iterable(airflow: Airflow) -> None:
    @task
    def names_as_set() -> Any:
        return {"passing_by", "interested"}

    @task
    def names_as_tuple() -> Any:
        return ("interested", "passing_by")

    def build() -> None:
        fetch(task_id="set", time="global", metrics=names_as_set())
        fetch(task_id="tuple", time="global", metrics=names_as_tuple())
        fetch(task_id="expression", time="{{ 'global' }}", metrics="{{ ('interested', 'passing_by') }}")
        fetch(task_id="parsed", time="global", metrics={"interested", "passing_by"})

    outcomes = run_native(airflow, build)
    for name in ("set", "tuple", "expression", "parsed"):
        assert list(outcomes[name].returned[0])[3:] == ["passing_by", "interested"]


@pytest.mark.usefixtures("connection")
def test_operator_native_dates_of_digits_are_dates(airflow: Airflow) -> None:
    outcomes = run_native(
        airflow,
        lambda: (
            fetch(from_date="{{ data_interval_start | ds_nodash }}", to_date="{{ data_interval_end | ds_nodash }}"),
            fetch(task_id="mixed", from_date="{{ data_interval_start }}", to_date="{{ data_interval_end.date() }}"),
        ),
    )
    assert outcomes["fetch"].returned == outcomes["mixed"].returned
    assert outcomes["fetch"].returned[0]["bucket_start"] == "2026-11-20T00:00:00+00:00"
    assert len(outcomes["fetch"].returned) == 24


@pytest.mark.usefixtures("connection", "digits")
def test_transfers_native_parameters_are_text(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_7", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "tests.sqlite")}))
    path = f"file://{tmp_path}/{{{{ '20261120' }}}}"
    outcomes = run_native(
        airflow,
        lambda: (
            to_file(path, task_id="file", format="{{ 'csv' }}", storage_conn_id="{{ '7' }}", angus_conn_id=DIGITS),
            to_table(
                sqlite,
                task_id="table",
                sql_conn_id="{{ '7' }}",
                table="{{ 'aud' ~ 'ience' }}",
                angus_conn_id=DIGITS,
            ),
        ),
    )
    stream = list(sandbox.streams)[1]
    for outcome in outcomes.values():
        assert (outcome.state, outcome.returned["stream"], outcome.returned["rows"]) == ("success", stream, 24)
    assert len(read_file(tmp_path / "20261120", "csv")) == 24
    assert sqlite.run("SELECT COUNT(*) FROM audience")[0][0] == 24


@pytest.mark.usefixtures("connection")
def test_native_none_fails_at_once_before_any_request(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database, tmp_path: Path
) -> None:
    """So does a name that is still a template after rendering."""
    none: dict[str, Any] = dict.fromkeys(["metrics", "time", "angus_conn_id"], "{{ none }}")
    dates = {"from_date": {"to_date": "2026-11-21"}, "to_date": {"from_date": "2026-11-20"}}

    def build() -> None:
        for name, value in none.items():
            fetch(task_id=f"fetch.{name}", **{name: value}, **ONE_RETRY)
            to_file(tmp_path / "rows.csv", task_id=f"file.{name}", **{name: value}, **ONE_RETRY)
            to_table(sqlite, task_id=f"table.{name}", **{name: value}, **ONE_RETRY)
        for name, other in dates.items():
            fetch(task_id=f"fetch.{name}", **{name: "{{ none }}"}, **other, **ONE_RETRY)
        for format_ in ("csv", None):
            to_file("{{ none }}", task_id=f"path.{format_}", format=format_, **ONE_RETRY)
        to_file("{{ '{{ ds }}.csv' }}", task_id="text.path", **ONE_RETRY)
        for name in ("sql_conn_id", "table"):
            to_table(sqlite, task_id=f"none.{name}", **{name: "{{ none }}"}, **ONE_RETRY)
            to_table(sqlite, task_id=f"text.{name}", **{name: "{{ '{{ ds }}' }}"}, **ONE_RETRY)

    outcomes = run_native(airflow, build)
    assert len(outcomes) == 3 * len(none) + len(dates) + 7
    for name, outcome in outcomes.items():
        assert (name, outcome.state, outcome.tries) == (name, "failed", 1)
        assert isinstance(outcome.errors[0], AngusError)
        assert f"{name.rpartition('.')[2]}: expected " in str(outcome.errors[0]) or name.startswith("path.")
    assert sandbox.count() == 0
    assert sqlite.run("SELECT name FROM sqlite_master") == []
    assert not (tmp_path / "rows.csv").exists()


def test_operator_mapped_over_metrics_and_connections(
    airflow: Airflow, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, client_id in enumerate(sandbox.streams):
        monkeypatch.setenv(f"AIRFLOW_CONN_{number}", sandbox.connection_json(client_id))
    outcomes = airflow.run(
        lambda: AngusEntitiesOperator.partial(task_id="fetch", time="global").expand(
            metrics=["passing_by", ("interested", "gender")], angus_conn_id=[1, [0, 2]]
        ),
        schedule=DAILY,
    )
    streams = [[row["stream"] for row in outcomes[f"fetch[{number}]"].returned] for number in range(4)]
    first, second, third = sandbox.streams
    assert streams == [[second], [first, third]] * 2
    assert list(outcomes["fetch[2]"].returned[0])[3:5] == ["interested", "gender_female"]


@not_in_test_runs_of_3_0
def test_mapped_arguments_of_wrong_type_fail_at_once(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    def build() -> None:
        AngusEntitiesOperator.partial(task_id="fetch", **ONE_RETRY).expand(metrics=[None, 3, "visitors"])
        load = AngusToObjectStorageOperator.partial(task_id="load", metrics="passing_by", **ONE_RETRY)
        load.expand(path=[str(tmp_path), None, {"a": 1}])

    outcomes = airflow.run(build, schedule=DAILY)
    assert len(outcomes) == 6
    assert {(outcome.state, outcome.tries) for outcome in outcomes.values()} == {("failed", 1)}
    # Airflow 2 calls no callback of a mapped task whose class refuses its arguments.
    for problem in ("got None", "got int 3", "got str 'visitors'", "got None", "got dict {'a': 1}"):
        assert problem in airflow.log
    assert sandbox.count() == 0
