"""``make compat``: run the tests with one version of Airflow and Python, in a virtual environment of their own.

    tools/compat.py airflow-3.0-python-3.12

If the interpreter is missing, the tests are skipped, or fail if ANGUS_TEST_REQUIRE names it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from interpreters import interpreter

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
REQUIRED = os.environ.get("ANGUS_TEST_REQUIRE", "").split(",")

#: Connection forms of Airflow 3.0 and 3.1 need the provider.
PACKAGES = {version: ["apache-airflow-providers-fab"] for version in ("3.0", "3.1")}

#: Tests that import no Airflow. They run with each Python, on the newest Airflow.
WITHOUT_AIRFLOW = [f"--ignore=tests/unit/{folder}" for folder in ("api", "model", "sandbox")]


def install(venv: Path, python: str, airflow: str) -> None:
    """Create the virtual environment, unless it is up to date."""
    constraints = ROOT / "constraints" / f"airflow-{airflow}.txt"
    installed = venv / "tested"
    sources = (constraints, ROOT / "pyproject.toml")
    if installed.exists() and installed.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return
    pip = [UV, "pip", "install", "--quiet", "--python", venv, "--constraint", constraints]
    for command in (
        [UV, "venv", "--quiet", "--clear", "--python", python, venv],
        # The build requirements come from the constraints too.
        [*pip, "hatchling", "editables", *PACKAGES.get(airflow, [])],
        [*pip, "--no-build-isolation-package", "airflow-provider-angus", "--editable", ".[dev]"],
    ):
        subprocess.run(command, check=True, cwd=ROOT)
    installed.touch()


def main(name: str) -> int:
    """Run the tests and return the exit code."""
    airflow, version = re.fullmatch(r"airflow-(.+)-python-(.+)", name).groups()
    python = interpreter(version)
    if python is None:
        required = f"python{version}" in REQUIRED
        result = "Failed, because ANGUS_TEST_REQUIRE names the interpreter" if required else "Skipped"
        print(f"Airflow {airflow}: {result}: no python{version} on the PATH. Install it, for example with pyenv.")
        return int(required)
    venv = ROOT / f".venv-{name}"
    install(venv, python, airflow)
    print(f"Airflow {airflow} with Python {version}:", flush=True)
    ignored = [] if airflow == "3" else WITHOUT_AIRFLOW
    return subprocess.run([venv / "bin" / "python", "-m", "pytest", *ignored], check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
