"""README, run: every block of Python and of commands; what a block is stands behind its fence, output is ``text``."""

from __future__ import annotations

import ast
import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from landing import DAILY

from airflow_provider_angus.connection import read_settings
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()

#: Each block: the language that its fence says, and its text.
BLOCKS = re.findall(r"^```(.*?)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if language == "shell" for line in text.splitlines()]


def test_every_block_says_what_it_is_so_that_none_is_left_out() -> None:
    assert [text for language, text in BLOCKS if language not in {"python", "shell", "text"}] == []
    assert 2 * len(BLOCKS) == sum(line.lstrip().startswith(("```", "~~~")) for line in README.splitlines())
    assert PYTHON
    assert COMMANDS


def imports_before(block: str) -> str:
    """Return the imports of the blocks up to one: whoever reads that far has them."""
    read = [ast.parse(text) for text in PYTHON[: PYTHON.index(block) + 1]]
    found = [each for tree in read for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, found))


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.split("\n", 1)[0][:70])
def test_python_does_what_it_says(
    block: str,
    airflow: Airflow,
    sandbox: Sandbox,
    connection: str,  # noqa: ARG001 (is there)
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AUDIENCE_DB", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "db")}))
    sandbox.clock.set(datetime(2026, 11, 21, 0, 5, tzinfo=UTC))
    statement = ast.parse(block).body[0]
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Dict):
        same_as_fetched(ast.literal_eval(block), airflow)
        return
    # No bucket is at hand, but any object store is written to in the same way.
    code = imports_before(block) + "\n" + block.replace("s3://aws_default@bucket", f"file://{tmp_path}")
    names: dict[str, Any] = {"os": os, "UTC": UTC, "datetime": datetime, "timedelta": timedelta}
    if "Sandbox()" in block:
        # Where it says "..." a user's tasks are.
        code = code.replace("\n    ...\n", "\n    load()\n")
        names["load"] = lambda: AngusHook().get_entities("passing_by", "2026-11-20", "2026-11-21")
    if "task_id=" not in block:
        exec(code, names)  # noqa: S102 (this is what it is about)
        if "rows" in names:
            assert [row["passing_by"] for row in names["rows"]] == [778]
        return
    outcomes = airflow.run(lambda: exec(code, names), schedule=DAILY)  # noqa: S102 (the same)
    assert len(outcomes) == block.count("task_id=")
    assert {outcome.state for outcome in outcomes.values()} == {"success"}
    if "path=" in block:
        assert [file.name for file in (tmp_path / "audience").iterdir()] == ["2026-11-20.parquet"]
        assert [outcome.returned["rows"] for outcome in outcomes.values()] == [24, 24]


def same_as_fetched(shown: dict[str, Any], airflow: Airflow) -> None:
    """Compare a row that is shown with the one of the same hour that the operator above it returns."""
    fetch = next(text for text in PYTHON if 'task_id="fetch_hours"' in text)
    rows = airflow.run(
        lambda: exec(fetch, {"AngusEntitiesOperator": AngusEntitiesOperator}),  # noqa: S102 (the same)
        schedule=DAILY,
    )["fetch_hours"].returned
    (row,) = (dict(row) for row in rows if row["bucket_start"] == shown["bucket_start"])
    assert row.pop("stream").startswith(shown.pop("stream").removesuffix("..."))
    assert row == shown
    assert list(row) == list(shown)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[:50])
def test_a_command_does_what_it_says(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        monkeypatch.setenv(name, value)
        given = BaseHook.get_connection(name.removeprefix("AIRFLOW_CONN_").lower())
        settings = read_settings(given, given.extra_dejson)
        assert given.conn_type == "angus"
        assert (settings.credentials.username, settings.credentials.client_id) == ("you@example.com", "CLIENT-ID")
        assert settings.credentials.access_token == "ACCESS-TOKEN"
        assert settings.data_url == "https://data.angus.ai"
    elif words[:2] == ["pip", "install"]:
        # make build runs it, in environments of its own.
        assert runpy.run_path(str(ROOT / "tests" / "build" / "environments.py"))["INSTALL"] == words
    else:
        assert words[:2] == ["python", "-m"]
        with subprocess.Popen(
            [sys.executable, *words[1:], "--port", "0"], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline().startswith("Angus.ai sandbox: http://127.0.0.1:")
            process.send_signal(signal.SIGINT)
            process.communicate()
        assert process.returncode == 0


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/reference.md"])
def test_every_make_target_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`make ([\w-]+)", (ROOT / page).read_text()))
    assert named
    targets = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/reference.md"])
def test_every_file_that_is_linked_exists(page: str) -> None:
    path = ROOT / page
    linked = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())]
    assert [link for link in linked if "://" not in link and not (path.parent / link).exists()] == []
