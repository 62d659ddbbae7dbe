"""The Python code of the documentation and of docs/snippets, each run by Airflow or as a script."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_runs import set_on
from airflow_versions import only_airflow_3_3
from doc_pages import BLOCKS, SNIPPETS, Block
from transfers import DAILY

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

PYTHON = [block for block in BLOCKS if block.language == "python"]
BY_PAGE = {page: list(blocks) for page, blocks in groupby(PYTHON, lambda block: block.page)}
# make build runs these in a new environment.
TESTS = sorted(SNIPPETS.glob("test_*.py"))
FILES = sorted({*SNIPPETS.glob("*.py")} - {*TESTS})

pytestmark = only_airflow_3_3  # The documentation is about the newest version.


@pytest.fixture
def folder(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder for the files that the code writes. The connections of the documentation exist."""
    sandbox.clock.set(datetime(2026, 11, 21, 0, 5, tzinfo=UTC))
    first, second, third = map(sandbox.connection_json, sandbox.streams)
    for name, connection in {
        "angus_default": first,
        "angus_shop_2": second,
        "angus_shop_3": third,
        "shop_1": first,
        "shop_2": second,
        "shop_3": third,
        "audience_db": json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "audience.sqlite")}),
    }.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", connection)
    monkeypatch.setenv("ANGUS_FOLDER", str(tmp_path / "audience"))
    return tmp_path


def run_dag_file(airflow: Airflow, path: Path) -> None:
    """Run each DAG of a file for 20 November 2026. All tasks must succeed."""
    dag_ids = re.findall(r'dag_id="(\w+)"', path.read_text())
    assert dag_ids
    for dag_id in dag_ids:
        dag = airflow.load(path, dag_id)
        for task in dag.tasks:
            set_on(task, "retries", 0)
        check_success(airflow.run_dag(dag, logical_date=datetime(2026, 11, 21, tzinfo=UTC)))


def check_success(outcomes: dict[str, Any]) -> None:
    assert outcomes
    assert {name: outcome.errors for name, outcome in outcomes.items() if outcome.state != "success"} == {}


def imports_before(block: Block) -> str:
    """Return the imports of the blocks before a block on its page."""
    blocks = BY_PAGE[block.page]
    trees = [ast.parse(each.text) for each in blocks[: blocks.index(block)]]
    imports = [node for tree in trees for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return "; ".join(map(ast.unparse, imports))


@pytest.mark.parametrize("page", BY_PAGE)
def test_page_python_blocks_run(page: str, airflow: Airflow, folder: Path) -> None:
    for number, block in enumerate(BY_PAGE[page]):
        # A local folder replaces the bucket.
        text = block.text.replace("s3://aws_default@bucket", f"file://{folder}")
        if "DAG(" in text:
            path = folder / f"block_{number}.py"
            path.write_text(text)
            run_dag_file(airflow, path)
            continue
        # Errors show the lines of the page.
        code = compile(imports_before(block) + "\n" * (block.line - 1) + text, block.page, "exec", dont_inherit=True)
        names: dict[str, Any] = {"os": os, "UTC": UTC, "datetime": datetime, "timedelta": timedelta}
        if "task_id=" in text:
            check_success(airflow.run(lambda code=code, names=names: exec(code, names), schedule=DAILY))  # noqa: S102
        else:
            exec(code, names)  # noqa: S102 (the subject of this test)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_snippet_runs(path: Path, airflow: Airflow, folder: Path) -> None:
    for each in SNIPPETS.iterdir():
        shutil.copy(each, folder)
    if "DAG(" in path.read_text():
        run_dag_file(airflow, folder / path.name)
    else:
        subprocess.run([sys.executable, path.name], cwd=folder, check=True)


@pytest.mark.usefixtures("airflow")
def test_snippets_are_all_used() -> None:
    """Each file is on a page, or a snippet that is run reads it."""
    used = "".join(path.read_text() for path in [*SNIPPETS.parent.rglob("*.md"), *SNIPPETS.glob("*.py")])
    assert [path.name for path in SNIPPETS.iterdir() if path.is_file() and path.name not in used] == []
