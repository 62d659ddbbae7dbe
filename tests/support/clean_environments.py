"""Clean virtual environments with Airflow, into which the wheel of ``dist`` is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
UV = Path(sys.executable).with_name("uv")

#: The tested Python versions of each Airflow. The first one runs more tests.
PYTHONS = {"3": ["3.11", "3.12", "3.13"], "2.11": ["3.11", "3.12"]}

#: The command that the README gives to install the provider.
INSTALL = re.search(r"^(pip install .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)[1].split()


class Environment:
    """A virtual environment with Airflow, pinned by its constraints, and the wheel.

    :param folder: an empty folder.
    :param airflow: ``3`` or ``2.11``.
    :param python: the path of an interpreter.
    """

    def __init__(self, folder: Path, airflow: str, python: str) -> None:
        self.folder, self.airflow = folder, airflow
        self.bin = folder / "venv" / "bin"
        self._constraints = ROOT / "constraints" / f"airflow-{airflow}.txt"
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PIP_", "PYTHON"))
        }
        self._env = inherited | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
            "VIRTUAL_ENV": str(folder / "venv"),
        }
        self.run(UV, "venv", "--quiet", "--seed", "--python", python, folder / "venv")
        self._install("apache-airflow")
        #: The packages before the installation of the wheel, as ``name==version``.
        self.before = self.packages()
        # Without an index, pip fails if the wheel needs a package that Airflow does not have.
        self.run(*INSTALL, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(DIST), PIP_CONFIG_FILE=os.devnull)
        #: The packages after the installation of the wheel, as ``name==version``.
        self.after = self.packages()

    @contextmanager
    def with_packages(self, *packages: str | Path) -> Iterator[None]:
        """Install packages, pinned by the constraints, and uninstall them and their dependencies afterwards."""
        self._install(*packages)
        yield
        added = [package.partition("==")[0] for package in self.packages() - self.after]
        if added:
            self.run(UV, "pip", "uninstall", "--quiet", *added)
        assert self.packages() == self.after

    def _install(self, *packages: str | Path) -> None:
        self.run(UV, "pip", "install", "--quiet", "--constraint", self._constraints, *packages)

    def packages(self) -> set[str]:
        """Return the installed packages as ``name==version``."""
        return set(self.run(self.bin / "pip", "list", "--format", "freeze", "--disable-pip-version-check").split())

    def copy(self, source: Path, *, without: str) -> Path:
        """Copy a folder into the environment's folder, without one of its subfolders."""
        return shutil.copytree(source, self.folder / source.name, ignore=lambda _, names: {without} & set(names))

    def run(self, *command: str | Path, **env: str) -> str:
        """Run a command in the environment and return its output. Fail with the output if the command fails."""
        process = subprocess.run(
            command, env=self._env | env, cwd=self.folder, check=False, capture_output=True, text=True
        )
        if process.returncode:
            output = f"{process.stdout[-5000:]}\n{process.stderr[-5000:]}"
            pytest.fail(f"{' '.join(map(str, command))}\n{output}", pytrace=False)
        return process.stdout


def environments(*, first: bool = False) -> list[object]:
    """Return test parameters: each Airflow with all of its Python versions, or only with the first."""
    return [
        pytest.param((airflow, python), id=f"airflow-{airflow}-python-{python}")
        for airflow, pythons in PYTHONS.items()
        for python in (pythons[:1] if first else pythons)
    ]
