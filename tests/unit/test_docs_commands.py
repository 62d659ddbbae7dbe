"""The other code blocks of the documentation: commands exist, and configuration can be read."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import signal
import subprocess
import sys
import tomllib

import pytest
import yaml
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.providers.common.compat.sdk import BaseHook
from airflow_versions import only_airflow_3_3
from doc_pages import BLOCKS, PAGES, ROOT, SNIPPETS, Block
from packaging.requirements import Requirement

from airflow_provider_angus.api.settings import read_settings

#: Languages whose blocks are run elsewhere, or are output.
OTHER = {"python", "shell", "text"}
COMMANDS = [
    (block.page, line)
    for block in BLOCKS
    if block.language == "shell"
    for line in block.text.replace("\\\n", "").splitlines()
    if line and not line.startswith("#")
]
#: Programs of other projects. The tests do not run them.
FOREIGN = {"cd", "curl", "docker", "git", "helm", "kubectl", "openssl", "pytest", "source", "twine"}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))

pytestmark = only_airflow_3_3  # The documentation is about the newest version.


def check_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow has the option, or reads the connection and the hook accepts it."""
    if name.startswith("AIRFLOW__"):
        _, section, key = name.split("__")
        assert conf.has_option(section, key)
    monkeypatch.setenv(name, value)
    if not name.startswith("AIRFLOW_CONN_"):
        return
    connection = BaseHook.get_connection(name.removeprefix("AIRFLOW_CONN_").lower())
    if connection.conn_type == "angus":
        settings = read_settings(connection, connection.extra_dejson)
        assert settings.credentials.client_id
        assert settings.credentials.access_token
        assert settings.data_url


def start_sandbox(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "airflow_provider_angus.sandbox", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("Angus.ai sandbox: http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value[:60])
def test_shell_command_exists(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command, comments=True)
    match words:
        case ["make", target]:
            assert target in TARGETS
        case ["pip", "install", *packages]:
            required = [Requirement(package) for package in packages if not package.startswith("-")]
            ours = [each for each in required if each.name == "airflow-provider-angus"]
            assert {extra for each in ours for extra in each.extras} <= set(EXTRAS)
        case ["export", assignment]:
            check_variable(*assignment.split("=", 1), monkeypatch)
        case ["airflow", *arguments]:
            get_parser().parse_args(arguments)
        case ["python", "-m", "airflow_provider_angus.sandbox", *arguments]:
            start_sandbox(arguments)
        case ["bash", path]:
            assert (ROOT / path).exists()
        case ["python", "-m", "venv", _]:
            pass
        case ["python", path, *_]:
            assert (SNIPPETS / path).exists()
        case [program, *_] if program in FOREIGN:
            pass
        case _:
            pytest.fail(f"{page}: no test of {command!r}. If it is output, its language is text.")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language not in OTHER], ids=str)
def test_configuration_block_can_be_read(block: Block) -> None:
    match block.language:
        case "json":
            assert json.loads(block.text)
        case "yaml":
            assert list(yaml.safe_load_all(block.text))
        case "ini":
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(block.text)
            assert parser.sections()
        case "toml":
            assert tomllib.loads(block.text)
        case language:
            pytest.fail(f"Unknown language {language!r}.")


@pytest.mark.parametrize("page", PAGES)
def test_page_names_existing_make_targets(page: str) -> None:
    named = set(re.findall(r"`make ([\w-]+)`", PAGES[page]))
    assert named - TARGETS == set()
