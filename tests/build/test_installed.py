"""The wheel in a virtual environment with nothing but an Airflow: what it adds, what Airflow says, that it works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from environments import ROOT, environments

if TYPE_CHECKING:
    from environments import Environment

everywhere = pytest.mark.parametrize("environment", environments(), indirect=True)
once = pytest.mark.parametrize("environment", environments(first=True), indirect=True)

EXTRAS = Path(__file__).parent / "extras"

#: What the command ``airflow`` does, for several command lines, each answered with a list as JSON.
COMMANDS = """
import contextlib, io, json, sys
from airflow.__main__ import main
for words in sys.argv[1:]:
    sys.argv[1:] = ["providers", *words.split(), "--output", "json"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main()
    print(json.dumps(json.loads(printed.getvalue())))
"""

#: Tests of the sdist that are quick, some of them of pure modules and some of real runs of tasks.
QUICK = ["test_connection.py", "test_interval.py", "test_operators.py", "sandbox/test_api.py"]


@everywhere
def test_installing_the_wheel_adds_nothing_else(environment: Environment, wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    assert environment.after == environment.before | {f"airflow-provider-angus=={version}"}


@everywhere
def test_airflow_shows_the_provider(environment: Environment) -> None:
    listed, got, hooks = map(
        json.loads,
        environment.run("python", "-c", COMMANDS, "list", "get airflow-provider-angus --full", "hooks").splitlines(),
    )
    assert "airflow-provider-angus" in {provider["package_name"] for provider in listed}
    assert (got[0]["package-name"], got[0]["name"]) == ("airflow-provider-angus", "Angus.ai")
    (hook,) = (hook for hook in hooks if hook["connection_type"] == "angus")
    assert hook["class"] == "airflow_provider_angus.hooks.AngusHook"


@everywhere
def test_the_sdist_passes_its_tests_against_the_wheel(environment: Environment, source: Path) -> None:
    # Without the package beside them, it is the wheel's that they test.
    tests = environment.copy(source, without="airflow_provider_angus") / "tests"
    with environment.with_added("hypothesis", "pytest"):
        environment.run("pytest", *(tests / name for name in QUICK))


@once
@pytest.mark.parametrize("extra", ["openlineage", "parquet", "report", "sql"])
def test_an_extra_installs_and_works(environment: Environment, wheel: Path, extra: str) -> None:
    database = ["apache-airflow-providers-sqlite"] if extra == "sql" else []
    with environment.with_added(f"{wheel}[{extra}]", *database):
        environment.run("python", EXTRAS / f"use_{extra}.py", ROOT / "example_dags" / "angus_weekly_report.py")
