"""AngusEntitiesOperator with a list of connections. Several streams in tables and files: test_transfer_multi_stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from transfers import DAILY, ONE_RETRY, fetch, fetched_rows, set_wrong_password

from airflow_provider_angus.exceptions import AngusUnavailableError
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox


def test_operator_list_returns_rows_stream_by_stream(airflow: Airflow, sandbox: Sandbox, shops: list[str]) -> None:
    rows = fetched_rows(airflow, angus_conn_id=shops)
    assert [row["stream"] for row in rows] == [stream for stream in sandbox.streams for _ in range(24)]
    assert rows == [row for shop in shops for row in fetched_rows(airflow, angus_conn_id=shop)]


@pytest.mark.usefixtures("no_backoff")
def test_operator_unavailable_stream_of_list_is_retried(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry can help only one of the two failed streams. The rows of the third are returned to XCom."""
    first, second, third = sandbox.streams
    set_wrong_password(sandbox, second, "shop_1", monkeypatch)
    unreachable = sandbox.connection(third) | {"host": "http://127.0.0.1", "port": 9}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_2", json.dumps(unreachable))
    outcome = airflow.run(lambda: fetch(time="global", angus_conn_id=shops, **ONE_RETRY), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 2)
    assert isinstance(outcome.errors[0], AngusUnavailableError)
    assert [row["stream"] for row in outcome.returned] == [first]


def test_operator_failed_stream_without_xcom_push_returns_nothing(
    airflow: Airflow, sandbox: Sandbox, shops: list[str]
) -> None:
    sandbox.fail_next(400, on="entities")
    outcome = airflow.run(lambda: fetch(angus_conn_id=shops, do_xcom_push=False), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.returned) == ("failed", None)
    assert str(outcome.errors[0]).startswith("1 of 3 streams failed:")


def test_operator_list_drops_duplicates_and_rejects_same_stream(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(iter(sandbox.streams))
    monkeypatch.setenv("AIRFLOW_CONN_AGAIN", sandbox.connection_json(first))
    outcome = airflow.run(lambda: fetch(time="global", angus_conn_id=[*shops, *shops, "again"]), schedule=DAILY)[
        "fetch"
    ]
    assert f"- again: Connections 'shop_0' and 'again' use the same stream '{first}'." in str(outcome.errors[0])
    assert len(outcome.returned) == 3


def test_operator_mapped_over_lists_fetches_each_list(airflow: Airflow, shops: list[str]) -> None:
    lists = [shops[:2], shops[2:]]
    outcomes = airflow.run(
        lambda: AngusEntitiesOperator.partial(task_id="fetch", metrics="passing_by").expand(angus_conn_id=lists),
        schedule=DAILY,
    )
    assert [len(outcomes[f"fetch[{number}]"].returned) for number in range(2)] == [2, 1]
