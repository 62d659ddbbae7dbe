"""The pytest plugin in a pytest of its own, as users have it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from airflow_provider_angus import pytest_plugin
from airflow_provider_angus.api.auth import SHARED_TOKENS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.thorough

#: Without a fixture, pytest has imported only the plugin and the package, which hold no other module of ours.
UNUSED = """
import sys

def test_modules():
    packages = {"airflow", "airflow_provider_angus"}
    assert {name for name in sys.modules if name.partition(".")[0] in packages} == {
        "airflow_provider_angus",
        "airflow_provider_angus.pytest_plugin",
    }
"""

TWO_TESTS = """
import urllib.error
import urllib.request

import pytest

earlier = []

@pytest.mark.parametrize("number", [0, 1])
def test_sandbox(angus_sandbox, number):
    assert angus_sandbox.calls == []
    if number:
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(earlier[0], timeout=5)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(angus_sandbox.url, timeout=5)
    earlier.append(angus_sandbox.url)
"""


def run_pytest(folder: Path, code: str) -> str:
    """Run a test file outside of this project and return the output of pytest."""
    (folder / "test_own.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_own.py"]
    process = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stdout
    return process.stdout


def test_plugin_unused_imports_nothing(tmp_path: Path) -> None:
    assert "1 passed" in run_pytest(tmp_path, UNUSED)


def test_fixture_starts_a_sandbox_for_each_test(tmp_path: Path) -> None:
    """Also for the example in its docstring."""
    (example,) = re.findall(r"Example::\n(.*)\n *:returns:", inspect.getsource(pytest_plugin), re.DOTALL)
    imports = "from airflow_provider_angus.hooks import AngusHook\n"
    assert "3 passed" in run_pytest(tmp_path, imports + textwrap.dedent(example) + TWO_TESTS)


def test_fixture_drops_tokens_of_earlier_tests(request: pytest.FixtureRequest) -> None:
    SHARED_TOKENS.put("key", "token")
    request.getfixturevalue("angus_sandbox")
    assert SHARED_TOKENS.get("key") is None
