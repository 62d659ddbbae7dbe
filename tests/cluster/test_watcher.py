"""An asset watcher whose triggerer is killed: another triggerer continues at the bucket after the stored one."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster import Cluster

    from airflow_provider_angus.sandbox import Sandbox

#: The first hour of the example ``angus_hourly_on_asset``.
FIRST = datetime(2026, 11, 20, 20, tzinfo=UTC)


def hours(count: int) -> list[str]:
    """Return the starts of the first hours."""
    return [(FIRST + timedelta(hours=number)).isoformat() for number in range(count)]


def make_available(sandbox: Sandbox, count: int) -> None:
    """Let exactly this number of hours be available. The sandbox's data appears after a minute."""
    sandbox.clock.set(FIRST + timedelta(hours=count, minutes=1))


def fired(cluster: Cluster) -> list[str]:
    """Return the hours of the asset's events, in order."""
    sql = "SELECT asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id WHERE name = 'angus_shop_hours'"
    return sorted(extra["payload"]["from_date"] for (extra,) in cluster.query(sql))


def fetched(cluster: Cluster) -> set[str]:
    """Return the hours that the runs of the example have fetched."""
    values = cluster.query("SELECT value FROM xcom WHERE (task_id, key) = ('fetch_hour', 'return_value')")
    return {row["bucket_start"] for (rows,) in values for row in rows}


def stored_hour(cluster: Cluster) -> str | None:
    """Return the hour at which the watcher continues."""
    values = cluster.query("SELECT value FROM asset_state_store")
    return json.loads(values[0][0]) if values else None


def kill_triggerer(cluster: Cluster) -> None:
    """Kill the triggerer that has the watcher."""
    ((host,),) = cluster.query(
        "SELECT hostname FROM trigger JOIN job ON job.id = triggerer_id WHERE classpath LIKE '%AngusBucketTrigger'"
    )
    cluster.kill(host)


def test_watcher_triggerer_killed_fires_each_hour_once(cluster: Cluster, watched: Sandbox) -> None:
    make_available(watched, 2)
    cluster.wait_for(lambda: stored_hour(cluster) == hours(3)[-1], 120)
    kill_triggerer(cluster)
    make_available(watched, 4)
    cluster.wait_for(lambda: stored_hour(cluster) == hours(5)[-1], 120)
    assert fired(cluster) == hours(4)
    cluster.wait_for(lambda: fetched(cluster) == set(hours(4)), 120)


def test_watcher_triggerer_killed_after_event_repeats_one_hour(cluster: Cluster, watched: Sandbox) -> None:
    """As documented: the triggerer is killed within ``mark_delay`` of the event, so the hour may fire again."""
    make_available(watched, 4)
    cluster.wait_for(lambda: stored_hour(cluster) == hours(5)[-1], 120)
    before = Counter(fired(cluster))
    make_available(watched, 5)
    last = hours(5)[-1]
    cluster.wait_for(lambda: last in fired(cluster), 120)
    kill_triggerer(cluster)
    make_available(watched, 6)
    cluster.wait_for(lambda: stored_hour(cluster) == hours(7)[-1], 120)
    after = Counter(fired(cluster)) - before
    assert set(after) == set(hours(6)[4:])
    assert after[last] <= 2
    assert after[hours(6)[-1]] == 1
