"""``make ui``: run a local Airflow with the example DAGs until Ctrl-C.

The script starts the sandbox and ``airflow standalone``, and saves connections to the sandbox's streams. All users are
administrators, so Airflow listens on 127.0.0.1 only. Airflow's home is ``.ui`` and is kept between runs. The
connections are replaced at each start.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
from demo import COMMANDS, ROOT, connections

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = ROOT / ".ui"
START_TIMEOUT = 300.0
STOP_TIMEOUT = 30.0


def main() -> int:
    """Run until Ctrl-C or SIGTERM and return the exit code."""
    # Shells start background processes with SIGINT ignored, so set both handlers.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Sandbox() as sandbox:
            print("Starting Airflow (about 30 seconds) ...", flush=True)
            with standalone(HOME, sandbox) as url:
                print(_welcome(url, sandbox), flush=True)
                signal.pause()
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
    return 0


def _welcome(url: str, sandbox: Sandbox) -> str:
    return f"""
Airflow: {url} (no login). Ctrl-C stops it.

  Admin -> Connections   angus_default, angus_shop_2 and angus_shop_3 are streams of the local Angus server at
                         {sandbox.url}. audience_db is a SQLite file. Their Test buttons work.
  Dags                   The example DAGs are paused. Unpause a DAG, or trigger it for a day in the past.

Files, database and logs: {HOME.relative_to(ROOT)}/. Output of Airflow: {HOME.relative_to(ROOT)}/standalone.out.
"""


@contextlib.contextmanager
def standalone(home: Path, sandbox: Sandbox, settings: dict[str, str] | None = None, port: int = 8080) -> Iterator[str]:
    """Run ``airflow standalone`` with the example DAGs and connections, then stop all its processes.

    :param home: Airflow's home. An existing folder is reused.
    :param sandbox: the local Angus server of the connections.
    :param settings: additional environment variables for all processes.
    :param port: the port of the web server. 0 selects a free port; so does a port that is in use.
    :returns: a context manager. Its value is the URL of the running web server.
    :raises RuntimeError: Airflow stopped or did not respond in time. The message holds the end of the output.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port(port)
    url = f"http://127.0.0.1:{port}"
    env = _environment(home, port) | (settings or {})
    with (home / "standalone.out").open("w") as output:
        _prepare(home, sandbox, env, output)
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,  # do not send the terminal's Ctrl-C to Airflow
        )
        try:
            _wait_for(url, process, home)
            yield url
        finally:
            started = started_by(process)
            # Airflow stops its subprocesses on SIGINT, but not on SIGTERM.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kill(started)


def started_by(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return all descendants of a process, including those in other process groups (Airflow 2 has some)."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """Kill the processes that still run."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _environment(home: Path, port: int) -> dict[str, str]:
    """Return the environment variables of Airflow. Airflow 2 and 3 ignore each other's variables."""
    url = f"http://127.0.0.1:{port}"
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(_free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_free_port()),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__WEBSERVER__BASE_URL": url,
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
        "AIRFLOW__WEBSERVER__WORKERS": "1",
        "ANGUS_FOLDER": str(home / "audience"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
    }


def _free_port(preferred: int = 0) -> int:
    """Return a free port, if possible the preferred port."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", preferred))
        except OSError:
            server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _prepare(home: Path, sandbox: Sandbox, env: dict[str, str], output: object) -> None:
    """Migrate the database and save the connections."""
    file = home / "connections.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({id_: with_port(each) for id_, each in connections(sandbox, home).items()}))
    commands = [["db", "migrate"], ["connections", "import", "--overwrite", str(file)]]
    arguments = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
    try:
        code = subprocess.run(arguments, env=env, stdout=output, stderr=output, check=False).returncode
    finally:
        file.unlink()
    if code:
        raise RuntimeError(_end_of_output(home))


def with_port(connection: dict[str, Any]) -> dict[str, Any]:
    """Move the port from the host to the field ``port``, because the Test button of Airflow 3.3 needs it."""
    parts = urlsplit(connection["host"])
    return connection | {"host": f"{parts.scheme}://{parts.hostname}", "port": parts.port} if parts.port else connection


def _wait_for(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    end = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):  # noqa: S310 (a local URL)
            return
        time.sleep(0.2)
    raise RuntimeError(_end_of_output(home))


def _end_of_output(home: Path) -> str:
    output = (home / "standalone.out").read_text(errors="replace")
    return "Airflow did not start:\n" + "\n".join(output.splitlines()[-30:])


if __name__ == "__main__":
    sys.exit(main())
