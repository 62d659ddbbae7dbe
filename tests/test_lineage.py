"""What others learn of landed rows: the events of assets, OpenLineage, and the URIs of streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import databases
import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow_runs import AIRFLOW_3, extras_of, only_airflow_3

from airflow_provider_angus.lineage import file_output
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

DAY = {"from_date": "2026-11-19", "to_date": "2026-11-20"}
DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
ASKED: dict[str, Any] = {"task_id": "land", "metrics": "passing_by,stop_time", "time": "by_hour"}

pytestmark = pytest.mark.usefixtures("connection")


def outlet(name: str) -> Asset:
    return Asset(f"angus://{name}/entities")


@pytest.mark.parametrize("kind", ["operator", "file", "table"])
def test_the_events_of_outlets_say_stream_interval_and_rows(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (database,) = databases.made("sqlite", tmp_path, monkeypatch)
    asset, path = outlet(f"events-{kind}"), tmp_path / "day.csv"
    sql = {"sql_conn_id": database.conn_id, "table": database.table, "create_table": True}
    builds: dict[str, Callable[[], object]] = {
        "operator": lambda: AngusEntitiesOperator(**ASKED, outlets=[asset]),
        "file": lambda: AngusToObjectStorageOperator(**ASKED, path=str(path), outlets=[asset]),
        "table": lambda: AngusToSqlOperator(**ASKED, **sql, outlets=[asset]),
    }
    outcome = airflow.run(builds[kind], schedule=DAILY)["land"]
    (extra,) = extras_of(asset)
    said = {"stream": next(iter(sandbox.streams)), "rows": 24}
    said |= {"from_date": "2026-11-20T00:00:00+00:00", "to_date": "2026-11-21T00:00:00+00:00"}
    assert extra == (said if kind == "operator" else outcome.returned)
    assert extra | said == extra


def test_a_task_that_fails_for_one_stream_makes_no_event(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    asset = outlet("failed")
    conn_ids = ["angus_default", "not_there"]
    path = str(tmp_path / "day.csv")
    outcome = airflow.run(
        lambda: AngusToObjectStorageOperator(**ASKED, path=path, angus_conn_id=conn_ids, outlets=[asset]),
        schedule=DAILY,
    )["land"]
    assert (outcome.state, extras_of(asset)) == ("failed", [])
    assert outcome.returned["stream"] == [next(iter(sandbox.streams))]


def test_a_task_with_a_file_among_its_outlets_runs(airflow: Airflow) -> None:
    from airflow.providers.common.compat.lineage.entities import File

    outlets = [File(url="file:///data/day.csv"), outlet("beside-a-file")]
    outcome = airflow.run(lambda: AngusEntitiesOperator(**ASKED, outlets=outlets), schedule=DAILY)["land"]
    assert outcome.state == "success"
    assert [extra["rows"] for extra in extras_of(outlets[1])] == [24]


@only_airflow_3
def test_an_asset_may_be_named_only(airflow: Airflow) -> None:
    asset = outlet("named-only")
    airflow.run(lambda: AngusEntitiesOperator(**ASKED, outlets=[asset]), schedule=DAILY)
    airflow.run(lambda: AngusEntitiesOperator(**ASKED, outlets=[Asset.ref(uri=asset.uri)]), schedule=DAILY)
    assert [extra["rows"] for extra in extras_of(asset)] == [24, 24]


@only_airflow_3
def test_a_task_with_an_asset_alias_among_its_outlets_runs(airflow: Airflow, sandbox: Sandbox) -> None:
    from airflow.sdk import AssetAlias

    outcome = airflow.run(lambda: AngusEntitiesOperator(**ASKED, outlets=[AssetAlias("somewhere")]), schedule=DAILY)[
        "land"
    ]
    assert outcome.state == "success"
    assert sandbox.count("entities") == 1


@pytest.mark.parametrize(
    ("uri", "same"),
    [
        ("angus://D49ab774-59b2/entities", "angus://d49ab774-59b2/entities"),
        ("angus://d49ab774-59b2/entities/", "angus://d49ab774-59b2/entities"),
    ],
)
def test_the_uri_of_a_stream_has_one_form(airflow: Airflow, uri: str, same: str) -> None:  # noqa: ARG001 (as above)
    assert Asset(uri).uri == same


@pytest.mark.parametrize(
    "uri", ["angus:///entities", "angus://camera", "angus://camera/rows", "angus://c/entities?a=b"]
)
def test_what_is_no_stream_s_uri_is_refused_when_parsed(airflow: Airflow, uri: str) -> None:  # noqa: ARG001 (as above)
    if AIRFLOW_3:
        with pytest.raises(ValueError, match="must be angus://<stream>/entities"):
            Asset(uri)
    else:
        with pytest.warns(UserWarning, match="angus"):
            Asset(uri)


def openlineage(operator: Any) -> dict[str, Any]:
    """Run an operator and return what OpenLineage's own extractor makes of it, as it would send it."""
    from airflow.providers.openlineage.extractors.base import DefaultExtractor

    operator.execute({})
    lineage = DefaultExtractor(operator).extract_on_complete(None)
    return {
        "inputs": [(each.namespace, each.name) for each in lineage.inputs],
        "outputs": [
            (each.namespace, each.name, [(field.name, field.type) for field in each.facets["schema"].fields])
            for each in lineage.outputs
        ],
    }


