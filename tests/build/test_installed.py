"""The wheel in a clean virtual environment with Airflow: it adds no package, Airflow lists it, and it works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clean_environments import ROOT, environments

if TYPE_CHECKING:
    from clean_environments import Environment

all_environments = pytest.mark.parametrize("environment", environments(), indirect=True)
first_environments = pytest.mark.parametrize("environment", environments(first=True), indirect=True)

EXTRAS = Path(__file__).parent / "extras"

#: Runs several ``airflow providers`` commands in one process. It prints the output of each as a line of JSON.
COMMANDS = """
import contextlib, io, json, sys
from airflow.__main__ import main
for arguments in sys.argv[1:]:
    sys.argv[1:] = ["providers", *arguments.split(), "--output", "json"]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        main()
    print(json.dumps(json.loads(output.getvalue())))
"""

#: Fast test files of the sdist: pure modules, the sandbox, and task runs.
FAST_TESTS = [
    "unit/api/test_settings.py",
    "unit/model/test_intervals.py",
    "unit/sandbox/test_sandbox_entities.py",
    "tasks/test_operator_fetch.py",
    "tasks/test_operator_interval.py",
]


@all_environments
def test_wheel_adds_no_other_package(environment: Environment, wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    assert environment.after == environment.before | {f"airflow-provider-angus=={version}"}


@all_environments
def test_airflow_lists_the_provider(environment: Environment) -> None:
    providers, details, hooks = map(
        json.loads,
        environment.run("python", "-c", COMMANDS, "list", "get airflow-provider-angus --full", "hooks").splitlines(),
    )
    assert "airflow-provider-angus" in {provider["package_name"] for provider in providers}
    assert (details[0]["package-name"], details[0]["name"]) == ("airflow-provider-angus", "Angus.ai")
    (hook,) = (hook for hook in hooks if hook["connection_type"] == "angus")
    assert hook["class"] == "airflow_provider_angus.hooks.AngusHook"


@all_environments
def test_sdist_tests_pass_with_the_wheel(environment: Environment, source: Path) -> None:
    # Without this folder, the tests import the package of the wheel.
    tests = environment.copy(source, without="airflow_provider_angus") / "tests"
    with environment.with_packages("hypothesis", "pytest"):
        environment.run("pytest", *(tests / name for name in FAST_TESTS))


@first_environments
def test_pytest_fixture_works_with_the_wheel(environment: Environment) -> None:
    """The test file of docs/guides/testing.md, in the folders that the page describes."""
    project = environment.folder / "project"
    for folder, name in (("dags", "visitors_by_hour.py"), ("tests", "test_visitors_by_hour.py")):
        (project / folder).mkdir(parents=True)
        text = (ROOT / "docs" / "snippets" / name).read_text()
        if environment.airflow == "2.11":
            # The changes that the page names.
            text = text.replace("logical_date=", "execution_date=")
            text = text.replace("import pytest\n", "import airflow.providers.fab.auth_manager.models\nimport pytest\n")
        (project / folder / name).write_text(text)
    (project / "pytest.ini").write_text("[pytest]\npythonpath = dags\n")
    environment.run("airflow", "db", "migrate")
    with environment.with_packages("pytest"):
        environment.run("pytest", project, AIRFLOW__CORE__DAGS_FOLDER=str(project / "dags"))


@first_environments
@pytest.mark.parametrize("extra", ["openlineage", "parquet", "report", "sql"])
def test_extra_installs_and_works(environment: Environment, wheel: Path, extra: str) -> None:
    database = ["apache-airflow-providers-sqlite"] if extra == "sql" else []
    with environment.with_packages(f"{wheel}[{extra}]", *database):
        environment.run("python", EXTRAS / f"use_{extra}.py", ROOT / "example_dags" / "angus_weekly_report.py")
