"""``python -m airflow_provider_angus.sandbox`` as a process."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from threading import Timer
from typing import TYPE_CHECKING

import pytest
import requests

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "airflow_provider_angus.sandbox"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    arguments = [*COMMAND, "--port", "0", "--page-size", "5", "--latency", "0.001"]
    # With Python's default buffering, a missing flush makes the test fail.
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        # A missing line must make the test fail, not block it.
        deadline = Timer(10, process.kill)
        deadline.start()
        yield process
        deadline.cancel()
        process.kill()


def read_until(process: subprocess.Popen[str], start: str) -> str:
    assert process.stdout
    return next(line.strip() for line in process.stdout if line.strip().startswith(start))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cli_prints_a_connection_and_stops_on_signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """The log contains only known parameters: others may contain a secret."""
    printed = json.loads(read_until(process, "{"))
    (assignment,) = shlex.split(read_until(process, "export").removeprefix("export "))
    name, _, value = assignment.partition("=")
    assert (name, json.loads(value)) == ("AIRFLOW_CONN_ANGUS_DEFAULT", printed)

    body = {
        "username": printed["login"],
        "client_id": printed["extra"]["client_id"],
        "access_token": printed["password"],
    }
    response = requests.post(f"{printed['extra']['console_url']}/api-token-authstream/", json=body, timeout=5)
    assert read_until(process, "200") == "200 POST /api-token-authstream/"
    query = {"metrics": "gender", "from_date": "2017-09-03T00:00Z", "time": "by_day", "access_token": "leaked"}
    headers = {"Authorization": f"Bearer {response.json()['token']}"}
    page = requests.get(f"{printed['host']}/api/1/entities", params=query, headers=headers, timeout=5).json()
    assert len(page["entities"]) == 5
    assert read_until(process, "200") == "200 GET /api/1/entities by_day 2017-09-03T00:00Z"

    process.send_signal(number)
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")


def test_cli_with_used_port_prints_one_line() -> None:
    with Sandbox() as sandbox:
        port = sandbox.url.rpartition(":")[2]
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert port in done.stderr
    assert "in use" in done.stderr


@pytest.mark.parametrize("options", [["--port", "70000"], ["--page-size", "0"]])
def test_cli_with_impossible_option_prints_one_line(options: list[str]) -> None:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
