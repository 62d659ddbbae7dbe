"""An interval whose data is not complete: operator and transfers refuse it, or log it with on_incomplete="warn"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import only_airflow_3_3
from sensors import EVENING, NEXT_DAY, at_request
from transfers import DAILY, ONE_RETRY, fetch, load, to_file, to_table

from airflow_provider_angus.exceptions import AngusIncompleteError, AngusResponseError
from airflow_provider_angus.retry_policy import AngusRetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import databases
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")

WAYS_OUT = (
    "Add an AngusEntitiesSensor before the task, or set retries. For a range that reaches up to now or back before a "
    "camera existed, set on_incomplete='warn'."
)


@pytest.fixture(params=["operator", "file", "table"])
def run(
    request: pytest.FixtureRequest, airflow: Airflow, sqlite: databases.Database, tmp_path: Path
) -> Callable[..., Outcome]:
    """A function that runs a task of one of the three classes for 20 November 2026 or other dates."""
    builds: dict[str, Callable[..., Any]] = {
        "operator": lambda **arguments: fetch(task_id="load", **arguments),
        "file": lambda **arguments: to_file(tmp_path / "rows.jsonl", **arguments),
        "table": lambda **arguments: to_table(sqlite, **arguments),
    }
    return lambda **arguments: load(airflow, lambda: builds[request.param](**arguments))


def count_rows(outcome: Outcome) -> int:
    return len(outcome.returned) if isinstance(outcome.returned, list) else outcome.returned["rows"]


def without_last_hour(body: dict[str, Any]) -> dict[str, Any]:
    """Return the response without the day's last hour and the hour after it."""
    hours = dict(list(body["entities"].items())[:23])
    return body | {"entities": hours, "total_results": len(hours)}


@pytest.mark.parametrize(
    ("ends_in", "settle", "reason"),
    [
        (timedelta(hours=1), timedelta(0), "the interval ends at "),
        (timedelta(minutes=-1), timedelta(minutes=2), "the data settles at "),
        (timedelta(days=-10), timedelta.max, "the data settles at 9999"),
    ],
)
@pytest.mark.parametrize("streams", ["one", "list"])
def test_unsettled_interval_fails_before_any_request(
    run: Callable[..., Outcome],
    sandbox: Sandbox,
    shops: list[str],
    sqlite: databases.Database,
    tmp_path: Path,
    streams: str,
    ends_in: timedelta,
    settle: timedelta,
    reason: str,
) -> None:
    end = datetime.now(UTC) + ends_in
    dates = {"from_date": end - timedelta(hours=2), "to_date": end}
    outcome = run(**dates, settle=settle, angus_conn_id=shops if streams == "list" else "angus_default")
    assert outcome.state == "failed"
    (error,) = outcome.errors
    assert type(error) is AngusIncompleteError
    assert f".. {end.isoformat()}: {reason}" in str(error)
    assert str(error).endswith(WAYS_OUT)
    assert sandbox.count() == 0
    assert sqlite.run("SELECT name FROM sqlite_master") == []
    assert list(tmp_path.rglob("*.jsonl*")) == []


def test_settled_interval_is_loaded(run: Callable[..., Outcome]) -> None:
    end = datetime.now(UTC) - timedelta(minutes=1)
    outcome = run(from_date=end - timedelta(hours=2), to_date=end, time="global", settle=timedelta(seconds=59))
    assert (outcome.state, count_rows(outcome)) == ("success", 1)


def test_missing_bucket_fails_and_keeps_existing_data(
    run: Callable[..., Outcome], sandbox: Sandbox, sqlite: databases.Database, tmp_path: Path
) -> None:
    assert run().state == "success"
    file = tmp_path / "rows.jsonl"
    before = sqlite.run("SELECT name FROM sqlite_master"), file.exists() and file.read_bytes()
    sandbox.clock.set(EVENING)
    outcome = run()
    (error,) = outcome.errors
    assert type(error) is AngusIncompleteError
    stream = next(iter(sandbox.streams))
    assert str(error) == (
        f"Stream '{stream}', 2026-11-20T00:00:00+00:00 .. 2026-11-21T00:00:00+00:00: "
        f"missing 1 bucket (2026-11-20T23:00:00+00:00). {WAYS_OUT}"
    )
    assert (sqlite.run("SELECT name FROM sqlite_master"), file.exists() and file.read_bytes()) == before
    if before[0]:
        assert sqlite.count() == 24


