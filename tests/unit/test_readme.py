"""README.md: each Python block and each command runs. The language of a block's fence decides, output is ``text``."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from clean_environments import INSTALL
from transfers import DAILY

from airflow_provider_angus import exceptions
from airflow_provider_angus._provider_info import CONNECTION_FIELDS
from airflow_provider_angus.api.settings import read_settings
from airflow_provider_angus.exceptions import AngusError, is_retryable
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.operators import AngusEntitiesOperator

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = ["README.md", "CONTRIBUTING.md", "docs/reference.md"]

#: The language and the text of each block.
BLOCKS = re.findall(r"^```(.*?)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if language == "shell" for line in text.splitlines()]


def test_readme_blocks_have_a_language() -> None:
    assert [text for language, text in BLOCKS if language not in {"python", "shell", "text"}] == []
    assert 2 * len(BLOCKS) == sum(line.lstrip().startswith(("```", "~~~")) for line in README.splitlines())
    assert PYTHON
    assert COMMANDS


def imports_up_to(block: str) -> str:
    """Return the imports of a block and of the blocks before it."""
    trees = [ast.parse(text) for text in PYTHON[: PYTHON.index(block) + 1]]
    imports = [node for tree in trees for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, imports))


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.split("\n", 1)[0][:70])
def test_readme_python_block_works(
    block: str, airflow: Airflow, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AUDIENCE_DB", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "db")}))
    sandbox.clock.set(datetime(2026, 11, 21, 0, 5, tzinfo=UTC))
    statement = ast.parse(block).body[0]
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Dict):
        compare_with_fetched_row(ast.literal_eval(block), airflow)
        return
    # A local folder replaces the bucket.
    code = imports_up_to(block) + "\n" + block.replace("s3://aws_default@bucket", f"file://{tmp_path}")
    names: dict[str, Any] = {"os": os, "UTC": UTC, "datetime": datetime, "timedelta": timedelta}
    if "Sandbox()" in block:
        # A user's code replaces the "...".
        code = code.replace("\n    ...\n", "\n    load()\n")
        names["load"] = lambda: AngusHook().get_entities("passing_by", "2026-11-20", "2026-11-21")
    if "task_id=" not in block:
        exec(code, names)  # noqa: S102 (the subject of this test)
        if "rows" in names:
            assert [row["passing_by"] for row in names["rows"]] == [778]
        return
    if "AngusSqlAuditOperator" in block:
        # The table that another block loads.
        load = next(text for text in PYTHON if 'task_id="load_hours"' in text)
        load = load.replace("s3://aws_default@bucket", f"file://{tmp_path}")
        airflow.run(lambda: exec(load, dict(names)), schedule=DAILY)  # noqa: S102 (the subject of this test)
    outcomes = airflow.run(lambda: exec(code, names), schedule=DAILY)  # noqa: S102 (the subject of this test)
    assert len(outcomes) == block.count("task_id=")
    assert {outcome.state for outcome in outcomes.values()} == {"success"}
    if "path=" in block:
        assert [file.name for file in (tmp_path / "audience").iterdir()] == ["2026-11-20.parquet"]
        assert [outcome.returned["rows"] for outcome in outcomes.values()] == [24, 24]


def compare_with_fetched_row(shown: dict[str, Any], airflow: Airflow) -> None:
    """Compare a row in the README with the row of the same hour that the operator in the README returns."""
    fetch = next(text for text in PYTHON if 'task_id="fetch_hours"' in text)
    rows = airflow.run(
        lambda: exec(fetch, {"AngusEntitiesOperator": AngusEntitiesOperator}),  # noqa: S102 (the subject of this test)
        schedule=DAILY,
    )["fetch_hours"].returned
    (row,) = (dict(row) for row in rows if row["bucket_start"] == shown["bucket_start"])
    assert row.pop("stream").startswith(shown.pop("stream").removesuffix("..."))
    assert row == shown
    assert list(row) == list(shown)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[:50])
def test_readme_command_works(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        monkeypatch.setenv(name, value)
        connection = BaseHook.get_connection(name.removeprefix("AIRFLOW_CONN_").lower())
        settings = read_settings(connection, connection.extra_dejson)
        assert connection.conn_type == "angus"
        assert (settings.credentials.username, settings.credentials.client_id) == ("you@example.com", "CLIENT-ID")
        assert settings.credentials.access_token == "ACCESS-TOKEN"
        assert settings.data_url == "https://data.angus.ai"
    elif words[:2] == ["pip", "install"]:
        # make build runs it in clean environments.
        assert words == INSTALL
    else:
        assert words[:2] == ["python", "-m"]
        with subprocess.Popen(
            [sys.executable, *words[1:], "--port", "0"], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline().startswith("Angus.ai sandbox: http://127.0.0.1:")
            process.send_signal(signal.SIGINT)
            process.communicate()
        assert process.returncode == 0


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_existing_make_targets(page: str) -> None:
    named = set(re.findall(r"`make ([\w-]+)", (ROOT / page).read_text()))
    assert named
    targets = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES)
def test_pages_link_to_existing_files(page: str) -> None:
    path = ROOT / page
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())]
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_readme_names_existing_modules() -> None:
    """``airflow_provider_angus.<module>``, also outside of code blocks."""
    named = set(re.findall(r"airflow_provider_angus\.(\w+)", README))
    existing = {path.stem for path in (ROOT / "airflow_provider_angus").iterdir()}
    assert named - existing == set()


def test_readme_connection_table_has_all_form_fields() -> None:
    assert re.findall(r"^\|.*\(extra `(\w+)`\)", README, re.MULTILINE) == list(CONNECTION_FIELDS)


def test_readme_error_table_has_all_classes() -> None:
    """The cases of each class are in ``error_cases.py`` and ``network_cases.py``, which other tests check."""
    rows = dict(re.findall(r"^\| `(Angus\w+Error)` \|.*\| (retries|fails at once) \|$", README, re.MULTILINE))
    classes = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, AngusError)]
    expected = {each.__name__: "retries" if is_retryable(each("")) else "fails at once" for each in classes}
    del expected["AngusError"]
    assert rows == expected
