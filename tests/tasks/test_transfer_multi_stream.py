"""Transfers of several streams in one task: rows of the other streams are loaded if a stream fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transfers import (
    DAILY,
    ONE_RETRY,
    add_undocumented_key,
    load,
    read_file,
    set_wrong_password,
    to_file,
    to_table,
)

from airflow_provider_angus.exceptions import AngusAuthError
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from pathlib import Path

    import databases
    import pytest
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox


def test_transfer_failed_stream_keeps_rows_of_others(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = sandbox.streams
    set_wrong_password(sandbox, second, "shop_1", monkeypatch)
    outcome = load(airflow, lambda: to_table(sqlite, angus_conn_id=[*shops, "missing"], **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusAuthError)
    lines = str(outcome.errors[0]).splitlines()
    assert lines[0] == "2 of 4 streams failed:"
    assert sorted(line.partition(":")[0] for line in lines[1:]) == ["- missing", "- shop_1"]
    assert {row[0] for row in sqlite.rows()} == {first, third}
    assert outcome.returned["rows"] == sqlite.count() == 48


def test_transfer_on_stream_error_skip_logs_failure(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = sandbox.streams
    set_wrong_password(sandbox, first, "shop_0", monkeypatch)
    path = tmp_path / "shops.jsonl"
    outcome = load(airflow, lambda: to_file(path, angus_conn_id=shops, on_stream_error="skip"))
    assert outcome.state == "success"
    assert outcome.returned["stream"] == others
    assert [row["stream"] for row in read_file(path, "jsonl")] == [stream for stream in others for _ in range(24)]
    assert "Connection shop_0 failed: POST" in airflow.log


def test_transfer_all_streams_failed_keeps_existing_file(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "shops.jsonl"
    path.write_text("existing")
    sandbox.fail_next(400, times=3, on="entities")
    outcome = load(airflow, lambda: to_file(path, angus_conn_id=shops, on_stream_error="skip"))
    assert (outcome.state, path.read_text()) == ("failed", "existing")
    assert str(outcome.errors[0]).startswith("3 of 3 streams failed:\n- shop_0: GET")


def test_transfer_row_error_skips_only_its_stream(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], database: databases.Database
) -> None:
    metrics = "passing_by,satisfaction"
    load(airflow, lambda: to_table(database, angus_conn_id=shops, metrics=metrics))
    database.run(f"ALTER TABLE {database.table} DROP COLUMN other")
    sandbox.change_next(add_undocumented_key("satisfaction"), on="entities")
    outcome = load(airflow, lambda: to_table(database, angus_conn_id=shops, metrics=metrics, on_stream_error="skip"))
    assert (outcome.state, outcome.returned["rows"]) == ("success", 48)
    assert f"failed: Table {database.table} has no column other (" in airflow.log
    assert database.count() == 72


def test_transfer_rows_refused_by_the_database_skip_only_their_stream(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], database: databases.Database
) -> None:
    first, second, third = sandbox.streams
    database.run(
        f"CREATE TABLE {database.table} (stream VARCHAR(40) CHECK (stream <> '{second}'), "
        "bucket_start TIMESTAMP NULL, bucket_end TIMESTAMP NULL, passing_by INTEGER)"
    )
    outcome = load(airflow, lambda: to_table(database, angus_conn_id=shops, **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert f"cannot take the rows of stream '{second}'" in str(outcome.errors[0])
    assert {row[0] for row in database.rows()} == {first, third}


def test_transfer_row_errors_of_all_streams_fail_the_task(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database
) -> None:
    load(airflow, lambda: to_table(sqlite, angus_conn_id=shops))
    sqlite.run(f"ALTER TABLE {sqlite.table} DROP COLUMN other")
    sandbox.change_next(add_undocumented_key("passing_by"), times=3, on="entities")
    outcome = load(airflow, lambda: to_table(sqlite, angus_conn_id=shops, on_stream_error="skip"))
    assert str(outcome.errors[0]).startswith("3 of 3 streams failed:")
    assert sqlite.count() == 72


def test_transfers_mapped_over_connections_load_each_stream(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database, tmp_path: Path
) -> None:
    def build() -> None:
        shared = {"metrics": "passing_by", "time": "by_hour"}
        AngusToSqlOperator.partial(
            task_id="table", sql_conn_id=sqlite.conn_id, table=sqlite.table, create_table=True, **shared
        ).expand(angus_conn_id=shops)
        AngusToObjectStorageOperator.partial(task_id="file", **shared).expand_kwargs(
            [{"angus_conn_id": shop, "path": f"{tmp_path}/{shop}/{{{{ ds }}}}.jsonl"} for shop in shops]
        )

    outcomes = airflow.run(build, schedule=DAILY)
    assert {outcome.state for outcome in outcomes.values()} == {"success"}
    assert sqlite.count() == 72
    assert {path.parent.name for path in tmp_path.glob("shop_*/*.jsonl")} == set(shops)
    assert [outcomes[f"file[{number}]"].returned["stream"] for number in range(3)] == list(sandbox.streams)
