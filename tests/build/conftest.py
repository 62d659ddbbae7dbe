"""Fixtures for tests of the wheel and the sdist that ``make build`` has written to ``dist``.

These tests run without Airflow, so pytest must not load the ``conftest.py`` of the other tests (``--confcutdir``).
"""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from clean_environments import DIST, Environment
from interpreters import interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The environment of an Airflow and a Python. Skips the test if this Python is not installed."""
    airflow, version = request.param
    python = interpreter(version)
    if not python:
        pytest.skip(f"no Python {version} on the PATH")
    folder = tmp_path_factory.mktemp(f"airflow-{airflow}-python-{version}-", numbered=False)
    yield Environment(folder, airflow, python)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The path of the wheel."""
    (wheel,) = DIST.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked sdist."""
    (sdist,) = DIST.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source
