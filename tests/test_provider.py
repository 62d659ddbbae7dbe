"""What Airflow learns of the provider: its information, its connection form, and how little importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING

import pytest
from airflow_runs import AIRFLOW_3, only_airflow_2, only_airflow_3

import airflow_provider_angus
from airflow_provider_angus import CONNECTION_FIELDS, get_provider_info
from airflow_provider_angus.hooks import AngusHook

if TYPE_CHECKING:
    from airflow_runs import Airflow


@pytest.fixture
def manager(airflow: Airflow) -> object:  # noqa: ARG001 (its database has to be there)
    """Airflow's own list of providers."""
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    manager.initialize_providers_hooks()
    return manager


def test_the_entry_point_gives_the_provider_information() -> None:
    (found,) = [
        each for each in entry_points(group="apache_airflow_provider") if each.dist.name == "airflow-provider-angus"
    ]
    assert found.load() is get_provider_info


def test_the_version_is_written_once() -> None:
    assert version("airflow-provider-angus") == airflow_provider_angus.__version__
    assert get_provider_info()["versions"] == [airflow_provider_angus.__version__]


def test_airflow_accepts_the_provider_information() -> None:
    from airflow.providers_manager import _create_provider_info_schema_validator

    _create_provider_info_schema_validator().validate(get_provider_info())


def test_every_module_that_the_provider_information_names_exists() -> None:
    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", *(["triggers"] if AIRFLOW_3 else [])):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                import_module(module)
    module, name = info["connection-types"][0]["hook-class-name"].rsplit(".", 1)
    assert getattr(import_module(module), name) is AngusHook


def test_airflow_offers_the_connection_type(manager: object) -> None:
    assert manager.hooks["angus"].hook_name == "Angus.ai"


def test_the_form_has_every_field_with_its_label(manager: object) -> None:
    fields = {name: info for name, info in manager.connection_form_widgets.items() if name.startswith("extra__angus__")}
    assert list(fields) == [f"extra__angus__{name}" for name in CONNECTION_FIELDS]
    for name, declared in CONNECTION_FIELDS.items():
        field = fields[f"extra__angus__{name}"].field
        label = field["schema"]["title"] if AIRFLOW_3 else field.kwargs["label"]
        assert label == declared["label"]


def test_the_form_calls_the_standard_fields_what_the_console_calls_them(manager: object) -> None:
    behaviour = manager.field_behaviours["angus"]
    assert behaviour["hidden_fields"] == ["schema"]
    assert "port" not in behaviour["relabeling"]
    assert behaviour["relabeling"]["host"] == "Data API URL"
    assert "Password" in behaviour["relabeling"]["password"]
    assert behaviour["placeholders"]["extra__angus__console_url"] == "https://console.angus.ai"


@only_airflow_2
def test_the_proxy_is_typed_as_a_secret_on_airflow_2() -> None:
    assert AngusHook.get_connection_form_widgets()["proxy"].field_class.__name__ == "PasswordField"


@only_airflow_3
def test_only_the_client_id_must_be_filled_in() -> None:
    types = {name: field["schema"]["type"] for name, field in CONNECTION_FIELDS.items()}
    assert [name for name, kind in types.items() if "null" not in kind] == ["client_id"]


@only_airflow_3
def test_airflow_3_reads_the_form_without_importing_the_hook() -> None:
    code = """
import sys, warnings
warnings.simplefilter("error", category=DeprecationWarning)
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
manager._load_ui_metadata() if hasattr(manager, "_load_ui_metadata") else None
assert "airflow_provider_angus.hooks" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def imported_by(*modules: str) -> set[str]:
    """Return the names of the modules that a new Python has imported for these after Airflow's own."""
    code = f"""
import json, sys
import airflow.providers.common.compat.sdk as sdk
sdk.BaseOperator, sdk.BaseSensorOperator, sdk.BaseHook, sdk.DAG
before = set(sys.modules)
import {", ".join(modules)}
print("modules", json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.rsplit("modules", 1)[1]))


def test_parsing_a_dag_imports_only_our_own_small_modules() -> None:
    imported = imported_by(
        "airflow_provider_angus.operators", "airflow_provider_angus.sensors", "airflow_provider_angus.transfers"
    )
    ours = {name for name in imported if name.startswith("airflow_provider_angus")}
    assert {name.partition(".")[2] for name in ours} - {""} == {
        "availability", "compat", "entities", "exceptions", "files", "hooks", "interval", "links", "operators",
        "question", "schema", "sensors", "tables", "transfers", "windows",
    }  # fmt: skip
    assert imported & {"requests", "httpx", "jwt", "urllib3", "tenacity", "aiohttp", "wtforms"} == set()
    theirs = {name for name in imported - ours if not name.startswith("airflow.")}
    assert theirs <= sys.stdlib_module_names


def test_the_provider_information_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import airflow_provider_angus; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    assert packages - sys.stdlib_module_names == {"airflow_provider_angus"}


def test_pure_modules_import_neither_airflow_nor_an_http_library() -> None:
    pure = ["interval", "entities", "availability", "compat", "answers", "bodies", "windows", "tokens", "protocol"]
    pure += ["connection", "question", "schema", "spool", "files", "tables", "assets", "hiding", "masking"]
    code = f"""
import importlib, sys
import airflow_provider_angus.exceptions
for module in {pure}:
    before = set(sys.modules)
    importlib.import_module("airflow_provider_angus." + module)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("airflow", "requests", "httpx", "urllib3"):
            print(module, "imports", name)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == ""
