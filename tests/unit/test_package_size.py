from __future__ import annotations

from pathlib import Path

import airflow_provider_angus

MAX_FILE_LINES = 300
MAX_PACKAGE_LINES = 5_300

FOLDER = Path(airflow_provider_angus.__file__).parent
LINES = {str(path.relative_to(FOLDER)): len(path.read_text().splitlines()) for path in FOLDER.rglob("*.py")}


def test_package_files_are_short() -> None:
    assert {name: lines for name, lines in LINES.items() if lines > MAX_FILE_LINES} == {}


def test_package_is_small() -> None:
    assert sum(LINES.values()) <= MAX_PACKAGE_LINES
