"""Whether what the provider needs has known vulnerabilities, in the versions that it is tested with."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
AUDIT = ROOT / ".venv-build" / "bin" / "pip-audit"


def test_no_dependency_has_a_known_vulnerability(tmp_path: Path, tell: Any) -> None:
    if not AUDIT.exists():
        pytest.skip("pip-audit is not there: make hostile installs it")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {each.partition(">=")[0] for each in wanted}
    pinned = (ROOT / "constraints" / "airflow-3.txt").read_text().splitlines()
    tested = [line for line in pinned if line.partition("==")[0] in names]
    assert len(tested) == len(names)
    (tmp_path / "tested.txt").write_text("\n".join(tested))
    command = [AUDIT, "--no-deps", "--disable-pip", "--format", "json", "-r", tmp_path / "tested.txt"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if not done.stdout:
        pytest.skip(f"pip-audit could not ask: {done.stderr.strip()[-200:]}")
    found = json.loads(done.stdout)["dependencies"]
    audited = [each for each in found if "vulns" in each]
    if not audited:
        pytest.skip(f"pip-audit could look nothing up: {found[0]['skip_reason']}")
    assert {each["name"]: each["vulns"] for each in audited if each["vulns"]} == {}
    tell("dependencies looked up by pip-audit", "direct", "no known vulnerability", len(audited))
