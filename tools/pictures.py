"""The pictures of the documentation, and whether they show the present state.

``make pictures`` records a checksum of each picture's sources in docs/pictures/sources.json. ``make docs`` compares.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
FORM = "airflow_provider_angus/_provider_info.py"
DAG = "example_dags/angus_daily_audience.py"
#: The files that determine each picture, besides the minor version of Airflow.
SOURCES = {
    "connection": [FORM],
    "connection-extra": [FORM],
    "grid": [DAG],
    "log": [DAG, "airflow_provider_angus/loading/multi_stream.py"],
}


def checksum(name: str) -> str:
    """Return the checksum of a picture's sources. Comments and docstrings do not count."""
    pinned = (ROOT / "constraints" / "airflow-3.txt").read_text()
    airflow = re.search(r"^apache-airflow==(\d+\.\d+)", pinned, re.MULTILINE)[1]
    code = [_without_docstrings((ROOT / source).read_text()) for source in SOURCES[name]]
    return hashlib.sha256("\n".join([airflow, *code]).encode()).hexdigest()[:16]


def _without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.unparse(tree)


def record(name: str, folder: Path) -> None:
    """Record that a picture in a folder has just been taken."""
    path = folder / "sources.json"
    recorded = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(recorded | {name: checksum(name)}, indent=2, sort_keys=True) + "\n")


def outdated() -> Iterator[str]:
    """Yield a sentence for each picture that is outdated, missing or unknown."""
    recorded = json.loads((PICTURES / "sources.json").read_text())
    for name in sorted({*SOURCES, *recorded, *(path.stem for path in PICTURES.glob("*.png"))}):
        if name not in SOURCES or not (PICTURES / f"{name}.png").exists() or recorded.get(name) != checksum(name):
            yield f"docs/pictures/{name}.png is outdated. Run make pictures."
