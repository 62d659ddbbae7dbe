"""The operator: a run's rows are those of its own interval, on every kind of run that Airflow makes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable
from airflow_runs import AIRFLOW_3, only_airflow_2, only_airflow_3

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusIntervalError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
AFTERNOON = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
#: One try more than the first, at once: what is not retried has one try, what is has two.
RETRY: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}

pytestmark = pytest.mark.usefixtures("connection")


def fetch(**arguments: Any) -> AngusEntitiesOperator:
    return AngusEntitiesOperator(**{"task_id": "fetch", "metrics": "passing_by", "time": "by_hour"} | arguments)


def span(outcome: Outcome) -> tuple[str, str]:
    """Return what the rows of an outcome cover, shortened to minutes."""
    return outcome.returned[0]["bucket_start"][:16], outcome.returned[-1]["bucket_end"][:16]


# The interval table of the README, row by row.


@pytest.mark.parametrize(
    "schedule",
    [DAILY, DeltaDataIntervalTimetable(timedelta(days=1))],
    ids=["CronDataIntervalTimetable", "DeltaDataIntervalTimetable"],
)
def test_a_run_with_a_data_interval_fetches_it(airflow: Airflow, schedule: object) -> None:
    outcome = airflow.run(fetch, schedule=schedule, logical_date=MIDNIGHT)["fetch"]
    assert (outcome.state, len(outcome.returned)) == ("success", 24)
    assert span(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_a_run_with_a_data_interval_of_its_own_does_not_use_interval(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(interval=timedelta(hours=3)), schedule=DAILY)["fetch"]
    assert span(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_a_manual_run_of_an_interval_timetable_fetches_the_last_full_interval(airflow: Airflow) -> None:
    outcome = airflow.run(fetch, schedule=DAILY, logical_date=AFTERNOON)["fetch"]
    assert span(outcome) == ("2026-11-19T00:00", "2026-11-20T00:00")


@only_airflow_3
def test_at_daily_on_airflow_3_is_refused_without_retries(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: fetch(**RETRY), schedule="@daily")["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    (error,) = outcome.errors
    assert isinstance(error, AngusIntervalError)
    assert "empty data interval" in str(error)
    assert "CronDataIntervalTimetable" in str(error)
    assert "interval=timedelta" in str(error)
    assert "from_date and to_date" in str(error)
    assert sandbox.count() == 0


@only_airflow_2
def test_at_daily_on_airflow_2_has_its_day(airflow: Airflow) -> None:
    assert span(airflow.run(fetch, schedule="@daily")["fetch"]) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_at_daily_with_interval_fetches_the_time_before_its_end(airflow: Airflow) -> None:
    schedule = "@daily" if AIRFLOW_3 else CronTriggerTimetable("@daily", timezone="UTC")
    outcome = airflow.run(lambda: fetch(interval=timedelta(days=1)), schedule=schedule)["fetch"]
    assert span(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_a_trigger_timetable_without_interval_is_refused(airflow: Airflow) -> None:
    outcome = airflow.run(fetch, schedule=CronTriggerTimetable("@daily", timezone="UTC"))["fetch"]
    assert isinstance(outcome.errors[0], AngusIntervalError)


def test_a_calendar_day_of_the_schedule_s_time_zone_has_25_hours_when_summer_time_ends(airflow: Airflow) -> None:
    outcome = airflow.run(
        lambda: fetch(interval=pendulum.duration(days=1)),
        schedule=CronTriggerTimetable("@daily", timezone="Europe/Paris"),
        dag_args={"start_date": pendulum.datetime(2026, 1, 1, tz="Europe/Paris")},
        logical_date=pendulum.datetime(2026, 10, 26, tz="Europe/Paris"),
    )["fetch"]
    assert len(outcome.returned) == 25
    assert span(outcome) == ("2026-10-24T22:00", "2026-10-25T23:00")


@only_airflow_3
def test_a_run_without_a_logical_date_is_refused(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: fetch(**RETRY), logical_date=None)["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusIntervalError)
    assert "no data interval" in str(outcome.errors[0])
    assert sandbox.count() == 0


@only_airflow_3
def test_a_run_without_a_logical_date_fetches_the_interval_before_run_after(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(interval=timedelta(hours=2)), logical_date=None, run_after=MIDNIGHT)["fetch"]
    assert span(outcome) == ("2026-11-20T22:00", "2026-11-21T00:00")


def test_a_manual_run_without_a_schedule_fetches_the_interval_before_its_logical_date(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(interval=timedelta(hours=2)), logical_date=MIDNIGHT)["fetch"]
    assert span(outcome) == ("2026-11-20T22:00", "2026-11-21T00:00")


@only_airflow_3
def test_an_asset_triggered_run_fetches_the_dates_it_is_given(airflow: Airflow) -> None:
    outcome = airflow.run(
        lambda: fetch(from_date="{{ dag_run.conf.from_date }}", to_date="{{ dag_run.conf.to_date }}"),
        logical_date=None,
        conf={"from_date": "2026-11-20T06:00:00+00:00", "to_date": "2026-11-20T08:00:00+00:00"},
    )["fetch"]
    assert span(outcome) == ("2026-11-20T06:00", "2026-11-20T08:00")


@only_airflow_3
@pytest.mark.parametrize("interval", [timedelta(days=1), None])
def test_a_partitioned_run_fetches_its_partition_if_it_knows_how_long_that_is(
    airflow: Airflow, interval: timedelta | None
) -> None:
    from airflow.sdk import CronPartitionTimetable

    outcome = airflow.run(
        lambda: fetch(interval=interval),
        schedule=CronPartitionTimetable("@daily", timezone="UTC"),
        logical_date=None,
        partition_key="2026-11-18",
        partition_date=datetime(2026, 11, 18, tzinfo=UTC),
    )["fetch"]
    if interval:
        assert span(outcome) == ("2026-11-18T00:00", "2026-11-19T00:00")
    else:
        assert "partition date (2026-11-18" in str(outcome.errors[0])


# Explicit dates always win, however they are given.


@pytest.mark.parametrize(
    ("from_date", "to_date"),
    [
        ("2026-11-18T06:00:00+00:00", "2026-11-18T08:00:00+00:00"),
        ("2026-11-18T07:00:00+01:00", "2026-11-18T09:00:00+01:00"),
        ("2026-11-18 06:00", "2026-11-18 08:00"),
        (datetime(2026, 11, 18, 6, tzinfo=UTC), datetime(2026, 11, 18, 8)),  # noqa: DTZ001 (naive is UTC)
        (pendulum.datetime(2026, 11, 18, 7, tz="Europe/Paris"), pendulum.datetime(2026, 11, 18, 8, tz="UTC")),
        (
            "{{ data_interval_start - macros.timedelta(hours=42) }}",
            "{{ data_interval_start - macros.timedelta(hours=40) }}",
        ),
    ],
)
def test_explicit_dates_win_in_every_form(airflow: Airflow, from_date: Any, to_date: Any) -> None:
    outcome = airflow.run(lambda: fetch(from_date=from_date, to_date=to_date), schedule=DAILY)["fetch"]
    assert span(outcome) == ("2026-11-18T06:00", "2026-11-18T08:00")


def test_dates_without_a_time_are_utc_midnights(airflow: Airflow) -> None:
    outcome = airflow.run(lambda: fetch(from_date=date(2026, 11, 18), to_date="{{ '2026-11-19' }}"))["fetch"]
    assert span(outcome) == ("2026-11-18T00:00", "2026-11-19T00:00")


def test_dates_rendered_as_native_objects_are_accepted(airflow: Airflow) -> None:
    outcome = airflow.run(
        lambda: fetch(from_date="{{ data_interval_start }}", to_date="{{ data_interval_end }}"),
        schedule=DAILY,
        dag_args={"render_template_as_native_obj": True},
    )["fetch"]
    assert span(outcome) == ("2026-11-20T00:00", "2026-11-21T00:00")


def test_a_date_that_renders_to_none_is_refused_without_retries(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = airflow.run(lambda: fetch(from_date="{{ none }}", to_date="2026-11-19", **RETRY))["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert "from_date='None' is not an ISO 8601 date" in str(outcome.errors[0])
    assert sandbox.count() == 0


# What is wrong whatever the run is refused when the DAG is parsed.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"metrics": "passing_by,visitors"}, AngusRequestError, "'visitors'.* must be one or more of passing_by, int"),
        ({"metrics": []}, AngusRequestError, "No metrics"),
        ({"metrics": ""}, AngusRequestError, "must be one or more of"),
        ({"time": "by_week"}, AngusRequestError, "time must be one of by_hour, by_day, global"),
        ({"from_date": "2026-11-20"}, AngusIntervalError, "from_date is given without to_date"),
        ({"to_date": "2026-11-20"}, AngusIntervalError, "to_date is given without from_date"),
        ({"from_date": "yesterday", "to_date": "2026-11-20"}, AngusIntervalError, "'yesterday' is not an ISO 8601"),
        ({"from_date": "2026-11-20", "to_date": "2026-11-20"}, AngusIntervalError, "from_date must be before to_date"),
        ({"interval": timedelta(0)}, AngusIntervalError, "longer than zero"),
        ({"interval": "1 day"}, AngusIntervalError, "must be a timedelta"),
        ({"window": "1 day"}, AngusRequestError, "window must be a timedelta longer than zero"),
        ({"window": timedelta(0)}, AngusRequestError, "window must be a timedelta longer than zero"),
    ],
)
def test_parsing_a_dag_refuses_what_is_always_wrong(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fetch(**arguments)


@pytest.mark.parametrize("arguments", [{"metrics": "{{ 'visitors' }}"}, {"time": "{{ 'by_week' }}"}])
def test_templates_are_checked_when_rendered(airflow: Airflow, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
    outcome = airflow.run(lambda: fetch(**arguments, **RETRY), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusRequestError)
    assert sandbox.count() == 0


def test_metrics_time_and_connection_are_templated(airflow: Airflow, sandbox: Sandbox) -> None:
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


# How it asks, and what it makes of answers.


def test_a_run_costs_one_token_and_one_call_for_each_page(airflow: Airflow, sandbox: Sandbox) -> None:
    airflow.run(fetch, schedule=DAILY)
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]


def test_a_mapped_operator_fetches_each_connection_s_stream(
    airflow: Airflow, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, client_id in enumerate(sandbox.streams):
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", sandbox.connection_json(client_id))
    outcomes = airflow.run(
        lambda: AngusEntitiesOperator.partial(task_id="fetch", metrics=["passing_by"]).expand(
            angus_conn_id=["shop_0", "shop_1", "shop_2"]
        ),
        schedule=DAILY,
    )
    assert [outcome.returned[0]["stream"] for outcome in outcomes.values()] == list(sandbox.streams)


def test_the_bucket_that_starts_at_the_interval_s_end_is_another_run_s(airflow: Airflow, sandbox: Sandbox) -> None:
    answers: list[dict[str, Any]] = []
    sandbox.change_next(lambda answer: answers.append(answer) or answer, on="entities")
    outcome = airflow.run(fetch, schedule=DAILY)["fetch"]
    assert "2026-11-21T00:00:00+00:00" in answers[0]["entities"]
    assert "2026-11-21T00:00:00+00:00" not in [row["bucket_start"] for row in outcome.returned]


@pytest.mark.parametrize(
    ("order", "error", "tries"),
    [
        ({"status": 400, "body": {"code": "unexisting_metric", "message": "No."}}, AngusRequestError, 1),
        ({"status": 401}, AngusAuthError, 1),
        ({"status": 200, "body": "<html>hello</html>"}, AngusResponseError, 2),
        ({"status": 503, "headers": {"Retry-After": "0"}}, AngusUnavailableError, 2),
    ],
    ids=["refused request", "refused token", "not JSON", "away"],
)
def test_what_can_not_get_better_is_not_retried(
    airflow: Airflow, sandbox: Sandbox, order: dict[str, Any], error: type[Exception], tries: int
) -> None:
    sandbox.fail_next(**order, times=20, on="entities")
    outcome = airflow.run(lambda: fetch(**RETRY), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries, outcome.returned) == ("failed", tries, None)
    assert [type(each) for each in outcome.errors] == [error] * tries


def test_an_api_that_comes_back_costs_no_try(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=2, headers={"Retry-After": "0"}, on="entities")
    outcome = airflow.run(lambda: fetch(**RETRY), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries, len(outcome.returned)) == ("success", 1, 24)


# What it says.


def test_the_log_says_interval_stream_rows_and_totals(airflow: Airflow, sandbox: Sandbox) -> None:
    rows = airflow.run(fetch, schedule=DAILY)["fetch"].returned
    assert f"Fetching passing_by (by_hour) of stream {next(iter(sandbox.streams))} for 2026-11-20T00:00" in airflow.log
    assert f"Fetched 24 rows; totals: passing_by {sum(row['passing_by'] for row in rows)}" in airflow.log


def test_a_column_that_the_api_names_cannot_forge_a_line_of_the_log(airflow: Airflow, sandbox: Sandbox) -> None:
    def named(answer: dict[str, Any]) -> dict[str, Any]:
        next(iter(answer["entities"].values()))["mood"] = {"x\nAll is well": 3}
        return answer

    sandbox.change_next(named, on="entities")
    assert airflow.run(fetch, schedule=DAILY)["fetch"].returned[0]["mood_x\nAll is well"] == 3
    assert "mood_x All is well 3" in airflow.log
    assert "x\nAll is well" not in airflow.log


def test_a_long_fetch_logs_its_pages_as_they_come(airflow: Airflow) -> None:
    airflow.run(lambda: fetch(from_date="2026-11-01", to_date="2026-11-11"))
    assert "Page 1 of 3: 100 rows so far" in airflow.log
    assert "Page 3 of 3: 240 rows so far" in airflow.log


def test_a_window_is_how_much_is_asked_for_at_a_time(airflow: Airflow, sandbox: Sandbox) -> None:
    whole = airflow.run(fetch, schedule=DAILY)["fetch"].returned
    sandbox.forget_calls()
    outcome = airflow.run(lambda: fetch(window=timedelta(hours=10)), schedule=DAILY)["fetch"]
    assert outcome.returned == whole
    assert [call.query["to_date"][8:13] for call in sandbox.calls] == ["20T10", "20T20", "21T00"]


def test_an_interval_that_cuts_a_bucket_is_said_once(airflow: Airflow) -> None:
    airflow.run(lambda: fetch(time="by_day", from_date="2026-11-17T23:00:00Z", to_date="2026-11-18T23:00:00Z"))
    assert airflow.log.count("The interval cuts 2 buckets (2026-11-17T00:00:00+00:00, 2026-11-18T00:00:00+00:00)") == 1


def test_buckets_that_are_not_there_yet_are_named(airflow: Airflow, sandbox: Sandbox) -> None:
    sandbox.clock.set(datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    outcome = airflow.run(fetch, schedule=DAILY)["fetch"]
    assert len(outcome.returned) == 23
    assert "1 bucket (2026-11-20T23:00:00+00:00) is missing; an AngusEntitiesSensor" in airflow.log


def test_neither_token_nor_access_token_is_in_the_log(airflow: Airflow, sandbox: Sandbox) -> None:
    tokens: list[str] = []
    sandbox.change_next(lambda answer: tokens.append(answer["token"]) or answer, on="token")
    sandbox.fail_next(400, body={"code": "x", "message": "token"}, on="entities")
    airflow.run(fetch, schedule=DAILY)
    assert "refused with 400" in airflow.log
    assert tokens[0] not in airflow.log
    assert next(iter(sandbox.streams.values())) not in airflow.log
