"""The tested versions of the dependencies have no known vulnerabilities."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from outcome_table import Record

ROOT = Path(__file__).resolve().parent.parent.parent
AUDIT = ROOT / ".venv-build" / "bin" / "pip-audit"


def test_dependencies_have_no_known_vulnerability(tmp_path: Path, record: Record) -> None:
    if not AUDIT.exists():
        pytest.skip("pip-audit is missing: make hostile installs it")
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[<>=~!]", dependency)[0] for dependency in dependencies}
    constraints = (ROOT / "constraints" / "airflow-3.txt").read_text().splitlines()
    pinned = [line for line in constraints if line.partition("==")[0] in names]
    assert len(pinned) == len(names)
    (tmp_path / "pinned.txt").write_text("\n".join(pinned))
    command = [AUDIT, "--no-deps", "--disable-pip", "--format", "json", "-r", tmp_path / "pinned.txt"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if not process.stdout:
        pytest.skip(f"pip-audit failed: {process.stderr.strip()[-200:]}")
    results = json.loads(process.stdout)["dependencies"]
    audited = [result for result in results if "vulns" in result]
    if not audited:
        pytest.skip(f"pip-audit audited nothing: {results[0]['skip_reason']}")
    assert {result["name"]: result["vulns"] for result in audited if result["vulns"]} == {}
    record("audit of dependencies by pip-audit", "direct", "no known vulnerability", len(audited))
