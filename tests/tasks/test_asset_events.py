"""The extras that tasks attach to the events of their outlets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow_runs import extras_of
from airflow_versions import only_airflow_3
from transfers import DAILY

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_runs import Airflow
    from databases import Database

    from airflow_provider_angus.sandbox import Sandbox

ARGUMENTS: dict[str, Any] = {"task_id": "load", "metrics": "passing_by,stop_time", "time": "by_hour"}

pytestmark = pytest.mark.usefixtures("connection")


def outlet(name: str) -> Asset:
    return Asset(f"angus://{name}/entities")


@pytest.mark.parametrize("kind", ["operator", "file", "table"])
def test_asset_event_has_stream_interval_and_rows(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path, sqlite: Database, kind: str
) -> None:
    """The event of a transfer has the manifest."""
    asset, path = outlet(f"events-{kind}"), tmp_path / "day.csv"
    sql = {"sql_conn_id": sqlite.conn_id, "table": sqlite.table, "create_table": True}
    builders: dict[str, Callable[[], object]] = {
        "operator": lambda: AngusEntitiesOperator(**ARGUMENTS, outlets=[asset]),
        "file": lambda: AngusToObjectStorageOperator(**ARGUMENTS, path=str(path), outlets=[asset]),
        "table": lambda: AngusToSqlOperator(**ARGUMENTS, **sql, outlets=[asset]),
    }
    outcome = airflow.run(builders[kind], schedule=DAILY)["load"]
    (extra,) = extras_of(asset)
    expected = {"stream": next(iter(sandbox.streams)), "rows": 24}
    expected |= {"from_date": "2026-11-20T00:00:00+00:00", "to_date": "2026-11-21T00:00:00+00:00"}
    assert extra == (expected if kind == "operator" else outcome.returned)
    assert extra | expected == extra


def test_asset_event_is_missing_if_a_stream_fails(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    """The task still returns the manifest of the other streams."""
    asset = outlet("failed")
    conn_ids = ["angus_default", "not_there"]
    path = str(tmp_path / "day.csv")
    outcome = airflow.run(
        lambda: AngusToObjectStorageOperator(**ARGUMENTS, path=path, angus_conn_id=conn_ids, outlets=[asset]),
        schedule=DAILY,
    )["load"]
    assert (outcome.state, extras_of(asset)) == ("failed", [])
    assert outcome.returned["stream"] == [next(iter(sandbox.streams))]


def test_outlet_that_is_a_file_is_ignored(airflow: Airflow) -> None:
    from airflow.providers.common.compat.lineage.entities import File

    outlets = [File(url="file:///data/day.csv"), outlet("beside-a-file")]
    outcome = airflow.run(lambda: AngusEntitiesOperator(**ARGUMENTS, outlets=outlets), schedule=DAILY)["load"]
    assert outcome.state == "success"
    assert [extra["rows"] for extra in extras_of(outlets[1])] == [24]


@only_airflow_3
def test_outlet_that_is_an_asset_reference_gets_the_event(airflow: Airflow) -> None:
    asset = outlet("reference")
    airflow.run(lambda: AngusEntitiesOperator(**ARGUMENTS, outlets=[asset]), schedule=DAILY)
    airflow.run(lambda: AngusEntitiesOperator(**ARGUMENTS, outlets=[Asset.ref(uri=asset.uri)]), schedule=DAILY)
    assert [extra["rows"] for extra in extras_of(asset)] == [24, 24]


@only_airflow_3
def test_outlet_that_is_an_asset_alias_is_ignored(airflow: Airflow, sandbox: Sandbox) -> None:
    from airflow.sdk import AssetAlias

    outlets = [AssetAlias("somewhere")]
    outcome = airflow.run(lambda: AngusEntitiesOperator(**ARGUMENTS, outlets=outlets), schedule=DAILY)["load"]
    assert outcome.state == "success"
    assert sandbox.count("entities") == 1
