"""Airflow as a cluster on this machine: CeleryExecutor with Redis, and two of each process that a test may kill."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
from databases import REQUIRED
from live_airflow import LiveAirflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Tasks that a worker runs at a time.
CONCURRENCY = 3
WORKERS = ["worker-1", "worker-2"]
#: The processes with a row in Airflow's table of jobs.
JOBS = ["dag-processor", "triggerer-1", "triggerer-2", "scheduler-1", "scheduler-2"]

#: Seconds without a heartbeat after which Airflow and Celery give up a process. With the defaults (30 seconds to 24
#: hours), other processes take over just as well, but a test would take 10 minutes. Below 15 seconds, a busy machine
#: makes a process look dead that is not.
TIMEOUTS = {
    # A task whose worker has died is retried. The default is 300.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # Another scheduler adopts the tasks of a dead scheduler. The defaults are 30 and 300.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    # Another triggerer takes over the triggers. The default is 30.
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    # A task is queued again if its worker died before it started the task. The defaults are 600 and 120.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "90",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    # Celery sends the messages of a dead worker to another. The default is 86400. It must exceed the longest task.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
}


class Cluster(LiveAirflow):
    """An Airflow with two workers, two triggerers and two schedulers. Each process has a host name of its own.

    The log folder is shared, as with a volume or a remote log store.

    :param home: Airflow's home, a folder with the folder ``dags``.
    :param env: additional environment variables of all processes.
    :param database: the SQLAlchemy URL of an empty PostgreSQL database.
    :param broker: the URL of a Redis database.
    """

    def __init__(self, home: Path, env: dict[str, str], database: str, broker: str) -> None:
        settings = TIMEOUTS | {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(CONCURRENCY),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "cluster_host.name",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
            "AIRFLOW__CORE__PARALLELISM": "16",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "PYTHONPATH": str(Path(__file__).parent),
        }
        super().__init__(home, home / "dags", settings | env, database)

    def start_all(self) -> None:
        """Start the processes that do not run, and wait until all are ready."""
        self._start_missing("api-server", *WORKERS, *JOBS[:3])
        self.wait_for_api()
        self._start_missing(*JOBS[3:])
        if not self.wait_until(lambda: not self._missing(), 180):
            raise TimeoutError(f"Not ready: {', '.join(self._missing())}. Their output is in {self.home}.")

    def _start_missing(self, *names: str) -> None:
        for name in names:
            if name not in self._processes:
                self.start(name)

    def start(self, name: str, *command: str) -> None:
        """Start a process by its host name, such as ``worker-1``."""
        role = name.rstrip("-12")
        commands = {
            "worker": ("celery", "worker", "--celery-hostname", name, "--skip-serve-logs", "--without-gossip"),
            "triggerer": ("triggerer", "--skip-serve-logs"),
        }
        super().start(name, *(command or commands.get(role, (role,))))

    def _missing(self) -> set[str]:
        alive = self.query("SELECT hostname FROM job WHERE latest_heartbeat > now() - interval '10 seconds'")
        return {*JOBS, *WORKERS} - {name for (name,) in alive} - set(filter(self._is_ready, WORKERS))

    def _is_ready(self, worker: str) -> bool:
        return f"{worker} ready." in (self.home / f"{worker}.out").read_text(errors="replace")

    def kill(self, name: str) -> None:
        """Kill a process and all that it has started with SIGKILL, as if its machine had failed."""
        super().kill(name)
        (self.home / f"{name}.out").rename(self.home / f"{name}.killed.out")

    def memory(self, name: str) -> int:
        """Return the bytes of memory of a process and all that it has started, without memory shared with others."""
        process, total = psutil.Process(self._processes[name].pid), 0
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                total += each.memory_full_info().pss
        return total

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request to Airflow's REST API. ``arguments`` are those of ``requests``."""
        response = requests.request(method, f"{self.url}/api/v2/{path}", headers=self._headers, timeout=60, **arguments)
        response.raise_for_status()
        return response

    @cached_property
    def _headers(self) -> dict[str, str]:
        token = requests.get(f"{self.url}/auth/token", timeout=60).json()["access_token"]
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until a condition is true.

        :raises TimeoutError: it is not after this time. The message has the states of all tasks.
        """
        if not self.wait_until(condition, seconds):
            states = self.query(
                "SELECT dag_id, task_id, state, count(*) FROM task_instance GROUP BY 1, 2, 3 ORDER BY 1"
            )
            raise TimeoutError(f"Not within {seconds} s. Task instances: {states}")


@contextmanager
def own_redis(folder: Path) -> Iterator[str]:
    """Run a Redis server and yield the URL of its database. Skips the test without Redis."""
    program = shutil.which("redis-server")
    if program is None:
        reason = "redis-server not found. Install the Debian package redis-server."
        pytest.fail(reason) if "redis" in REQUIRED else pytest.skip(reason)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    arguments = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        try:
            output = iter(server.stdout or "")
            if not any("Ready to accept connections" in line for line in output):
                raise RuntimeError(f"redis-server on port {port} ended with exit code {server.wait()}.")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()
