"""Each hour of a stream as soon as it is there, without a schedule and without a sensor (Airflow 3).

**What it shows.** A watcher in the triggerer looks for the next hour and, once Angus has it, updates an asset; this
DAG is scheduled on the asset. A run that an asset triggered has no data interval; what it is about stands
in its asset events, more than one where hours came in quick succession, and the operator is mapped over them.

**To use it** copy the file into your DAGs folder, create an Airflow connection ``angus_default`` of type *Angus.ai*,
and say in ``since`` with which hour to begin.
"""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.watchers import AngusBucketTrigger

shop_hours = Asset(
    "angus_shop_hours",
    watchers=[
        AssetWatcher(
            name="angus_shop_hours",
            trigger=AngusBucketTrigger("angus_default", time="by_hour", since="2026-11-20T20:00:00+00:00"),
        )
    ],
)

with DAG(dag_id="angus_hourly_on_asset", doc_md=__doc__, schedule=[shop_hours], catchup=False, tags=["angus"]):

    @task
    def hours(triggering_asset_events: dict | None = None) -> list[dict]:
        """Return what the run was triggered for, as arguments of the operator: its intervals, each once."""
        payloads = [event.extra["payload"] for events in (triggering_asset_events or {}).values() for event in events]
        spans = {(payload["from_date"], payload["to_date"]) for payload in payloads}
        return [{"from_date": from_date, "to_date": to_date} for from_date, to_date in sorted(spans)]

    fetch_hour = AngusEntitiesOperator.partial(
        task_id="fetch_hour", metrics=["passing_by", "interested"], time="by_hour"
    ).expand_kwargs(hours())