def test_missing_bucket_is_retried(run: Callable[..., Outcome], sandbox: Sandbox) -> None:
    sandbox.clock.set(EVENING)
    at_request(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))
    outcome = run(**ONE_RETRY)
    assert (outcome.state, outcome.tries, count_rows(outcome)) == ("success", 2, 24)


def test_warn_logs_missing_buckets_and_loads_the_others(
    run: Callable[..., Outcome], airflow: Airflow, sandbox: Sandbox
) -> None:
    sandbox.clock.set(EVENING)
    outcome = run(on_incomplete="warn")
    assert (outcome.state, count_rows(outcome)) == ("success", 23)
    assert "21T00:00:00+00:00: missing 1 bucket (2026-11-20T23:00:00+00:00)." in airflow.log


def test_warn_range_up_to_now_is_loaded(run: Callable[..., Outcome], airflow: Airflow) -> None:
    end = datetime.now(UTC) + timedelta(minutes=5)
    outcome = run(from_date=end - timedelta(days=1), to_date=end, on_incomplete="warn")
    assert outcome.state == "success"
    assert count_rows(outcome) >= 24
    assert airflow.log.count(f"Incomplete data: {(end - timedelta(days=1)).isoformat()} .. {end.isoformat()}: ") == 1


def test_fail_result_without_rows_is_refused(run: Callable[..., Outcome], sandbox: Sandbox) -> None:
    sandbox.clock.set(datetime(2026, 11, 19, tzinfo=UTC))
    assert [type(error) for error in run().errors] == [AngusIncompleteError]


def test_allow_empty_false_precedes_missing_buckets(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.clock.set(datetime(2026, 11, 19, tzinfo=UTC))
    outcome = load(airflow, lambda: to_file(tmp_path / "rows.jsonl", allow_empty=False))
    assert [type(error) for error in outcome.errors] == [AngusResponseError]


@pytest.mark.parametrize("on_stream_error", ["fail", "skip"])
def test_incomplete_stream_of_list_counts_as_failed(
    run: Callable[..., Outcome], airflow: Airflow, sandbox: Sandbox, shops: list[str], on_stream_error: str
) -> None:
    """The rows of the other streams are loaded, in a task that fails also."""
    sandbox.change_next(without_last_hour, on="entities")
    outcome = run(angus_conn_id=shops, on_stream_error=on_stream_error)
    assert outcome.state == ("failed" if on_stream_error == "fail" else "success")
    assert count_rows(outcome) == 48
    assert "missing 1 bucket (2026-11-20T23:00:00+00:00). Add an AngusEntitiesSensor" in airflow.log
    if on_stream_error == "fail":
        (error,) = outcome.errors
        assert type(error) is AngusIncompleteError
        assert str(error).startswith("1 of 3 streams failed:\n- shop_")


def test_incomplete_streams_of_list_all_fail(run: Callable[..., Outcome], sandbox: Sandbox, shops: list[str]) -> None:
    sandbox.clock.set(EVENING)
    outcome = run(angus_conn_id=shops, on_stream_error="skip")
    (error,) = outcome.errors
    assert type(error) is AngusIncompleteError
    assert str(error).startswith("3 of 3 streams failed:\n- shop_")


@only_airflow_3_3
def test_unsettled_interval_is_retried_when_it_has_settled(airflow: Airflow) -> None:
    """The policy of the test notes the delay and shortens it. The task's own ``retry_delay`` is a minute."""
    from airflow.sdk import RetryDecision

    delays: list[timedelta | None] = []

    class ImpatientPolicy(AngusRetryPolicy):
        def evaluate(self, *args: Any, **kwargs: Any) -> RetryDecision:
            delays.append(super().evaluate(*args, **kwargs).retry_delay)
            return RetryDecision.retry(delay=timedelta(0))

    end = datetime.now(UTC) + timedelta(hours=3)
    task = {"retries": 1, "retry_delay": timedelta(minutes=1), "retry_policy": ImpatientPolicy()}
    outcome = airflow.run(lambda: fetch(from_date="2026-11-20", to_date=end, **task), schedule=DAILY)["fetch"]
    assert (outcome.state, outcome.tries) == ("failed", 2)
    assert [delay and round(delay / timedelta(hours=1)) for delay in delays] == [3, 3]
    assert all(delay and delay < timedelta(hours=3, minutes=2) for delay in delays)
