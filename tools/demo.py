"""``make demo``: a DAG run waits for its day in the sandbox, fetches it and prints it, all through Airflow itself.

What runs is what a user would type: ``airflow db migrate`` and ``airflow dags test``, in a home of its own beside the
clone's other files. Of Airflow's log only what this provider says and what the DAG prints is shown.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
AIRFLOW = Path(sys.executable).with_name("airflow")
DAG_ID = "angus_daily_audience"
DAY = datetime(2026, 11, 20, tzinfo=UTC)

#: Airflow's own way to change tasks without touching DAGs: the example looks every five minutes, the demo every 2 s.
POLICY = """
def task_policy(task):
    if task.task_type.endswith("Sensor"):
        task.poke_interval = 2
"""

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\S+ \[\w+ *\] (.*?) +\[([\w.]+)\] ")


def main() -> int:
    """Run the demo and return its exit code."""
    (HOME / "config").mkdir(parents=True, exist_ok=True)
    (HOME / "config" / "airflow_local_settings.py").write_text(POLICY)
    with Sandbox() as sandbox:
        env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
            "AIRFLOW_HOME": str(HOME),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_ANGUS_DEFAULT": sandbox.connection_json(),
            "PYTHONPATH": str(HOME / "config"),
            "PYTHONWARNINGS": "ignore",
            "NO_COLOR": "1",
        }
        sandbox.clock.set(DAY + timedelta(hours=22, minutes=30))
        print(f"A local Angus runs at {sandbox.url}. There it is {sandbox.clock.now():%A %d %B %Y, %H:%M} UTC.")
        print("Airflow prepares its database ...", flush=True)
        migrated = subprocess.run([AIRFLOW, "db", "migrate"], env=env, capture_output=True, text=True, check=False)
        if migrated.returncode:
            print(migrated.stdout, migrated.stderr)
            return migrated.returncode
        with midnight_after(sandbox, looks=2):
            code = run_dag(env)
        tokens, pages = sandbox.count("token"), sandbox.count("entities")
        print(f"\nThe local Angus was asked for {tokens} token and {pages} pages. Exit code {code}.")
    return code


def run_dag(env: dict[str, str]) -> int:
    """Run the DAG for the day, showing what matters of its log; all of it when it fails."""
    # A run for the 21st, at midnight, is the run of the 20th: its data interval ends there.
    command = ["airflow", "dags", "test", DAG_ID, f"{DAY + timedelta(days=1):%Y-%m-%d}"]
    print(f"$ {' '.join(command)}", flush=True)
    process = subprocess.Popen(
        [AIRFLOW, *command[1:]], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    log = []
    for line in process.stdout or ():
        log.append(line)
        match = LOG_LINE.match(line)
        if match is None:
            print(line, end="", flush=True)
        elif "airflow_provider_angus" in match[3]:
            print(f"{match[1]}  {match[2]}", flush=True)
    code = process.wait()
    if code == 0 and not any(line.startswith("the day: ") for line in log):
        code = 1
    if code:
        print("".join(log))
    return code


@contextlib.contextmanager
def midnight_after(sandbox: Sandbox, *, looks: int) -> Iterator[None]:
    """Let the sandbox's day end when it has been asked this many times."""
    over = threading.Event()

    def watch() -> None:
        while sandbox.count("entities") < looks:
            if over.wait(0.1):
                return
        sandbox.clock.set(DAY + timedelta(days=1, minutes=5))
        print("          (in the local Angus, midnight passes)", flush=True)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
