"""AngusToSqlOperator in Airflow: the table has each interval of each stream once, or is unchanged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import databases
import pytest
from airflow_versions import AIRFLOW, only_airflow_3
from transfers import ONE_RETRY, add_undocumented_key, columns_of, fetched_rows, load, to_table, without_rows

from airflow_provider_angus.exceptions import (
    AngusIntervalError,
    AngusResponseError,
    AngusRowError,
    AngusStorageError,
    AngusTargetError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")


def to_utc(value: str | datetime) -> datetime:
    """Return a time of a table, which is text in SQLite and has no time zone in MySQL."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def test_table_is_created_with_the_rows_of_the_run(airflow: Airflow, database: databases.Database) -> None:
    metrics = "passing_by,stop_time,gender"
    outcome = load(airflow, lambda: to_table(database, metrics=metrics))
    expected = fetched_rows(airflow, metrics=metrics)
    assert outcome.returned == {
        "table": database.table,
        "stream": expected[0]["stream"],
        "from_date": "2026-11-20T00:00:00+00:00",
        "to_date": "2026-11-21T00:00:00+00:00",
        "rows": 24,
        "added": 24,
        "changed": 0,
        "unchanged": 0,
        "removed": 0,
        "changed_buckets": [],
    }
    columns = ("stream", "passing_by", "stop_time", "gender_female")
    assert [tuple(row) for row in database.rows(", ".join(columns))] == columns_of(expected, *columns)
    starts = [row[0] for row in database.rows("bucket_start")]
    assert [to_utc(start) for start in starts] == [datetime.fromisoformat(row["bucket_start"]) for row in expected]
    assert f"Loaded 24 rows of stream {expected[0]['stream']} into {database.table} for 2026-11-20T00:00" in airflow.log


def test_table_column_types_on_postgres(airflow: Airflow, postgres: databases.Database) -> None:
    load(airflow, lambda: to_table(postgres, metrics="passing_by,stop_time,satisfaction"))
    schema, _, table = postgres.table.partition(".")
    types = dict(
        postgres.run(
            "SELECT column_name, data_type FROM information_schema.columns "  # noqa: S608 (test data)
            f"WHERE table_schema = '{schema}' AND table_name = '{table}'"
        )
    )
    assert types == {
        "stream": "text",
        "bucket_start": "timestamp with time zone",
        "bucket_end": "timestamp with time zone",
        "passing_by": "bigint",
        "stop_time": "double precision",
        "other": "jsonb",
    }


def test_table_rerun_keeps_each_interval_once(airflow: Airflow, database: databases.Database, shops: list[str]) -> None:
    for day in (19, 20, 21, 20):
        load(
            airflow,
            lambda: to_table(database, angus_conn_id=shops[0]),
            logical_date=datetime(2026, 11, day, tzinfo=UTC),
        )
    load(airflow, lambda: to_table(database, angus_conn_id=shops[1]))
    rows = database.rows()
    assert len(rows) == len({(stream, str(start)) for stream, start, _ in rows}) == 4 * 24


