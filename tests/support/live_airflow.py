"""Run Airflow with its scheduler and triggerer in separate processes. Tests read its database and logs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ui
from airflow_versions import AIRFLOW_3
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Callable

COMPONENTS = ["api-server", "dag-processor", "triggerer"] if AIRFLOW_3 else ["triggerer"]


@dataclass(frozen=True)
class Task:
    """A task instance: its state, its tries and its logs.

    On a busy machine, Airflow's executor sometimes reports that a task has ended that still runs ("reported that the
    task instance ... finished ..., but"). Airflow counts a try for such a report. ``tries`` does not.
    """

    state: str | None
    tries: int
    worker_log: str
    trigger_log: str


class LiveAirflow:
    """An Airflow that runs the DAGs of a folder from ``start_all`` to ``close``.

    :param home: Airflow's home, an empty folder.
    :param dags: the folder of the DAGs.
    :param env: additional environment variables of all processes, such as connections.
    :param database: the SQLAlchemy URL of an empty metadata database. None: SQLite in ``home``; Airflow 2 then runs one
        task at a time.
    """

    def __init__(self, home: Path, dags: Path, env: dict[str, str], database: str | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.home = home
        url = database or f"sqlite:///{home}/airflow.db"
        self._database = create_engine(url, poolclass=NullPool)
        self._env = (
            {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
            | {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__API__PORT": str(self._port),
                "AIRFLOW__API__WORKERS": "1",
                "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of at least 32 bytes for tests",
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor" if AIRFLOW_3 or database else "SequentialExecutor",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__CORE__PARALLELISM": "4",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
                "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
                "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
                "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
                "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
                "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3",
                "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
                # Seconds until Airflow 3.3 notices that a task's process has ended. The default is 5.
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
                "HOME": str(home),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONWARNINGS": "ignore",
            }
            | env
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.run("db", "migrate")

    def run(self, *arguments: str) -> None:
        """Run an ``airflow`` command and wait for its end."""
        subprocess.run(self._command(*arguments), env=self._env, check=True, capture_output=True)

    def start_all(self) -> None:
        """Start all processes."""
        for command in COMPONENTS:
            self.start(command)
        # Airflow fails a task that cannot reach the API server.
        if AIRFLOW_3:
            self.wait_for_api()
        self.start("scheduler")

    def wait_for_api(self) -> None:
        """Wait until the API server accepts connections.

        :raises TimeoutError: with the server's output.
        """
        if not self.wait_until(self._api_is_up, 180):
            raise TimeoutError((self.home / "api-server.out").read_text(errors="replace"))

    def _api_is_up(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self._port)) == 0

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *arguments]

    def start(self, name: str, *command: str) -> None:
        """Start a process of Airflow. Its command is its name, such as ``triggerer``, unless another is given."""
        with (self.home / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                self._command(*(command or (name,))),
                env=self._env | {"HOSTNAME": name},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a process of Airflow and all that it has started with SIGKILL."""
        process = self._processes.pop(name)
        started = ui.started_by(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ui.kill(started)

    def close(self) -> None:
        """Terminate all processes. Kill those that do not end within 20 seconds."""
        started = [child for process in self._processes.values() for child in ui.started_by(process)]
        for process in self._processes.values():
            process.terminate()
        for name, process in list(self._processes.items()):
            # Only the scheduler of Airflow 2 itself can end its children in other process groups.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                self.kill(name)
        ui.kill(started)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query of the metadata database. Each ``?`` is a placeholder for a value."""
        if self._database.dialect.name == "postgresql":
            sql = sql.replace("%", "%%").replace("?", "%s")
        with self._database.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql, values)]

    def task(self, dag_id: str, task_id: str = "wait") -> Task:
        """Return the task of a DAG with one run. Its state is None before the run exists."""
        found = self.query(
            "SELECT state, try_number FROM task_instance WHERE (dag_id, task_id) = (?, ?)", dag_id, task_id
        )
        state, tries = found[0] if found else (None, 0)
        logs: dict[bool, str] = {False: "", True: ""}
        for path in sorted((self.home / "logs" / f"dag_id={dag_id}").rglob("*.log*")):
            logs[".trigger." in path.name] += path.read_text(errors="replace")
        scheduler = (self.home / "scheduler.out").read_text(errors="replace")
        # A report during the last try leads to no further try. Lines of tasks may stand between these two lines.
        report = (
            rf"reported that the task instance <TaskInstance: {dag_id}\.{task_id} .*\n(?:.*\n){{0,20}}?"
            rf".*Marking task as UP_FOR_RETRY\. dag_id={dag_id}, task_id={task_id},"
        )
        return Task(state, tries - len(re.findall(report, scheduler)), logs[False], logs[True])

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition is true, at most this long. Return whether it is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.2)
        return condition()
