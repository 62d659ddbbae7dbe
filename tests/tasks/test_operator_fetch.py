"""AngusEntitiesOperator in Airflow: rendered parameters, requests, failures and the log."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import not_in_test_runs_of_3_0
from transfers import DAILY, ONE_RETRY, fetch

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")


@pytest.mark.parametrize(
    "arguments", [{"metrics": "{{ 'visitors' }}"}, {"time": "{{ 'by_week' }}"}, {"angus_conn_id": "{{ '' }}"}]
)
def test_operator_invalid_rendered_template_fails_at_once(
    airflow: Airflow, sandbox: Sandbox, arguments: dict[str, Any]
) -> None:
    outcome = airflow.run(lambda: fetch(**arguments, **ONE_RETRY), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusRequestError)
    assert sandbox.count() == 0


def test_operator_renders_metrics_time_and_connection(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(
        lambda: fetch(
            metrics="{{ 'gender, passing_by' }}", time="{{ 'by_' ~ 'day' }}", angus_conn_id="angus_{{ 'default' }}"
        ),
        schedule=DAILY,
    )["fetch"]
    (row,) = outcome.returned
    columns = ["passing_by", "gender_female", "gender_male", "gender_unknown"]
    assert list(row) == ["stream", "bucket_start", "bucket_end", *columns]
    assert row["stream"] == next(iter(sandbox.streams))


def test_operator_sends_one_token_and_one_page_request(airflow: Airflow, sandbox: Sandbox) -> None:
    airflow.run(fetch, schedule=DAILY)
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]


def test_operator_mapped_over_connections_fetches_each_stream(
    airflow: Airflow, sandbox: Sandbox, shops: list[str]
) -> None:
    outcomes = airflow.run(
        lambda: AngusEntitiesOperator.partial(task_id="fetch", metrics=["passing_by"]).expand(angus_conn_id=shops),
        schedule=DAILY,
    )
    assert [outcome.returned[0]["stream"] for outcome in outcomes.values()] == list(sandbox.streams)


def test_operator_bucket_at_interval_end_is_dropped(airflow: Airflow, sandbox: Sandbox) -> None:
    """The API also returns the bucket that starts at the end of the range. It belongs to the next run."""
    bodies: list[dict[str, Any]] = []
    sandbox.change_next(lambda body: bodies.append(body) or body, on="entities")
    outcome = airflow.run(fetch, schedule=DAILY)["fetch"]
    assert "2026-11-21T00:00:00+00:00" in bodies[0]["entities"]
    assert "2026-11-21T00:00:00+00:00" not in [row["bucket_start"] for row in outcome.returned]


@pytest.mark.parametrize(
    ("failure", "error", "tries"),
    [
        ({"status": 400, "body": {"code": "unexisting_metric", "message": "No."}}, AngusRequestError, 1),
        ({"status": 401}, AngusAuthError, 1),
        ({"status": 200, "body": "<html>hello</html>"}, AngusResponseError, 2),
        ({"status": 503, "headers": {"Retry-After": "0"}}, AngusUnavailableError, 2),
    ],
    ids=["refused request", "refused token", "not JSON", "unavailable"],
)
def test_operator_failure_is_retried_only_if_that_can_help(
    airflow: Airflow, sandbox: Sandbox, failure: dict[str, Any], error: type[Exception], tries: int
) -> None:
    sandbox.fail_next(**failure, times=20, on="entities")
    outcome = airflow.run(lambda: fetch(**ONE_RETRY), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries, outcome.returned) == ("failed", tries, None)
    assert [type(each) for each in outcome.errors] == [error] * tries


def test_operator_short_outage_costs_no_try(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=2, headers={"Retry-After": "0"}, on="entities")
    outcome = airflow.run(lambda: fetch(**ONE_RETRY), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries, len(outcome.returned)) == ("success", 1, 24)


def test_operator_window_splits_interval_into_requests(airflow: Airflow, sandbox: Sandbox) -> None:
    expected = airflow.run(fetch, schedule=DAILY)["fetch"].returned
    sandbox.forget_calls()
    outcome = airflow.run(lambda: fetch(window=timedelta(hours=10)), schedule=DAILY)["fetch"]
    assert outcome.returned == expected
    assert [call.query["to_date"][8:13] for call in sandbox.calls] == ["20T10", "20T20", "21T00"]


def test_operator_logs_stream_interval_rows_and_totals(airflow: Airflow, sandbox: Sandbox) -> None:
    rows = airflow.run(fetch, schedule=DAILY)["fetch"].returned
    assert f"Fetching passing_by (by_hour) of stream {next(iter(sandbox.streams))} for 2026-11-20T00:00" in airflow.log
    assert f"Fetched 24 rows; totals: passing_by {sum(row['passing_by'] for row in rows)}" in airflow.log


def test_operator_column_name_cannot_forge_log_line(airflow: Airflow, sandbox: Sandbox) -> None:
    """Names of undocumented columns come from the API. The row keeps the name; the log shows it on one line."""

    def add_key(body: dict[str, Any]) -> dict[str, Any]:
        next(iter(body["entities"].values()))["mood"] = {"x\nAll is well": 3}
        return body

    sandbox.change_next(add_key, on="entities")
    assert airflow.run(fetch, schedule=DAILY)["fetch"].returned[0]["mood_x\nAll is well"] == 3
    assert "mood_x All is well 3" in airflow.log
    assert "x\nAll is well" not in airflow.log


def test_operator_logs_progress_of_many_pages(airflow: Airflow) -> None:
    airflow.run(lambda: fetch(from_date="2026-11-01", to_date="2026-11-11"))
    assert "Page 1 of 3: 100 rows so far" in airflow.log
    assert "Page 3 of 3: 240 rows so far" in airflow.log


def test_operator_partial_buckets_are_logged_once(airflow: Airflow) -> None:
    airflow.run(lambda: fetch(time="by_day", from_date="2026-11-17T23:00:00Z", to_date="2026-11-18T23:00:00Z"))
    message = "The interval cuts 2 buckets (2026-11-17T00:00:00+00:00, 2026-11-18T00:00:00+00:00), so their rows are"
    assert airflow.log.count(f"{message} partial. time='by_hour' or 'global' is exact.") == 1


def test_operator_partial_hours_are_exact_as_global(airflow: Airflow) -> None:
    airflow.run(lambda: fetch(from_date="2026-11-17T23:30:00Z", to_date="2026-11-18T23:00:00Z"))
    assert "1 bucket (2026-11-17T23:00:00+00:00), so their rows are partial. time='global' is exact." in airflow.log


@not_in_test_runs_of_3_0
def test_operator_log_contains_no_secret(airflow: Airflow, sandbox: Sandbox) -> None:
    """Airflow logs the error of a refused request. Neither the token nor the access token may appear."""
    tokens: list[str] = []
    sandbox.change_next(lambda body: tokens.append(body["token"]) or body, on="token")
    sandbox.fail_next(400, body={"code": "x", "message": "token"}, on="entities")
    airflow.run(fetch, schedule=DAILY)
    assert "refused with status 400" in airflow.log
    assert tokens[0] not in airflow.log
    assert next(iter(sandbox.streams.values())) not in airflow.log
