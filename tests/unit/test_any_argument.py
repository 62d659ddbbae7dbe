"""Arguments of any type, for every parameter of the operator and the transfers, when parsed and when rendered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from any_arguments import REFUSED, result_or_refusal
from hypothesis import HealthCheck, assume, given, settings
from strategies import arguments, bucket_times, durations, intervals, moments
from transfers import fetch, to_table

from airflow_provider_angus.model.buckets import Time, bucket_at, count_buckets
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.windows import split_windows
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import databases

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.thorough

DAY = {
    "data_interval_start": datetime(2026, 11, 20, tzinfo=UTC),
    "data_interval_end": datetime(2026, 11, 21, tzinfo=UTC),
}

RENDERED = ["metrics", "time", "angus_conn_id"]
DATES = ["from_date", "to_date"]

with_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def build(
    request: pytest.FixtureRequest, sqlite: databases.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A function that returns a task of one of the three classes."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.chdir(folder)
    kinds: dict[str, Callable[..., Any]] = {
        "operator": fetch,
        "file": lambda **changes: AngusToObjectStorageOperator(
            **{"task_id": "load", "metrics": "passing_by", "path": "rows.csv"} | changes
        ),
        "table": lambda **changes: to_table(sqlite, **changes),
    }
    return kinds[request.param]


def cases(*names: str, file: str = "", table: str = "") -> pytest.MarkDecorator:
    """Parametrize a test by class and parameter: ``names`` of all classes, and others of the transfers."""
    kinds = {"operator": [*names], "file": [*names, *file.split()], "table": [*names, *table.split()]}
    pairs = [(kind, name) for kind, parameters in kinds.items() for name in parameters]
    return pytest.mark.parametrize(("build", "name"), pairs, indirect=["build"])


@cases(
    *RENDERED,
    *DATES,
    "interval",
    "window",
    "on_stream_error",
    "settle",
    "on_incomplete",
    file="path storage_conn_id format allow_empty",
    table="sql_conn_id table create_table allow_empty lookback",
)
@with_fixtures
@given(value=arguments)
def test_argument_of_any_type_is_accepted_or_refused_when_parsed(
    build: Callable[..., Any], name: str, value: object
) -> None:
    other = {"from_date": {"to_date": "2026-11-20"}, "to_date": {"from_date": "2026-11-20"}}.get(name, {})
    result_or_refusal(lambda: build(**other | {name: value}), name, value)


@pytest.mark.usefixtures("airflow", "connection", "no_backoff")
@cases(*RENDERED, file="path storage_conn_id format", table="sql_conn_id table")
@with_fixtures
@given(value=arguments)
def test_argument_of_any_type_works_or_is_refused_before_any_request(
    build: Callable[..., Any], name: str, value: object, sandbox: Sandbox, sqlite: databases.Database, tmp_path: Path
) -> None:
    # Stay in the folder. Only the database knows which schemas exist.
    outside = {"path": "/:~", "table": "."}.get(name, "")
    assume(not isinstance(value, str) or not set(outside) & set(value))
    tables = "SELECT name FROM sqlite_master"
    before = sqlite.run(tables), sorted(tmp_path.rglob("*"))
    task = build().prepare_for_execution()
    sandbox.forget_calls()
    # As Airflow's native rendering does.
    setattr(task, name, value)
    result = result_or_refusal(lambda: task.execute(dict(DAY)), name, value)
    if result is REFUSED:
        assert sandbox.count() == 0
        assert (sqlite.run(tables), sorted(tmp_path.rglob("*"))) == before
    else:
        assert len(result) > 0
        assert sandbox.count(endpoint="entities") == 1


@cases(*DATES)
@with_fixtures
@given(value=arguments)
def test_date_of_any_type_makes_an_interval_or_is_refused(build: Callable[..., Any], name: str, value: object) -> None:
    task = build(from_date="2026-11-19", to_date="2026-11-21").prepare_for_execution()
    setattr(task, name, value)
    check_interval(lambda: task.get_interval(DAY), name, value)


@cases("interval")
@with_fixtures
@given(value=durations, end=moments)
def test_interval_of_any_length_makes_an_interval_or_is_refused(
    build: Callable[..., Any], name: str, value: timedelta, end: datetime
) -> None:
    check_interval(lambda: build(**{name: value}).get_interval({"logical_date": end}), name, value)


@given(value=durations, interval=intervals(timedelta(days=9)), time=bucket_times)
def test_window_of_any_length_splits_an_interval_or_is_refused(
    value: timedelta, interval: Interval, time: Time
) -> None:
    windows = result_or_refusal(lambda: list(split_windows(interval, time, value)), "window", value)
    if windows is not REFUSED:
        assert (windows[0].start, windows[-1].end) == interval


def check_interval(action: Callable[[], Interval], name: str, value: object) -> None:
    """Check that an action returns an interval with which all arithmetic works, or is refused."""
    interval = result_or_refusal(action, name, value)
    if interval is not REFUSED:
        assert interval.start < interval.end
        assert count_buckets(interval, "by_hour") >= 1
        assert bucket_at(interval.end - timedelta(microseconds=1), "by_day").end >= interval.end
        first = next(split_windows(interval, "by_hour", timedelta(days=1)))
        assert interval.start == first.start < first.end <= interval.end
