"""The parameter partition_events of the transfers, checked when the DAG is parsed."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow_versions import only_airflow_2, only_airflow_3_3

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

SHOP = Asset("angus://shop/entities")


def create(kind: str, **arguments: Any) -> Any:
    defaults: dict[str, Any] = {"task_id": "load", "metrics": "passing_by", "time": "by_hour", "outlets": [SHOP]}
    if kind == "file":
        return AngusToObjectStorageOperator(**defaults | {"path": "day.csv"} | arguments)
    return AngusToSqlOperator(**defaults | {"sql_conn_id": "warehouse", "table": "audience"} | arguments)


both = pytest.mark.parametrize("kind", ["file", "table"])


@both
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"partition_events": "by_week"}, "partition_events: expected 'by_hour' or 'by_day', got str 'by_week'."),
        ({"partition_events": True}, "partition_events: expected 'by_hour' or 'by_day', got bool True."),
        (
            {"partition_events": "by_hour", "time": "by_day"},
            "expected buckets that fit into partitions by_hour, got time='by_day'. Use time='by_hour'.",
        ),
        (
            {"partition_events": "by_day", "time": "global"},
            "partitions by_day, got time='global'. Use time='by_hour' or 'by_day'.",
        ),
    ],
)
def test_partition_events_of_other_value_or_time_is_rejected(
    kind: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AngusRequestError, match=message):
        create(kind, **arguments)


def outlets_without_asset() -> list[list[Any]]:
    from airflow.providers.common.compat.lineage.entities import File

    return [[], [File(url="file:///data/day.csv")]]


@only_airflow_3_3
@both
@pytest.mark.parametrize("outlets", outlets_without_asset(), ids=["none", "a file"])
def test_partition_events_without_outlet_asset_is_rejected(kind: str, outlets: list[Any]) -> None:
    with pytest.raises(AngusRequestError, match="partition_events: expected an asset in outlets, got none."):
        create(kind, partition_events="by_hour", outlets=outlets)


@only_airflow_3_3
@both
def test_partition_events_of_alias_is_rejected(kind: str) -> None:
    from airflow.sdk import AssetAlias

    with pytest.raises(AngusRequestError, match="expected outlets that are assets, got an AssetAlias."):
        create(kind, partition_events="by_hour", outlets=[SHOP, AssetAlias("shops")])


@only_airflow_3_3
@both
@pytest.mark.parametrize("outlet", [SHOP, Asset.ref(uri=SHOP.uri)] if hasattr(Asset, "ref") else [SHOP])
def test_partition_events_of_asset_is_accepted(kind: str, outlet: Any) -> None:
    assert create(kind, partition_events="by_day", time="{{ 'by_hour' }}", outlets=outlet).partition_events == "by_day"


@only_airflow_2
@both
def test_partition_events_before_3_3_is_rejected(kind: str) -> None:
    with pytest.raises(AngusRequestError, match="partition_events: expected None before Airflow 3.3"):
        create(kind, partition_events="by_hour")