def test_table_rerun_deletes_rows_that_the_api_lost(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    load(airflow, lambda: to_table(database))

    def without_last_bucket(body: dict[str, Any]) -> dict[str, Any]:
        body["entities"].popitem()
        return body | {"total_results": len(body["entities"])}

    sandbox.change_next(without_last_bucket, on="entities")
    outcome = load(airflow, lambda: to_table(database))
    assert database.count() == outcome.returned["rows"] < 25


def test_table_holds_both_parts_of_a_shared_bucket(airflow: Airflow, sqlite: databases.Database) -> None:
    """Intervals from noon to noon cut each day into two rows."""
    for day in (18, 19, 20):
        load(
            airflow,
            lambda day=day: to_table(
                sqlite, time="by_day", from_date=f"2026-11-{day}T12:00:00Z", to_date=f"2026-11-{day + 1}T12:00:00Z"
            ),
        )
    edges = sqlite.rows("bucket_start, bucket_end")
    assert [(start[5:13], end[5:13]) for start, end in edges] == [
        ("11-18T12", "11-19T00"),
        ("11-19T00", "11-19T12"),
        ("11-19T12", "11-20T00"),
        ("11-20T00", "11-20T12"),
        ("11-20T12", "11-21T00"),
        ("11-21T00", "11-21T12"),
    ]


def test_table_missing_columns_fail_at_once(airflow: Airflow, database: databases.Database) -> None:
    database.run(f"CREATE TABLE {database.table} (stream VARCHAR(40), bucket_start VARCHAR(40), passing_by INTEGER)")
    outcome = load(airflow, lambda: to_table(database, metrics="passing_by,stop_time", **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusTargetError)
    message = str(outcome.errors[0])
    assert f"Table {database.table} has no column bucket_end (" in message
    assert "stop_time (" in message
    assert "it has stream, bucket_start, passing_by." in message


def test_table_missing_is_created_only_on_request(airflow: Airflow, database: databases.Database) -> None:
    outcome = load(airflow, lambda: to_table(database, create_table=False, **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    message = f"Table {database.table} does not exist or is not readable. Create it, or set create_table=True of "
    assert message in str(outcome.errors[0])
    assert outcome.errors[0].__cause__ is not None


def test_table_additional_columns_are_accepted(airflow: Airflow, database: databases.Database) -> None:
    load(airflow, lambda: to_table(database))
    database.run(f"ALTER TABLE {database.table} ADD COLUMN note VARCHAR(10)")
    load(airflow, lambda: to_table(database))
    assert database.count() == 24


def test_table_undocumented_keys_are_stored_or_rejected(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    """They go to the column ``other``. A table without this column rejects them, so no value is lost."""
    metrics = "passing_by,satisfaction"
    sandbox.change_next(add_undocumented_key("satisfaction"), on="entities")
    load(airflow, lambda: to_table(database, metrics=metrics))
    (stored,) = {json.dumps(row[0]) if isinstance(row[0], dict) else row[0] for row in database.rows("other")}
    assert json.loads(stored) == {"satisfaction_smiles": 3}
    database.run(f"ALTER TABLE {database.table} DROP COLUMN other")
    load(airflow, lambda: to_table(database))
    sandbox.change_next(add_undocumented_key("satisfaction"), on="entities")
    message = str(load(airflow, lambda: to_table(database, metrics=metrics)).errors[0])
    assert f"Table {database.table} has no column other (" in message
    assert "'satisfaction_smiles'" in message
    assert database.count() == 24


def test_table_templated_name_is_checked_after_rendering(airflow: Airflow, sqlite: databases.Database) -> None:
    outcome = load(airflow, lambda: to_table(sqlite, table="{{ 'audi..ence' }}", **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert "table: expected the name of a table, got str" in str(outcome.errors[0])


def test_table_quoted_name_is_unchanged_in_the_manifest(airflow: Airflow, sqlite: databases.Database) -> None:
    """The log has the quoted name."""
    outcome = load(airflow, lambda: to_table(sqlite, table="main.{{ 'My Table' }}", **ONE_RETRY))
    assert (outcome.state, outcome.returned["table"]) == ("success", "main.My Table")
    assert 'into main."My Table" for 2026-11-20' in airflow.log
    assert sqlite.run('SELECT COUNT(*) FROM "My Table"')[0][0] == 24


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            '{"conn_type": "sqlite", "extra": "[1]"}',
            "extra: expected a JSON object, got a JSON list",
            marks=pytest.mark.skipif(AIRFLOW == (3, 0), reason="Airflow 3.0 does not read such a connection"),
        ),
        ("postgres://me:p/w@host:port/x", "got a URI that Airflow cannot parse"),
        ('{"conn_type": "sqlite", ', "got text that is not JSON"),
    ],
)
def test_table_unreadable_connection_fails_at_once(
    airflow: Airflow, sqlite: databases.Database, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", value)
    outcome = load(airflow, lambda: to_table(sqlite, sql_conn_id="warehouse", **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert message in str(outcome.errors[0])


@pytest.mark.parametrize(
    ("conn_id", "message"),
    [
        ("angus_default", "'angus_default': expected an SQL database, got the hook AngusHook"),
        ("missing", "Connection 'missing' does not exist"),
    ],
)
def test_table_connection_without_sql_database_is_named(
    airflow: Airflow, sqlite: databases.Database, conn_id: str, message: str
) -> None:
    outcome = load(airflow, lambda: to_table(sqlite, sql_conn_id=conn_id))
    assert isinstance(outcome.errors[0], AngusTargetError)
    assert message in str(outcome.errors[0])


def test_table_unreachable_database_is_retried(
    airflow: Airflow, postgres: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_UNREACHABLE", "postgres://me:hunter2@127.0.0.1:9/none")
    outcome = load(airflow, lambda: to_table(postgres, sql_conn_id="unreachable", **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 2)
    assert [type(error) for error in outcome.errors] == [AngusStorageError] * 2
    assert "of connection 'unreachable' could not be written" in str(outcome.errors[0])
    assert "hunter2" not in str(outcome.errors[0])


@only_airflow_3
def test_table_run_without_interval_sends_no_request(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    outcome = load(airflow, lambda: to_table(sqlite, **ONE_RETRY), schedule="@daily")
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusIntervalError)
    assert sandbox.count() == 0


def test_table_api_failure_keeps_existing_rows(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    load(airflow, lambda: to_table(database))
    before = database.rows()
    sandbox.fail_next(400, on="entities")
    assert load(airflow, lambda: to_table(database)).state == "failed"
    assert database.rows() == before


@pytest.mark.parametrize(("allow_empty", "count"), [(True, 0), (False, 24)])
def test_table_allow_empty_decides_whether_no_rows_replace_it(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database, *, allow_empty: bool, count: int
) -> None:
    load(airflow, lambda: to_table(sqlite))
    sandbox.change_next(without_rows, on="entities")
    outcome = load(airflow, lambda: to_table(sqlite, allow_empty=allow_empty, on_incomplete="warn"))
    assert [type(error) for error in outcome.errors] == ([] if allow_empty else [AngusResponseError])
    assert sqlite.count() == count


def test_table_failed_insert_keeps_existing_rows(airflow: Airflow, sqlite: databases.Database) -> None:
    load(airflow, lambda: to_table(sqlite))
    sqlite.run(f"UPDATE {sqlite.table} SET passing_by = -1")  # noqa: S608 (test data)
    before = sqlite.rows()
    sqlite.run(
        f"CREATE TRIGGER no BEFORE INSERT ON {sqlite.table} WHEN new.bucket_start > '2026-11-20T12' "
        "BEGIN SELECT RAISE(ABORT, 'not today'); END"
    )
    outcome = load(airflow, lambda: to_table(sqlite, **ONE_RETRY))
    assert [type(error) for error in outcome.errors] == [AngusRowError]
    assert "not today. Existing rows are unchanged." in str(outcome.errors[0])
    assert type(outcome.errors[0].__cause__).__name__ == "IntegrityError"
    assert sqlite.rows() == before


def test_table_full_disk_keeps_existing_rows(
    airflow: Airflow, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sqlite,) = databases.made("sqlite", small_disk, monkeypatch)
    load(airflow, lambda: to_table(sqlite))
    before = sqlite.rows()
    outcome = load(airflow, lambda: to_table(sqlite, from_date="2026-05-01", to_date="2026-11-21"))
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "disk is full" in str(outcome.errors[0])
    assert sqlite.rows() == before
