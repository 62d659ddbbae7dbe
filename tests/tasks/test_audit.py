"""AngusSqlAuditOperator in Airflow: a table beside the API, reported or repaired."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow_runs import extras_of, partition_keys_of
from airflow_versions import only_airflow_3_3
from audited import audit
from changing_angus import set_passing_by
from transfers import DAILY, ONE_RETRY, add_undocumented_key, load, set_wrong_password, to_table, without_rows

from airflow_provider_angus.exceptions import (
    AngusAuditError,
    AngusAuthError,
    AngusIncompleteError,
    AngusResponseError,
    AngusRowError,
    AngusTargetError,
)

if TYPE_CHECKING:
    import databases
    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")

COUNTS = ("rows", "missing", "surplus", "differing", "equal")


def run(airflow: Airflow, database: databases.Database, **arguments: Any) -> Outcome:
    """Audit 20 November 2026."""
    return airflow.run(lambda: audit(database, **arguments), schedule=DAILY)["audit"]


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    return tuple(report[name] for name in COUNTS)


def damage(database: databases.Database) -> None:
    """Delete an hour of each stream, and change two."""
    # MySQL's DATETIME has no offset.
    offset = "" if database.kind == "mysql" else "+00:00"
    name, hours = database.table, f"bucket_start = '2026-11-20T{{}}:00:00{offset}'"
    database.run(f"DELETE FROM {name} WHERE {hours.format('07')}")  # noqa: S608 (test data)
    database.run(f"UPDATE {name} SET passing_by = -1 WHERE {hours.format('08')} OR {hours.format('09')}")  # noqa: S608 (test data)


def test_audit_of_equal_table_succeeds(airflow: Airflow, database: databases.Database) -> None:
    load(airflow, lambda: to_table(database))
    outcome = run(airflow, database)
    assert outcome.state == "success"
    report = outcome.returned
    assert counts(report) == (24, 0, 0, 0, 24)
    assert (report["table"], report["differences"]) == (database.table, [])
    assert (report["from_date"], report["to_date"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")
    assert "0 missing, 0 surplus, 0 differing buckets, 24 equal" in airflow.log


def test_audit_of_damaged_table_fails_at_once_and_writes_nothing(
    airflow: Airflow, database: databases.Database
) -> None:
    load(airflow, lambda: to_table(database))
    damage(database)
    before = database.rows("*")
    outcome = run(airflow, database, **ONE_RETRY)
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusAuditError)
    message = str(outcome.errors[0])
    assert f"Table {database.table} differs from the API for 2026-11-20T00:00:00+00:00 .. " in message
    assert "1 missing, 0 surplus, 2 differing buckets. The first: stream " in message
    assert "2026-11-20T07:00:00+00:00: missing: api {'passing_by': " in message
    assert database.rows("*") == before
    report = json.loads(json.dumps(outcome.returned))
    assert counts(report) == (24, 1, 0, 2, 21)
    (stream,) = report["streams"].values()
    assert stream["days"] == {"2026-11-20": {"missing": 1, "surplus": 0, "differing": 2}}
    assert not stream["repaired"]
    assert [each["kind"] for each in report["differences"]] == ["missing", "differing", "differing"]
    assert report["differences"][1]["table"] == {"passing_by": -1}
    assert "2026-11-20T08:00:00+00:00: differing: table {'passing_by': -1}, api {'passing_by': " in airflow.log


def test_audit_repair_loads_what_differs(airflow: Airflow, database: databases.Database) -> None:
    load(airflow, lambda: to_table(database))
    whole = database.rows()
    damage(database)
    outcome = run(airflow, database, repair=True)
    assert outcome.state == "success"
    assert counts(outcome.returned) == (24, 1, 0, 2, 21)
    assert [stream["repaired"] for stream in outcome.returned["streams"].values()] == [True]
    assert database.rows() == whole
    again = run(airflow, database, repair=True).returned
    assert counts(again) == (24, 0, 0, 0, 24)
    assert [stream["repaired"] for stream in again["streams"].values()] == [False]


def test_audit_surplus_bucket_needs_on_incomplete_warn(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    """An hour that the API has lost is not lost in the table by default."""
    load(airflow, lambda: to_table(sqlite))
    sandbox.change_next(set_passing_by(d20h07=None), times=3, on="entities")
    assert isinstance(run(airflow, sqlite, repair=True).errors[0], AngusIncompleteError)
    assert counts(run(airflow, sqlite, on_incomplete="warn").returned) == (23, 0, 1, 0, 23)
    assert sqlite.count() == 24
    run(airflow, sqlite, on_incomplete="warn", repair=True)
    assert sqlite.count() == 23


def test_audit_repair_keeps_rows_of_a_stream_without_rows(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    load(airflow, lambda: to_table(sqlite))
    sandbox.change_next(without_rows, times=2, on="entities")
    assert isinstance(run(airflow, sqlite, on_incomplete="warn", repair=True).errors[0], AngusResponseError)
    assert sqlite.count() == 24
    assert counts(run(airflow, sqlite, on_incomplete="warn").returned) == (0, 0, 24, 0, 0)


def test_audit_failed_stream_keeps_report_of_others(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = sandbox.streams
    load(airflow, lambda: to_table(sqlite, angus_conn_id=shops))
    damage(sqlite)
    set_wrong_password(sandbox, second, "shop_1", monkeypatch)
    outcome = run(airflow, sqlite, angus_conn_id=shops)
    assert isinstance(outcome.errors[0], AngusAuthError)
    assert list(outcome.returned["streams"]) == [first, third]
    assert counts(outcome.returned) == (48, 2, 0, 4, 42)
    skipped = run(airflow, sqlite, angus_conn_id=shops, on_stream_error="skip")
    assert isinstance(skipped.errors[0], AngusAuditError)


def test_audit_row_error_keeps_repair_of_others(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database
) -> None:
    load(airflow, lambda: to_table(sqlite, angus_conn_id=shops))
    whole = sqlite.rows()
    damage(sqlite)
    sqlite.run(f"ALTER TABLE {sqlite.table} DROP COLUMN other")
    sandbox.change_next(add_undocumented_key("passing_by"), on="entities")
    outcome = run(airflow, sqlite, angus_conn_id=shops, repair=True)
    assert isinstance(outcome.errors[0], AngusRowError)
    assert sorted(stream["repaired"] for stream in outcome.returned["streams"].values()) == [False, True, True]
    repaired = set(outcome.returned["stream"])
    assert [row for row in sqlite.rows() if row[0] in repaired] == [row for row in whole if row[0] in repaired]
    assert len([row for row in sqlite.rows() if row[0] not in repaired]) == 23


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (None, "does not exist or is not readable"),
        ("stream TEXT, bucket_start TEXT, bucket_end TEXT, attention_time REAL", "has no column passing_by ("),
        ("id INTEGER", "has no column stream"),
    ],
)
def test_audit_of_unfit_table_sends_no_request(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database, columns: str | None, message: str
) -> None:
    if columns:
        sqlite.run(f"CREATE TABLE {sqlite.table} ({columns})")
    outcome = run(airflow, sqlite, repair=True, **ONE_RETRY)
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusTargetError)
    assert message in str(outcome.errors[0])
    assert sandbox.count() == 0


def test_audit_sends_no_write(airflow: Airflow, postgres: databases.Database) -> None:
    load(airflow, lambda: to_table(postgres))
    damage(postgres)
    schema, _, _ = postgres.table.partition(".")
    postgres.run(
        f"CREATE FUNCTION {schema}.refuse() RETURNS trigger AS $$ BEGIN RAISE 'written'; END $$ LANGUAGE plpgsql;"
        f"CREATE TRIGGER refuses BEFORE INSERT OR UPDATE OR DELETE ON {postgres.table} "
        f"EXECUTE FUNCTION {schema}.refuse()"
    )
    assert counts(run(airflow, postgres).returned) == (24, 1, 0, 2, 21)
    assert "written" in str(run(airflow, postgres, repair=True).errors[0])


def test_audit_event_has_counts(airflow: Airflow, sqlite: databases.Database) -> None:
    load(airflow, lambda: to_table(sqlite))
    damage(sqlite)
    asset = Asset("angus://audited/entities")
    run(airflow, sqlite, repair=True, outlets=[asset])
    (extra,) = extras_of(asset)
    assert counts(extra) == (24, 1, 0, 2, 21)
    assert set(extra) == {"stream", "from_date", "to_date", "table", *COUNTS}


def test_audit_templates_are_rendered(airflow: Airflow, sqlite: databases.Database) -> None:
    load(airflow, lambda: to_table(sqlite))
    outcome = run(airflow, sqlite, table="{{ dag.dag_id and '" + sqlite.table + "' }}", sql_conn_id="{{ 'none_such' }}")
    assert "none_such" in str(outcome.errors[0])
    outcome = run(airflow, sqlite, table="{{ '" + sqlite.table + "' }}")
    assert outcome.returned["table"] == sqlite.table


@only_airflow_3_3
def test_audit_repair_emits_changed_partitions(airflow: Airflow, sqlite: databases.Database) -> None:
    asset = Asset("angus://audited-partitions/entities")
    emit = {"repair": True, "partition_events": "by_hour", "outlets": [asset]}
    load(airflow, lambda: to_table(sqlite))
    assert run(airflow, sqlite, **emit).state == "success"
    assert partition_keys_of(asset) == []
    damage(sqlite)
    run(airflow, sqlite, **emit)
    assert partition_keys_of(asset) == [f"2026-11-20T{hour}:00:00" for hour in ("07", "08", "09")]
