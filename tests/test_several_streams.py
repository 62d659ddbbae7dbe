"""Several streams in one task, through Airflow: side by side, and each on its own when one fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from landing import DAILY, RETRY, fetched, land, read, refuse, to_file, to_table

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusRequestError,
    AngusUnavailableError,
)
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from pathlib import Path

    import databases
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")


def test_a_list_of_connections_is_fetched_in_one_task_stream_by_stream(
    airflow: Airflow, sandbox: Sandbox, shops: list[str]
) -> None:
    rows = fetched(airflow, angus_conn_id=shops)
    assert [row["stream"] for row in rows] == [stream for stream in sandbox.streams for _ in range(24)]
    assert rows == [row for shop in shops for row in fetched(airflow, angus_conn_id=shop)]


def test_a_stream_that_is_refused_does_not_take_the_others_rows_but_fails_the_task(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = sandbox.streams
    refuse(sandbox, second, monkeypatch, "shop_1")
    outcome = land(airflow, lambda: to_table(sqlite, angus_conn_id=[*shops, "not_there"], **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusAuthError)
    lines = str(outcome.errors[0]).splitlines()
    assert lines[0] == "2 of 4 streams failed:"
    assert sorted(line.partition(":")[0] for line in lines[1:]) == ["- not_there", "- shop_1"]
    assert {row[0] for row in sqlite.rows()} == {first, third}
    assert outcome.returned["rows"] == sqlite.count() == 48


@pytest.mark.usefixtures("no_backoff")
def test_a_stream_that_is_away_is_worth_another_try_of_the_task(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(sandbox, list(sandbox.streams)[1], monkeypatch, "shop_1")
    away = sandbox.connection(list(sandbox.streams)[2]) | {"host": "http://127.0.0.1", "port": 9}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_2", json.dumps(away))
    outcome = airflow.run(
        lambda: AngusEntitiesOperator(task_id="land", metrics="passing_by", angus_conn_id=shops, **RETRY),
        schedule=DAILY,
    )["land"]
    assert (outcome.state, outcome.tries) == ("failed", 2)
    assert isinstance(outcome.errors[0], AngusUnavailableError)
    assert [row["stream"] for row in outcome.returned] == list(sandbox.streams)[:1]


def test_a_stream_whose_rows_the_table_cannot_take_does_not_take_the_others_with_it(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], database: databases.Database
) -> None:
    metrics = "passing_by,satisfaction"
    land(airflow, lambda: to_table(database, angus_conn_id=shops, metrics=metrics))
    database.run(f"ALTER TABLE {database.table} DROP COLUMN other")

    def smiling(answer: dict[str, Any]) -> dict[str, Any]:
        for bucket in answer["entities"].values():
            bucket["satisfaction"] = {"smiles": 3}
        return answer

    sandbox.change_next(smiling, on="entities")
    outcome = land(airflow, lambda: to_table(database, angus_conn_id=shops, metrics=metrics, on_stream_error="skip"))
    assert (outcome.state, outcome.returned["rows"]) == ("success", 48)
    assert "needs a column other (" in airflow.log
    assert database.count() == 72


def test_when_the_table_can_take_no_stream_s_rows_the_task_fails(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database
) -> None:
    land(airflow, lambda: to_table(sqlite, angus_conn_id=shops))
    sqlite.run(f"ALTER TABLE {sqlite.table} DROP COLUMN other")

    def smiling(answer: dict[str, Any]) -> dict[str, Any]:
        for bucket in answer["entities"].values():
            bucket["passing_by"]["smiles"] = 3
        return answer

    sandbox.change_next(smiling, times=3, on="entities")
    outcome = land(airflow, lambda: to_table(sqlite, angus_conn_id=shops, on_stream_error="skip"))
    assert str(outcome.errors[0]).startswith("3 of 3 streams failed:")
    assert sqlite.count() == 72


def test_streams_that_fail_are_only_logged_where_they_may_be_skipped(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = sandbox.streams
    refuse(sandbox, first, monkeypatch, "shop_0")
    path = tmp_path / "shops.jsonl"
    outcome = land(airflow, lambda: to_file(path, angus_conn_id=shops, on_stream_error="skip"))
    assert outcome.state == "success"
    assert outcome.returned["stream"] == others
    assert [row["stream"] for row in read(path, "jsonl")] == [stream for stream in others for _ in range(24)]
    assert "Connection shop_0 failed: POST" in airflow.log


def test_when_all_streams_fail_the_task_does_and_nothing_is_replaced(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "shops.jsonl"
    path.write_text("was here")
    sandbox.fail_next(400, times=3, on="entities")
    outcome = land(airflow, lambda: to_file(path, angus_conn_id=shops, on_stream_error="skip"))
    assert (outcome.state, path.read_text()) == ("failed", "was here")
    assert str(outcome.errors[0]).startswith("3 of 3 streams failed:\n- shop_0: GET")


def test_a_stream_that_comes_by_two_connections_is_not_landed_twice(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AGAIN", sandbox.connection_json(next(iter(sandbox.streams))))
    outcome = airflow.run(
        lambda: AngusEntitiesOperator(task_id="land", metrics="passing_by", angus_conn_id=[*shops, *shops, "again"]),
        schedule=DAILY,
    )["land"]
    assert "again: It is stream" in str(outcome.errors[0])
    assert len(outcome.returned) == 3


def test_an_operator_may_be_mapped_over_lists_of_connections(airflow: Airflow, shops: list[str]) -> None:
    lists = [shops[:2], shops[2:]]
    outcomes = airflow.run(
        lambda: AngusEntitiesOperator.partial(task_id="fetch", metrics="passing_by").expand(angus_conn_id=lists),
        schedule=DAILY,
    )
    assert [len(outcomes[f"fetch[{number}]"].returned) for number in range(2)] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angus_conn_id": []}, "a connection or a list of such"),
        ({"angus_conn_id": ["a", None]}, "a connection or a list of such"),
        ({"on_stream_error": "ignore"}, "must be 'fail' or 'skip'"),
    ],
)
def test_parsing_a_dag_refuses_what_names_no_streams(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusRequestError, match=message):
        AngusEntitiesOperator(task_id="land", metrics="passing_by", **arguments)