COLUMNS = [
    ("stream", "string"),
    ("bucket_start", "timestamp"),
    ("bucket_end", "timestamp"),
    ("passing_by", "integer"),
    ("stop_time", "double"),
    ("other", "json"),
]


def test_openlineage_learns_streams_and_file(sandbox: Sandbox, tmp_path: Path) -> None:
    path = str(tmp_path / "day.csv")
    stream = next(iter(sandbox.streams))
    assert openlineage(AngusToObjectStorageOperator(**ASKED, **DAY, path=path)) == {
        "inputs": [(f"angus://{stream}", "entities")],
        "outputs": [("file", path, COLUMNS)],
    }


def test_openlineage_learns_streams_and_table(sandbox: Sandbox, tmp_path: Path, monkeypatch: Any) -> None:
    stream = next(iter(sandbox.streams))
    for database in databases.made("postgres", tmp_path, monkeypatch):
        sql = {"sql_conn_id": database.conn_id, "table": database.table, "create_table": True}
        assert openlineage(AngusToSqlOperator(**ASKED, **DAY, **sql)) == {
            "inputs": [(f"angus://{stream}", "entities")],
            "outputs": [("postgres://127.0.0.1:5432", f"test.{database.table}", COLUMNS)],
        }


def test_openlineage_learns_a_database_of_which_its_hook_says_nothing(
    airflow: Airflow,  # noqa: ARG001 (its database has to be there)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (database,) = databases.made("sqlite", tmp_path, monkeypatch)
    sql = {"sql_conn_id": database.conn_id, "table": database.table, "create_table": True}
    (output,) = openlineage(AngusToSqlOperator(**ASKED, **DAY, **sql))["outputs"]
    assert output[:2] == (f"sqlite://{tmp_path}/tests.sqlite", database.table)


def test_openlineage_learns_nothing_before_anything_is_landed(tmp_path: Path) -> None:
    operator = AngusToObjectStorageOperator(**ASKED, path=str(tmp_path / "day.csv"))
    assert operator.get_openlineage_facets_on_complete(None) is None


def test_an_object_is_called_by_its_bucket_and_key() -> None:
    class Path:
        protocol, bucket, key = "s3", "bucket", "shop/day.csv"

    assert file_output(Path(), ())[:2] == ("s3://bucket", "shop/day.csv")  # type: ignore[arg-type] (as a path has them)
