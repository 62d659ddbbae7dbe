"""A triggerer that is killed while fifty sensors wait in it, and is started again: all of them end right."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from live_airflow import LiveAirflow

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from conftest import Tell

SENSORS = 50
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)


def looks(sandbox: Sandbox) -> Counter[str | None]:
    """Return how often each sensor has looked, by its stream."""
    return Counter(call.client_id for call in sandbox.calls if call.endpoint == "entities")


def test_fifty_sensors_outlive_their_triggerer(tell: Tell) -> None:
    home = Path(f"{os.environ['AIRFLOW_HOME']}-fifty")
    shutil.rmtree(home, ignore_errors=True)
    (home / "dags").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "dags" / "fifty.py", home / "dags")
    shops = [f"shop_{number:02}" for number in range(SENSORS)]
    with Sandbox(streams={shop: f"secret of {shop}" for shop in shops}) as sandbox:
        sandbox.clock.set(EVENING)
        env = {f"AIRFLOW_CONN_{shop.upper()}": sandbox.connection_json(shop) for shop in shops}
        live = LiveAirflow(home, home / "dags", env | {"SHOPS": ",".join(shops)})
        try:
            live.start_all()
            # Two looks: the first may be a worker's, the second is a trigger's.
            assert live.wait_until(lambda: sum(times > 1 for times in looks(sandbox).values()) == SENSORS, 400)
            waiting = live.query("SELECT COUNT(*) FROM task_instance WHERE state = 'deferred'")
            assert waiting == [(SENSORS,)]
            live.kill("triggerer")
            sandbox.forget_calls()
            sandbox.clock.set(NEXT_DAY)
            live.start("triggerer")
            ended = "SELECT COUNT(*) FROM task_instance WHERE state IN ('success', 'failed', 'skipped')"
            live.wait_until(lambda: live.query(ended) == [(SENSORS,)], 500)
            tasks = [live.task("fifty", shop) for shop in shops]
            assert [(task.state, task.tries) for task in tasks] == [("success", 1)] * SENSORS
            # A trigger's look says that it is there, a worker's look decides.
            assert min(looks(sandbox)[shop] for shop in shops) >= 2
        finally:
            live.close()
    tell("triggerer killed while sensors wait", "trigger", "waited on, success at the first try", SENSORS)
