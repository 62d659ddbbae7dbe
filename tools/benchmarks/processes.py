"""Run each measurement in a process of its own: it receives a plan and writes its result."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOME = ROOT / ".bench"

#: Runs of each measurement.
REPEATS = 5

#: Seconds after which a process counts as hanging.
PROCESS_TIMEOUT = 300


def run(script: str, plan: Mapping[str, Any], env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a process and return its measurements.

    :param script: the name of the script in this folder, without ``.py``.
    :param plan: the script's argument, as JSON; ``result`` and ``folder`` are added: where to write.
    :param env: more environment variables, such as connections.
    """
    HOME.mkdir(exist_ok=True)
    name = f"{script}-{uuid.uuid4().hex[:8]}"
    result, log_path = HOME / f"{name}.json", HOME / f"{name}.log"
    command = [sys.executable, Path(__file__).with_name(f"{script}.py")]
    command.append(json.dumps({**plan, "result": str(result), "folder": str(HOME)}))
    with log_path.open("w") as log:
        process = subprocess.run(
            command, env=environment(env or {}), stdout=log, stderr=log, timeout=PROCESS_TIMEOUT, check=False
        )
    if process.returncode:
        sys.exit(f"The process ended with exit code {process.returncode}; its log is {log_path}.")
    measured: dict[str, Any] = json.loads(result.read_text())
    result.unlink()
    log_path.unlink()
    return measured


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process: nothing of the shell's Airflow, and a home of its own."""
    # Installed packages have compiled modules. Without this, ours would be compiled in every run.
    unwanted = ("AIRFLOW", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return kept | {"AIRFLOW_HOME": str(HOME), "PYTHONWARNINGS": "ignore"} | dict(more)


def run_alternately(names: Sequence[str], measure: Callable[[str], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Measure each name several times, alternately, so that a slow minute affects all of them."""
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(REPEATS):
        for name in names:
            measured[name].append(measure(name))
    return measured


def ratio(measured: Mapping[str, Sequence[Mapping[str, Any]]], name: str, baseline: str, figure: str) -> float:
    """Return the median ratio of a figure to the baseline's, over runs that followed each other."""
    pairs = zip(measured[name], measured[baseline], strict=True)
    return statistics.median(mine[figure] / theirs[figure] for mine, theirs in pairs)
