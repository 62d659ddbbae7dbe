"""``make demo``: a DAG run waits for its day in the sandbox and fetches it; then a week is landed in SQL and drawn.

What runs is what a user would type: ``airflow db migrate`` and ``airflow dags test``, in a home of its own beside the
clone's other files. Of Airflow's log only what this provider says and what the DAGs print is shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
AIRFLOW = Path(sys.executable).with_name("airflow")
DAY = datetime(2026, 11, 20, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DATABASE = HOME / "audience.sqlite"

#: Airflow's own way to change tasks without touching DAGs: the example looks every five minutes, the demo every 2 s.
POLICY = """
def task_policy(task):
    if task.task_type.endswith("Sensor"):
        task.poke_interval = 2
"""

#: What the demo asks the table in the end, as anybody may.
QUERY = """
SELECT date(bucket_start) AS day, COUNT(DISTINCT stream) AS cameras, COUNT(*) AS hours,
       SUM(passing_by) AS passing_by, SUM(interested) AS interested,
       ROUND(SUM(stop_time * interested) / SUM(interested), 1) AS stop_time
FROM audience_by_hour GROUP BY day ORDER BY day
"""

#: What the command ``airflow`` does, for several command lines.
COMMANDS = """
import json, sys
from airflow.__main__ import main
for words in json.loads(sys.argv[1]):
    print("$ airflow", *words, flush=True)
    sys.argv[1:] = words
    main()
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
            **{f"AIRFLOW_CONN_{id_.upper()}": json.dumps(each) for id_, each in connections(sandbox, HOME).items()},
            "ANGUS_FOLDER": str(HOME / "audience"),
            "PYTHONPATH": str(HOME / "config"),
            "PYTHONWARNINGS": "ignore",
            "NO_COLOR": "1",
            "MPLCONFIGDIR": str(HOME / "matplotlib"),
        }
        sandbox.clock.set(DAY + timedelta(hours=22, minutes=30))
        print(f"A local Angus runs at {sandbox.url}. There it is {sandbox.clock.now():%A %d %B %Y, %H:%M} UTC.")
        print("Airflow prepares its database ...", flush=True)
        migrated = subprocess.run([AIRFLOW, "db", "migrate"], env=env, capture_output=True, text=True, check=False)
        if migrated.returncode:
            print(migrated.stdout, migrated.stderr)
            return migrated.returncode
        # A run for the 21st, at midnight, is the run of the 20th: its data interval ends there.
        with midnight_after(sandbox, looks=2):
            code = run_dag(env, "angus_daily_audience", [DAY + timedelta(days=1)], shows="the day: ")
        tokens, pages = sandbox.count("token"), sandbox.count("entities")
        print(f"\nThe local Angus was asked for {tokens} token and {pages} pages. Exit code {code}.")
        return code or land_a_week(sandbox, env)


def connections(sandbox: Sandbox, home: Path) -> dict[str, dict[str, Any]]:
    """Return the connections of the example DAGs by ID: the sandbox's cameras, and a database in ``home``."""
    ids = ("angus_default", "angus_shop_2", "angus_shop_3")
    cameras = {id_: sandbox.connection(stream) for id_, stream in zip(ids, sandbox.streams, strict=True)}
    return {**cameras, "audience_db": {"conn_type": "sqlite", "host": str(home / DATABASE.name)}}


def land_a_week(sandbox: Sandbox, env: dict[str, str]) -> int:
    """Load three cameras' week into SQLite, day by day and one day twice, ask the table, and draw it."""
    DATABASE.unlink(missing_ok=True)
    sandbox.clock.set(MONDAY + timedelta(minutes=5))
    print(f"\nIn the local Angus the weekend passes; it is {sandbox.clock.now():%A %d %B %Y, %H:%M} UTC.")
    days = [MONDAY - timedelta(days=back) for back in range(6, -1, -1)]
    if code := run_dag(env, "angus_daily_to_sql", [*days, days[3]], shows="Loaded "):
        return code
    print(f"\n$ sqlite3 {DATABASE.relative_to(ROOT)}\n{QUERY.strip()};")
    with contextlib.closing(sqlite3.connect(DATABASE)) as database:
        rows = database.execute(QUERY)
        print("".join(f"{name:>12}" for name, *_ in rows.description))
        for row in rows:
            print("".join(f"{value:>12}" for value in row))
    print(flush=True)
    return run_dag(env, "angus_weekly_report", [MONDAY], shows="The week's picture: ")


def run_dag(env: dict[str, str], dag_id: str, dates: list[datetime], *, shows: str) -> int:
    """Run a DAG for each date, showing what matters of its log; all of it when it fails.

    One process does what as many ``airflow dags test`` would do, for starting Airflow takes longer than these runs.
    """
    commands = [["dags", "test", dag_id, f"{date:%Y-%m-%d}"] for date in dates]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = []
    for line in process.stdout or ():
        log.append(line)
        match = LOG_LINE.match(line)
        if match is None:
            print(line.replace(f"{ROOT}/", ""), end="", flush=True)
        elif "airflow_provider_angus" in match[3] and (len(dates) == 1 or match[2].startswith(shows)):
            print(f"{match[1]}  {match[2]}", flush=True)
    code = process.wait()
    if code == 0 and sum(shows in line for line in log) < len(dates):
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
