"""The provider information that Airflow reads, the connection form, and the cost of importing the package."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import AIRFLOW, only_airflow_2, since

import airflow_provider_angus
from airflow_provider_angus import get_provider_info
from airflow_provider_angus._provider_info import CONNECTION_FIELDS
from airflow_provider_angus.hooks import AngusHook

if TYPE_CHECKING:
    from airflow_runs import Airflow


@pytest.fixture
def manager(airflow: Airflow) -> Any:  # noqa: ARG001 (creates the database)
    """Airflow's list of providers."""
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    manager.initialize_providers_hooks()
    return manager


def test_entry_point_returns_provider_info() -> None:
    points = entry_points(group="apache_airflow_provider")
    (point,) = [point for point in points if point.dist.name == "airflow-provider-angus"]
    assert point.load() is get_provider_info


def test_version_is_defined_once() -> None:
    assert version("airflow-provider-angus") == airflow_provider_angus.__version__
    assert get_provider_info()["versions"] == [airflow_provider_angus.__version__]


def test_provider_info_matches_airflow_schema() -> None:
    from airflow.providers_manager import _create_provider_info_schema_validator

    _create_provider_info_schema_validator().validate(get_provider_info())


def test_provider_info_modules_exist() -> None:
    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                import_module(module)
    classes = [info["connection-types"][0]["hook-class-name"], *info["extra-links"], info["asset-uris"][0]["handler"]]
    for path in classes:
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name)


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks")
def test_connection_type_has_the_hook(manager: Any) -> None:
    assert manager.hooks["angus"].hook_name == "Angus.ai"
    assert get_provider_info()["connection-types"][0]["hook-class-name"] == f"{AngusHook.__module__}.AngusHook"


def test_form_has_all_fields_with_labels(manager: Any) -> None:
    fields = {name: info for name, info in manager.connection_form_widgets.items() if name.startswith("extra__angus__")}
    assert list(fields) == [f"extra__angus__{name}" for name in CONNECTION_FIELDS]
    for name, declared in CONNECTION_FIELDS.items():
        field = fields[f"extra__angus__{name}"].field
        label = field["schema"]["title"] if AIRFLOW >= (3, 2) else field.kwargs["label"]
        assert label == declared["label"]


def test_form_relabels_standard_fields(manager: Any) -> None:
    behaviour = manager.field_behaviours["angus"]
    assert behaviour["hidden_fields"] == ["schema"]
    assert "port" not in behaviour["relabeling"]
    assert behaviour["relabeling"]["host"] == "Data API URL"
    assert "Password" in behaviour["relabeling"]["password"]
    assert behaviour["placeholders"]["extra__angus__console_url"] == "https://console.angus.ai"


@only_airflow_2
def test_form_proxy_is_a_password_field_on_airflow_2() -> None:
    assert AngusHook.get_connection_form_widgets()["proxy"].field_class.__name__ == "PasswordField"


def test_form_requires_only_client_id() -> None:
    types = {name: field["schema"]["type"] for name, field in CONNECTION_FIELDS.items()}
    assert [name for name, kind in types.items() if "null" not in kind] == ["client_id"]


def run_python(code: str) -> str:
    """Run code in a new Python process and return its output."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@since(3, 1)  # Airflow 3.0 raises deprecation warnings of its own
def test_form_does_not_import_the_hook_on_airflow_3() -> None:
    run_python("""
import sys, warnings
warnings.simplefilter("error", category=DeprecationWarning)
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
manager._load_ui_metadata() if hasattr(manager, "_load_ui_metadata") else None
assert "airflow_provider_angus.hooks" not in sys.modules
""")


def test_provider_info_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import airflow_provider_angus; print(*set(sys.modules) - before)"
    packages = {name.partition(".")[0] for name in run_python(code).split()}
    assert packages - sys.stdlib_module_names == {"airflow_provider_angus"}


def test_dag_parsing_imports_no_other_library() -> None:
    """Operators, sensors and transfers import neither an HTTP library nor the API, and no other third-party module."""
    output = run_python("""
import json, sys
import airflow.providers.common.compat.sdk as sdk
sdk.BaseOperator, sdk.BaseSensorOperator, sdk.BaseHook, sdk.DAG
before = set(sys.modules)
import airflow_provider_angus.operators, airflow_provider_angus.sensors, airflow_provider_angus.transfers
print("modules", json.dumps(sorted(set(sys.modules) - before)))
""")
    imported = set(json.loads(output.rsplit("modules", 1)[1]))
    package = "airflow_provider_angus"
    others = {name for name in imported if name.partition(".")[0] not in {"airflow", package}}
    assert others <= sys.stdlib_module_names
    unwanted = tuple(
        f"{package}.{name}" for name in ("api", "sandbox", "loading.multi_stream", "loading.object_storage")
    )
    assert [name for name in imported if name.startswith(unwanted)] == []
