"""``make demo``: fetch a day from the sandbox with an example DAG, then load a week into SQL and plot it.

The demo runs ``airflow db migrate`` and ``airflow dags test`` with the Airflow home ``.demo``. It prints the output of
the DAGs and the provider's lines of the Airflow log.
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

#: A cluster policy: check every 2 seconds instead of every 5 minutes.
POLICY = """
def task_policy(task):
    if task.task_type.endswith("Sensor"):
        task.poke_interval = 2
"""

#: The query that the demo runs after the load.
QUERY = """
SELECT date(bucket_start) AS day, COUNT(DISTINCT stream) AS cameras, COUNT(*) AS hours,
       SUM(passing_by) AS passing_by, SUM(interested) AS interested,
       ROUND(SUM(stop_time * interested) / SUM(interested), 1) AS stop_time
FROM audience_by_hour GROUP BY day ORDER BY day
"""

#: Runs several ``airflow`` commands in one process.
COMMANDS = """
import json, sys
from airflow.__main__ import main
for arguments in json.loads(sys.argv[1]):
    print("$ airflow", *arguments, flush=True)
    sys.argv[1:] = arguments
    main()
"""

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\S+ \[\w+ *\] (.*?) +\[([\w.]+)\] ")


def main() -> int:
    """Run the demo and return the exit code."""
    (HOME / "config").mkdir(parents=True, exist_ok=True)
    (HOME / "config" / "airflow_local_settings.py").write_text(POLICY)
    with Sandbox() as sandbox:
        env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
            "AIRFLOW_HOME": str(HOME),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **{
                f"AIRFLOW_CONN_{id_.upper()}": json.dumps(connection)
                for id_, connection in connections(sandbox, HOME).items()
            },
            "ANGUS_FOLDER": str(HOME / "audience"),
            "PYTHONPATH": str(HOME / "config"),
            "PYTHONWARNINGS": "ignore",
            "NO_COLOR": "1",
            "MPLCONFIGDIR": str(HOME / "matplotlib"),
        }
        sandbox.clock.set(DAY + timedelta(hours=22, minutes=30))
        print(f"Local Angus server: {sandbox.url}. Its time is {sandbox.clock.now():%A %d %B %Y, %H:%M} UTC.")
        print("Creating the Airflow database ...", flush=True)
        migrated = subprocess.run([AIRFLOW, "db", "migrate"], env=env, capture_output=True, text=True, check=False)
        if migrated.returncode:
            print(migrated.stdout, migrated.stderr)
            return migrated.returncode
        # The data interval of the run of the 21st is the 20th.
        with midnight_after(sandbox, requests=2):
            code = run_dag(env, "angus_daily_audience", [DAY + timedelta(days=1)], shows="the day: ")
        tokens, pages = sandbox.count("token"), sandbox.count("entities")
        print(f"\nRequests: {tokens} for tokens, {pages} for entities. Exit code: {code}.")
        return code or load_week(sandbox, env)


def connections(sandbox: Sandbox, home: Path) -> dict[str, dict[str, Any]]:
    """Return the connections of the example DAGs by ID: the sandbox's streams and a SQLite database in ``home``."""
    ids = ("angus_default", "angus_shop_2", "angus_shop_3")
    cameras = {id_: sandbox.connection(stream) for id_, stream in zip(ids, sandbox.streams, strict=True)}
    return {**cameras, "audience_db": {"conn_type": "sqlite", "host": str(home / DATABASE.name)}}


def load_week(sandbox: Sandbox, env: dict[str, str]) -> int:
    """Load a week of three streams into SQLite, one of the days twice. Query the table, plot the week."""
    DATABASE.unlink(missing_ok=True)
    sandbox.clock.set(MONDAY + timedelta(minutes=5))
    print(f"\nThe time of the local Angus server is now {sandbox.clock.now():%A %d %B %Y, %H:%M} UTC.")
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
    return run_dag(env, "angus_weekly_report", [MONDAY + timedelta(days=1)], shows="The week's picture: ")


def run_dag(env: dict[str, str], dag_id: str, dates: list[datetime], *, shows: str) -> int:
    """Run a DAG for each date in one process, because starting Airflow takes longer than a run.

    :param env: the environment variables of the process.
    :param dag_id: the DAG.
    :param dates: the logical dates.
    :param shows: the start of the log line that each run must write. With several dates, only these lines are printed.
    :returns: the exit code. The log is printed if it is not 0.
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
def midnight_after(sandbox: Sandbox, *, requests: int) -> Iterator[None]:
    """Set the sandbox's clock to midnight after a number of requests for entities."""
    stopped = threading.Event()

    def watch() -> None:
        while sandbox.count("entities") < requests:
            if stopped.wait(0.1):
                return
        sandbox.clock.set(DAY + timedelta(days=1, minutes=5))
        print("          (the local Angus server's clock passes midnight)", flush=True)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
