"""Fetch each hour of a stream when it becomes available, without a schedule (Airflow 3).

An asset watcher in the triggerer waits for the next hour and updates an asset, which triggers this DAG. Asset-triggered
runs have no data interval, so the operator gets the intervals from the events. It is mapped, because a run may have
several events.

**Needs:** a triggerer, and an Airflow connection ``angus_default`` of type *Angus.ai*. Set ``since`` to the start of
the first hour.

**You will see:** a run a few minutes after the end of each hour, with the row of the hour in the result of
``fetch_hour``. The hours since ``since`` come first, one event for each.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.triggers import AngusBucketTrigger

shop_hours = Asset(
    "angus_shop_hours",
    watchers=[
        AssetWatcher(
            name="angus_shop_hours",
            trigger=AngusBucketTrigger("angus_default", time="by_hour", since="2026-11-20T20:00:00+00:00"),
        )
    ],
)

with DAG(
    dag_id="angus_hourly_on_asset",
    doc_md=__doc__,
    schedule=[shop_hours],
    catchup=False,
    tags=["angus"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
):

    @task
    def hours(triggering_asset_events: dict | None = None) -> list[dict]:
        """Return the intervals of the asset events, without duplicates, as arguments of the operator."""
        payloads = [event.extra["payload"] for events in (triggering_asset_events or {}).values() for event in events]
        intervals = {(payload["from_date"], payload["to_date"]) for payload in payloads}
        return [{"from_date": from_date, "to_date": to_date} for from_date, to_date in sorted(intervals)]

    fetch_hour = AngusEntitiesOperator.partial(
        task_id="fetch_hour", metrics=["passing_by", "interested"], time="by_hour"
    ).expand_kwargs(hours())
