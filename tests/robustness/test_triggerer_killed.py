"""A triggerer is killed while fifty sensors wait in it, and restarted: all sensors succeed."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from live_airflow import LiveAirflow
from sensors import EVENING, NEXT_DAY

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from outcome_table import Record

SENSORS = 50


def count_checks(sandbox: Sandbox) -> Counter[str | None]:
    """Return the number of requests for entities by stream."""
    return Counter(call.client_id for call in sandbox.calls if call.endpoint == "entities")


def test_triggerer_killed_fifty_sensors_succeed(record: Record) -> None:
    home = Path(f"{os.environ['AIRFLOW_HOME']}-fifty")
    shutil.rmtree(home, ignore_errors=True)
    (home / "dags").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "dags" / "fifty_sensors.py", home / "dags")
    shops = [f"shop_{number:02}" for number in range(SENSORS)]
    with Sandbox(streams={shop: f"secret of {shop}" for shop in shops}) as sandbox:
        sandbox.clock.set(EVENING)
        env = {f"AIRFLOW_CONN_{shop.upper()}": sandbox.connection_json(shop) for shop in shops}
        live = LiveAirflow(home, home / "dags", env | {"SHOPS": ",".join(shops)})
        try:
            live.start_all()
            # The first check may come from a worker, the second comes from a trigger.
            assert live.wait_until(lambda: sum(count > 1 for count in count_checks(sandbox).values()) == SENSORS, 400)
            waiting = live.query("SELECT COUNT(*) FROM task_instance WHERE state = 'deferred'")
            assert waiting == [(SENSORS,)]
            live.kill("triggerer")
            sandbox.forget_calls()
            sandbox.clock.set(NEXT_DAY)
            live.start("triggerer")
            ended = "SELECT COUNT(*) FROM task_instance WHERE state IN ('success', 'failed', 'skipped')"
            live.wait_until(lambda: live.query(ended) == [(SENSORS,)], 500)
            tasks = [live.task("fifty_sensors", shop) for shop in shops]
            assert [(task.state, task.tries) for task in tasks] == [("success", 1)] * SENSORS
            # A trigger's check sends the event, a worker's check decides.
            assert min(count_checks(sandbox)[shop] for shop in shops) >= 2
        finally:
            live.close()
    record("triggerer killed during waits", "trigger", "success at the first try", SENSORS)
