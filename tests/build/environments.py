"""Virtual environments with nothing but an Airflow, and the wheel of ``dist`` installed into them."""

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

#: On which Pythons each Airflow is tested, the first of them at greater length.
PYTHONS = {"3": ["3.11", "3.12", "3.13"], "2.11": ["3.11", "3.12"]}

#: What somebody types who installs the provider.
INSTALL = re.search(r"## Install\n\n```shell\n(.*)\n```", (ROOT / "README.md").read_text())[1].split()


def interpreter(version: str) -> str | None:
    """Return the path of a Python that really runs, or None: one on the PATH may be a stand-in of pyenv's."""
    try:
        return subprocess.run(
            [f"python{version}", "-c", "import sys; print(sys.executable)"],
            env=os.environ | {"PYENV_VERSION": version},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


class Environment:
    """A virtual environment with an Airflow as its constraints pin it, and then with the wheel.

    :param folder: an empty folder.
    :param airflow: ``3`` or ``2.11``.
    :param python: the path of an interpreter.
    """

    def __init__(self, folder: Path, airflow: str, python: str) -> None:
        self.folder = folder
        self.bin = folder / "venv" / "bin"
        self._constraints = ROOT / "constraints" / f"airflow-{airflow}.txt"
        outside = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PIP_", "PYTHON"))
        }
        self._env = outside | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
            "VIRTUAL_ENV": str(folder / "venv"),
        }
        self.run(UV, "venv", "--quiet", "--seed", "--python", python, folder / "venv")
        self._install("apache-airflow")
        #: The packages that Airflow brought, each with its version.
        self.before = self.packages()
        # With no index to take anything from: pip itself refuses what Airflow has not brought.
        self.run(*INSTALL, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(DIST), PIP_CONFIG_FILE=os.devnull)
        #: The packages with the wheel.
        self.after = self.packages()

    @contextmanager
    def with_added(self, *what: str | Path) -> Iterator[None]:
        """Install packages as the constraints pin them, and remove them and what they brought."""
        self._install(*what)
        yield
        added = [package.partition("==")[0] for package in self.packages() - self.after]
        if added:
            self.run(UV, "pip", "uninstall", "--quiet", *added)
        assert self.packages() == self.after

    def _install(self, *what: str | Path) -> None:
        self.run(UV, "pip", "install", "--quiet", "--constraint", self._constraints, *what)

    def packages(self) -> set[str]:
        """Return what is installed, as ``name==version``."""
        return set(self.run(self.bin / "pip", "list", "--format", "freeze", "--disable-pip-version-check").split())

    def copy(self, source: Path, *, without: str) -> Path:
        """Copy a folder into the environment's own, without one of its folders."""
        return shutil.copytree(source, self.folder / source.name, ignore=lambda _, names: {without} & set(names))

    def run(self, *words: str | Path, **env: str) -> str:
        """Run a command in the environment and return what it prints; fails with all of that where it fails."""
        done = subprocess.run(words, env=self._env | env, cwd=self.folder, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(f"{' '.join(map(str, words))}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}", pytrace=False)
        return done.stdout


def environments(*, first: bool = False) -> list[object]:
    """Return Airflows and Pythons to run a test with, all of them or only each Airflow's first Python."""
    return [
        pytest.param((airflow, python), id=f"airflow-{airflow}-python-{python}")
        for airflow, pythons in PYTHONS.items()
        for python in (pythons[:1] if first else pythons)
    ]
