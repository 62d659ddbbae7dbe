"""``make ui``: a local Airflow to try things in by hand, until Ctrl-C.

``airflow standalone`` beside a local Angus, with connections to its cameras (saved, as in Admin -> Connections) and the
example DAGs. Everybody who reaches it is its administrator, so it listens on this machine only. What it has seen is
kept in the clone's ``.ui`` from one start to the next; the connections are made anew, for the local Angus is.
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
STARTS_WITHIN = 300.0
ENDS_WITHIN = 30.0


def main() -> int:
    """Serve until Ctrl-C or SIGTERM and return the exit code."""
    # Both, and by hand: a shell starts what runs in the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Sandbox() as sandbox:
            print("Airflow starts; that takes half a minute ...", flush=True)
            with standalone(HOME, sandbox) as url:
                print(_welcome(url, sandbox), flush=True)
                signal.pause()
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
    return 0


def _welcome(url: str, sandbox: Sandbox) -> str:
    return f"""
Airflow: {url} (no login). Ctrl-C stops it.

  Admin -> Connections   angus_default, angus_shop_2 and angus_shop_3 are the cameras of a local Angus at {sandbox.url},
                         audience_db is an SQLite file. Their Test buttons work.
  Dags                   the examples, paused: a switch starts them, or trigger one for a day of the past.

Files, database and logs are in {HOME.relative_to(ROOT)}/; all that Airflow's processes say is in standalone.out there.
"""


@contextlib.contextmanager
def standalone(home: Path, sandbox: Sandbox, settings: dict[str, str] | None = None, port: int = 8080) -> Iterator[str]:
    """Run ``airflow standalone`` with the example DAGs and their connections, and end all its processes.

    :param home: Airflow's home, a folder; what is there already is gone on with.
    :param sandbox: the local Angus that the connections lead to.
    :param settings: more environment variables for all processes.
    :param port: the web server's; where it is taken, any that is free, as with 0.
    :returns: a context manager whose value is the URL, which answers when the context is entered.
    :raises RuntimeError: Airflow has ended or not answered in time; the message is the end of its output.
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
            start_new_session=True,  # a terminal's Ctrl-C is ours to pass on
        )
        try:
            _wait_for(url, process, home)
            yield url
        finally:
            started = started_by(process)
            # Airflow ends its parts when it is interrupted; when it is terminated it leaves them alone.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_WITHIN)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kill(started)


def started_by(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return what a process has started and what that has, also in groups of their own, as Airflow 2 has some."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """Kill those that are still there."""
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


def _environment(home: Path, port: int) -> dict[str, str]:
    """Return the variables of all of Airflow's processes; of Airflow 2 and 3 each ignores what the other's are."""
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


def _free_port(wished: int = 0) -> int:
    """Return a port that is free: the wished one, where it is."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("127.0.0.1", wished))
        except OSError:
            free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _prepare(home: Path, sandbox: Sandbox, env: dict[str, str], output: object) -> None:
    """Make the database and save the connections, in one process."""
    saved = home / "connections.json"
    saved.touch(mode=0o600)
    saved.write_text(json.dumps({id_: with_port(each) for id_, each in connections(sandbox, home).items()}))
    commands = [["db", "migrate"], ["connections", "import", "--overwrite", str(saved)]]
    words = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
    try:
        code = subprocess.run(words, env=env, stdout=output, stderr=output, check=False).returncode
    finally:
        saved.unlink()
    if code:
        raise RuntimeError(_end_of_output(home))


def with_port(connection: dict[str, Any]) -> dict[str, Any]:
    """Return a connection whose port stands in the field of its own, where the Test button of Airflow 3.3 needs it."""
    parts = urlsplit(connection["host"])
    return connection | {"host": f"{parts.scheme}://{parts.hostname}", "port": parts.port} if parts.port else connection


def _wait_for(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):  # noqa: S310 (our own http)
            return
        time.sleep(0.2)
    raise RuntimeError(_end_of_output(home))


def _end_of_output(home: Path) -> str:
    output = (home / "standalone.out").read_text(errors="replace")
    return "Airflow did not start:\n" + "\n".join(output.splitlines()[-30:])


if __name__ == "__main__":
    sys.exit(main())
