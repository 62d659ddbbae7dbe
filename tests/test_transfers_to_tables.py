"""Landing in tables through Airflow: each interval of each stream is there once, or what was there before is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import databases
import pytest
from landing import RETRY, columns_of, fetched, land, to_table

from airflow_provider_angus.exceptions import (
    AngusResponseError,
    AngusStorageError,
    AngusTargetError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")


def test_a_table_is_made_and_has_the_run_s_rows(airflow: Airflow, database: databases.Database) -> None:
    metrics = "passing_by,stop_time,gender"
    outcome = land(airflow, lambda: to_table(database, metrics=metrics))
    want = fetched(airflow, metrics=metrics)
    assert outcome.returned == {
        "table": database.table,
        "stream": want[0]["stream"],
        "from_date": "2026-11-20T00:00:00+00:00",
        "to_date": "2026-11-21T00:00:00+00:00",
        "rows": 24,
    }
    columns = ("stream", "passing_by", "stop_time", "gender_female")
    assert [tuple(row) for row in database.rows(", ".join(columns))] == columns_of(want, *columns)
    starts = [row[0] for row in database.rows("bucket_start")]
    assert [as_utc(start) for start in starts] == [datetime.fromisoformat(row["bucket_start"]) for row in want]


def as_utc(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def test_the_types_of_columns_are_the_database_s_own(airflow: Airflow, postgres: databases.Database) -> None:
    land(airflow, lambda: to_table(postgres, metrics="passing_by,stop_time,satisfaction"))
    schema, _, table = postgres.table.partition(".")
    types = dict(
        postgres.run(
            "SELECT column_name, data_type FROM information_schema.columns "  # noqa: S608 (a test's)
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


def test_a_rerun_leaves_each_interval_once_and_the_others_alone(
    airflow: Airflow, database: databases.Database, shops: list[str]
) -> None:
    for day in (19, 20, 21, 20):
        land(
            airflow,
            lambda: to_table(database, angus_conn_id=shops[0]),
            logical_date=datetime(2026, 11, day, tzinfo=UTC),
        )
    land(airflow, lambda: to_table(database, angus_conn_id=shops[1]))
    rows = database.rows()
    assert len(rows) == len({(stream, str(start)) for stream, start, _ in rows}) == 4 * 24


def test_a_rerun_takes_away_rows_that_are_no_longer_there(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    land(airflow, lambda: to_table(database))

    def shorter(answer: dict[str, Any]) -> dict[str, Any]:
        answer["entities"].popitem()
        return answer | {"total_results": len(answer["entities"])}

    sandbox.change_next(shorter, on="entities")
    outcome = land(airflow, lambda: to_table(database))
    assert database.count() == outcome.returned["rows"] < 25


def test_one_table_may_hold_the_parts_of_a_bucket_that_two_intervals_share(
    airflow: Airflow, sqlite: databases.Database
) -> None:
    for noon in (18, 19, 20):
        land(
            airflow,
            lambda noon=noon: to_table(
                sqlite, time="by_day", from_date=f"2026-11-{noon}T12:00:00Z", to_date=f"2026-11-{noon + 1}T12:00:00Z"
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


def test_a_table_that_lacks_columns_is_named_with_them_and_not_retried(
    airflow: Airflow, database: databases.Database
) -> None:
    database.run(f"CREATE TABLE {database.table} (stream VARCHAR(40), bucket_start VARCHAR(40), passing_by INTEGER)")
    outcome = land(airflow, lambda: to_table(database, metrics="passing_by,stop_time", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusTargetError)
    message = str(outcome.errors[0])
    assert f"Table {database.table} has no column bucket_end (" in message
    assert "stop_time (" in message
    assert "it has stream, bucket_start, passing_by." in message


def test_a_table_that_is_not_there_is_made_only_when_asked_for(airflow: Airflow, database: databases.Database) -> None:
    outcome = land(airflow, lambda: to_table(database, create_table=False, **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert f"Table {database.table} is not there or not to be read: create it, or let cre" in str(outcome.errors[0])
    assert outcome.errors[0].__cause__ is not None


def test_a_table_with_more_columns_than_ours_is_filled(airflow: Airflow, database: databases.Database) -> None:
    land(airflow, lambda: to_table(database))
    database.run(f"ALTER TABLE {database.table} ADD COLUMN note VARCHAR(10)")
    land(airflow, lambda: to_table(database))
    assert database.count() == 24


def test_what_nobody_documented_is_kept_or_refused_but_never_dropped(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    def smiling(answer: dict[str, Any]) -> dict[str, Any]:
        for bucket in answer["entities"].values():
            bucket["satisfaction"] = {"smiles": 3}
        return answer

    sandbox.change_next(smiling, on="entities")
    land(airflow, lambda: to_table(database, metrics="passing_by,satisfaction"))
    (kept,) = {json.dumps(row[0]) if isinstance(row[0], dict) else row[0] for row in database.rows("other")}
    assert json.loads(kept) == {"satisfaction_smiles": 3}
    database.run(f"ALTER TABLE {database.table} DROP COLUMN other")
    land(airflow, lambda: to_table(database))
    sandbox.change_next(smiling, on="entities")
    outcome = land(airflow, lambda: to_table(database, metrics="passing_by,satisfaction"))
    assert "sent 'satisfaction_smiles' of stream" in str(outcome.errors[0])
    assert "needs a column other (" in str(outcome.errors[0])
    assert database.count() == 24


@pytest.mark.parametrize("table", ['audience"; DROP TABLE x; --', "audience'", "a b", "a.b.c.d", "1st", "", "a."])
def test_parsing_a_dag_refuses_a_table_that_is_no_name(sqlite: databases.Database, table: str) -> None:
    with pytest.raises(AngusTargetError, match="is no name of a table"):
        to_table(sqlite, table=table)


def test_a_templated_table_is_checked_when_rendered(airflow: Airflow, sqlite: databases.Database) -> None:
    outcome = land(airflow, lambda: to_table(sqlite, table="{{ 'audi\"ence' }}", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert "is no name of a table" in str(outcome.errors[0])


def test_a_connection_that_is_not_to_a_database_is_named(airflow: Airflow, sqlite: databases.Database) -> None:
    for conn_id, words in (("angus_default", "its hook is AngusHook"), ("not_there", "'not_there' cannot be used")):
        outcome = land(airflow, lambda conn_id=conn_id: to_table(sqlite, sql_conn_id=conn_id))
        assert isinstance(outcome.errors[0], AngusTargetError)
        assert words in str(outcome.errors[0])


def test_a_database_that_cannot_be_reached_is_named_and_retried(
    airflow: Airflow, postgres: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", "postgres://me:hunter2@127.0.0.1:9/none")
    outcome = land(airflow, lambda: to_table(postgres, sql_conn_id="away", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 2)
    assert [type(error) for error in outcome.errors] == [AngusStorageError] * 2
    assert "of connection 'away' could not be written" in str(outcome.errors[0])
    assert "hunter2" not in str(outcome.errors[0])


def test_a_failure_of_the_api_leaves_the_table_as_it_was(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    land(airflow, lambda: to_table(database))
    before = database.rows()
    sandbox.fail_next(400, on="entities")
    assert land(airflow, lambda: to_table(database)).state == "failed"
    assert database.rows() == before


@pytest.mark.parametrize(("allow_empty", "left"), [(True, 0), (False, 24)])
def test_an_empty_answer_replaces_an_interval_only_where_it_may(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database, *, allow_empty: bool, left: int
) -> None:
    land(airflow, lambda: to_table(sqlite))
    sandbox.change_next(lambda answer: answer | {"entities": {}, "total_results": 0, "nb_of_pages": 0}, on="entities")
    outcome = land(airflow, lambda: to_table(sqlite, allow_empty=allow_empty))
    assert [type(error) for error in outcome.errors] == ([] if allow_empty else [AngusResponseError])
    assert sqlite.count() == left


def test_an_insert_that_fails_leaves_what_was_there(airflow: Airflow, sqlite: databases.Database) -> None:
    land(airflow, lambda: to_table(sqlite))
    before = sqlite.rows()
    sqlite.run(
        f"CREATE TRIGGER no BEFORE INSERT ON {sqlite.table} WHEN new.bucket_start > '2026-11-20T12' "
        "BEGIN SELECT RAISE(ABORT, 'not today'); END"
    )
    outcome = land(airflow, lambda: to_table(sqlite))
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "not today What was there before still is." in str(outcome.errors[0])
    assert type(outcome.errors[0].__cause__).__name__ == "IntegrityError"
    assert sqlite.rows() == before


def test_a_full_disk_leaves_the_table_as_it_was(airflow: Airflow, small_disk: Path, monkeypatch: Any) -> None:
    (sqlite,) = databases.made("sqlite", small_disk, monkeypatch)
    land(airflow, lambda: to_table(sqlite))
    before = sqlite.rows()
    outcome = land(airflow, lambda: to_table(sqlite, from_date="2026-05-01", to_date="2026-11-21"))
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "disk is full" in str(outcome.errors[0])
    assert sqlite.rows() == before
