"""A pytest plugin that records which features of ``tools/versions.py`` this version of Airflow has."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from versions import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

#: The start of the reason of a skip because of the version of Airflow.
NEEDS = "Needs Airflow"


class SeenFeatures:
    """Writes the features whose tests ran, if no test failed.

    A version has a feature if the tests of the feature passed. It lacks the feature if they were skipped because of the
    version. Tests that were skipped for another reason do not count.

    :param folder: for the file, whose name has the versions of Airflow and Python.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, set[bool]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a test. pytest-xdist passes the reports of all processes."""
        lacks = report.skipped and NEEDS in str(report.longrepr)
        if lacks or (report.when == "call" and report.passed):
            for name, feature in FEATURES.items():
                if report.nodeid.startswith(feature.tests):
                    self._seen.setdefault(name, set()).add(not lacks)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the file.

        :raises ValueError: some tests of a feature passed, others need another version.
        """
        if exitstatus == pytest.ExitCode.OK:
            if mixed := [name for name, seen in self._seen.items() if len(seen) > 1]:
                raise ValueError(f"Some tests of {mixed} need another version. Name fewer tests in tools/versions.py.")
            airflow, python = (
                ".".join(text.split(".")[:2]) for text in (version("apache-airflow"), platform.python_version())
            )
            self._folder.mkdir(parents=True, exist_ok=True)
            session = {
                "airflow": airflow,
                "python": python,
                "features": {name: True in seen for name, seen in self._seen.items()},
            }
            (self._folder / f"airflow-{airflow}-python-{python}.json").write_text(json.dumps(session, indent=1))
