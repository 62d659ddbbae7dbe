"""How one thing is measured: in a process of its own, a side, which is told what to do and writes what that took."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOME = ROOT / ".bench"

#: How often each thing is measured.
REPEATS = 5

#: In seconds: what takes longer hangs.
GIVE_UP_AFTER = 300


def run(side: str, plan: Mapping[str, Any], env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run one process and return what it measured.

    :param side: the name of its script beside this one.
    :param plan: what it is told, as JSON; ``result`` and ``folder`` are added: where to write.
    :param env: more environment variables for it, such as connections.
    """
    HOME.mkdir(exist_ok=True)
    result, log_path = HOME / f"{side}.json", HOME / f"{side}.log"
    result.unlink(missing_ok=True)
    command = [sys.executable, Path(__file__).with_name(f"{side}.py")]
    command.append(json.dumps({**plan, "result": str(result), "folder": str(HOME)}))
    with log_path.open("w") as log:
        process = subprocess.run(
            command, env=environment(env or {}), stdout=log, stderr=log, timeout=GIVE_UP_AFTER, check=False
        )
    if process.returncode:
        sys.exit(f"The process ended with exit code {process.returncode}, see {log_path}.")
    measured: dict[str, Any] = json.loads(result.read_text())
    return measured


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a side: no Airflow of this shell's, a home of its own."""
    # Without compiled modules, which installed packages have, ours would be compiled anew each time.
    unwanted = ("AIRFLOW", "PYTHONDONTWRITEBYTECODE")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return mine | {"AIRFLOW_HOME": str(HOME), "PYTHONWARNINGS": "ignore"} | dict(more)


def in_turns(names: Sequence[str], measure: Callable[[str], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Measure each of some things several times, in turns, so that a slow minute is everybody's."""
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(REPEATS):
        for name in names:
            measured[name].append(measure(name))
    return measured


def ratio(measured: Mapping[str, Sequence[Mapping[str, Any]]], one: str, other: str, figure: str) -> float:
    """Return how many times as much one thing took as another: the median over runs that followed each other."""
    pairs = zip(measured[one], measured[other], strict=True)
    return statistics.median(mine[figure] / theirs[figure] for mine, theirs in pairs)
