"""The package's files stay short enough to read at once."""

from __future__ import annotations

from pathlib import Path

import airflow_provider_angus

MAX_LINES = 300


def test_package_files_are_short() -> None:
    folder = Path(airflow_provider_angus.__file__).parent
    lines = {str(path.relative_to(folder)): len(path.read_text().splitlines()) for path in folder.rglob("*.py")}
    assert len(lines) > 40
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
