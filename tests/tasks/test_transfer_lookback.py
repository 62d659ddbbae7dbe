"""AngusToSqlOperator with lookback: late and corrected data of earlier intervals, and rows that are not touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from changing_angus import set_passing_by
from transfers import ONE_RETRY, load, to_table

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    import databases
    from airflow_runs import Airflow

pytestmark = pytest.mark.usefixtures("connection")

DAY = timedelta(days=1)
COUNTS = ("rows", "added", "changed", "unchanged", "removed")


def counts(manifest: dict[str, Any]) -> tuple[int, ...]:
    return tuple(manifest[name] for name in COUNTS)


def load_day(airflow: Airflow, database: databases.Database, day: int, **arguments: Any) -> dict[str, Any]:
    """Load a day of November 2026 and return the manifest."""
    outcome = load(
        airflow, lambda: to_table(database, **arguments), logical_date=datetime(2026, 11, day + 1, tzinfo=UTC)
    )
    assert outcome.state == "success", outcome.errors
    return dict(outcome.returned)


def test_lookback_loads_late_and_corrected_data(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    sandbox.change_next(set_passing_by(d19h07=9999, d19h08=9999, d19h09=None), on="entities")
    assert counts(load_day(airflow, database, 19, on_incomplete="warn")) == (23, 23, 0, 0, 0)
    manifest = load_day(airflow, database, 20, lookback=2 * DAY)
    # Two days before the run's day, of which one was not loaded.
    assert counts(manifest) == (72, 24 + 24 + 1, 2, 21, 0)
    buckets = ["2026-11-19T07:00:00+00:00", "2026-11-19T08:00:00+00:00"]
    assert manifest["changed_buckets"] == buckets
    assert (manifest["from_date"], manifest["to_date"]) == ("2026-11-18T00:00:00+00:00", "2026-11-21T00:00:00+00:00")
    assert f"49 added, 2 changed, 21 unchanged, 0 removed. Changed buckets: {', '.join(buckets)}" in airflow.log
    assert max(row[2] for row in database.rows()) < 9999
    assert database.count() == 72


def test_lookback_removes_rows_that_the_api_lost(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    load_day(airflow, sqlite, 19)
    sandbox.change_next(set_passing_by(d19h07=None), on="entities")
    assert counts(load_day(airflow, sqlite, 20, lookback=DAY, on_incomplete="warn")) == (47, 24, 0, 23, 1)


def test_lookback_counts_rows_of_all_streams(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database, shops: list[str]
) -> None:
    load_day(airflow, sqlite, 20, angus_conn_id=shops)
    sandbox.change_next(set_passing_by(d19h07=9999, d20h07=9999), on="entities")
    manifest = load_day(airflow, sqlite, 20, angus_conn_id=shops, lookback=DAY)
    assert counts(manifest) == (144, 72, 1, 71, 0)
    assert manifest["changed_buckets"] == ["2026-11-20T07:00:00+00:00"]


def test_lookback_replaces_parts_of_buckets_by_whole_buckets(airflow: Airflow, sqlite: databases.Database) -> None:
    """Intervals from noon to noon cut days. Runs with lookback, in any order, count each hour of a day once."""

    def load_from_noon(day: int, lookback: timedelta | None) -> dict[str, Any]:
        dates = {"from_date": f"2026-11-{day}T12:00:00Z", "to_date": f"2026-11-{day + 1}T12:00:00Z"}
        return dict(load(airflow, lambda: to_table(sqlite, time="by_day", lookback=lookback, **dates)).returned)

    whole = {(start, end): count for start, end, count in edges_and_counts(airflow, sqlite, "2026-11-17", "2026-11-21")}
    sqlite.run(f"DELETE FROM {sqlite.table}")  # noqa: S608 (test data)
    for day in (17, 18, 19):
        load_from_noon(day, None)
    assert sqlite.count() == 6
    assert load_from_noon(20, 3 * DAY)["from_date"] == "2026-11-17T00:00:00+00:00"
    assert "The interval cuts 1 bucket (2026-11-21T00:00:00+00:00), so" in airflow.log
    loaded = edges_and_counts(airflow, sqlite)
    assert [(start[5:13], end[5:13]) for start, end, _ in loaded] == [
        ("11-17T00", "11-18T00"),
        ("11-18T00", "11-19T00"),
        ("11-19T00", "11-20T00"),
        ("11-20T00", "11-21T00"),
        ("11-21T00", "11-21T12"),
    ]
    assert [count for _, _, count in loaded[:4]] == list(whole.values())
    # Cleared runs of earlier days find whole days and change nothing.
    for day in (18, 19, 20):
        assert counts(load_from_noon(day, DAY))[1:] == (0, 0, 3, 0)
    assert edges_and_counts(airflow, sqlite) == loaded


def edges_and_counts(airflow: Airflow, database: databases.Database, *dates: str) -> list[tuple[str, str, int]]:
    """Return the buckets and counts of the table, after loading the days between two dates, if given."""
    if dates:
        from_date, to_date = dates
        load(airflow, lambda: to_table(database, time="by_day", from_date=from_date, to_date=to_date))
    return [tuple(row) for row in database.rows("bucket_start, bucket_end, passing_by")]


def test_lookback_of_rendered_global_sends_no_request(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    outcome = load(airflow, lambda: to_table(sqlite, time="{{ 'global' }}", lookback=DAY, **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusRequestError)
    assert "lookback: expected None for time='global'" in str(outcome.errors[0])
    assert sandbox.count() == 0


def test_unchanged_rerun_of_20_streams_sends_no_write(
    airflow: Airflow, postgres: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger of the database counts the statements of 8 days."""
    names = {f"stream-{number}": f"secret-{number}" for number in range(20)}
    with Sandbox(streams=names, page_size=1000) as sandbox:
        for name in names:
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper().replace('-', '_')}", sandbox.connection_json(name))
        arguments = {"angus_conn_id": [name.replace("-", "_") for name in names], "lookback": 7 * DAY}
        assert counts(load_day(airflow, postgres, 20, **arguments)) == (20 * 192, 20 * 192, 0, 0, 0)
        schema = postgres.table.partition(".")[0]
        postgres.run(
            f"CREATE TABLE {schema}.statements (kind TEXT);"  # noqa: S608 (test data)
            f"CREATE FUNCTION {schema}.count() RETURNS trigger AS $$ "
            f"BEGIN INSERT INTO {schema}.statements VALUES (TG_OP); RETURN NULL; END $$ LANGUAGE plpgsql;"
            f"CREATE TRIGGER counts BEFORE INSERT OR UPDATE OR DELETE ON {postgres.table} "
            f"EXECUTE FUNCTION {schema}.count()"
        )
        statements = f"SELECT kind FROM {schema}.statements"  # noqa: S608 (test data)
        assert counts(load_day(airflow, postgres, 20, **arguments)) == (20 * 192, 0, 0, 20 * 192, 0)
        assert postgres.run(statements) == []
        sandbox.change_next(set_passing_by(d19h07=9999), on="entities")
        load_day(airflow, postgres, 20, **arguments)
        assert postgres.run(statements) == [("DELETE",), ("INSERT",)]
