"""Fixtures: an Airflow in a home of its own, created anew for each test session, and a sandbox for each test."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import databases
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
# Each process of pytest-xdist has an Airflow of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
HOME = ROOT / ".airflow" / f"{version('apache-airflow')}-{platform.python_version()}{WORKER}"

# Before the first import of Airflow: use a new home inside the clone and nothing of the shell's Airflow.
shutil.rmtree(HOME, ignore_errors=True)
(HOME / "dags").mkdir(parents=True)
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "MPLCONFIGDIR": str(HOME / "matplotlib"),
}


def pytest_configure(config: pytest.Config) -> None:
    """Record the features of this version of Airflow in the folder ANGUS_FEATURES, for docs/versions.md."""
    folder = os.environ.get("ANGUS_FEATURES")
    if folder and not hasattr(config, "workerinput"):  # which the processes of pytest-xdist have
        from seen_features import SeenFeatures

        config.pluginmanager.register(SeenFeatures(Path(folder)))


@pytest.fixture(scope="session")
def _airflow() -> Airflow:
    from airflow_runs import Airflow

    return Airflow()


@pytest.fixture
def airflow(_airflow: Airflow, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Airflow:
    """Airflow with an initialised metadata database and the log of this test's runs."""
    caplog.set_level(logging.INFO)
    captured: list[str] = []

    def read_log() -> str:
        # Airflow 3 prints its log, Airflow 2 passes it to logging, Airflow 3.0 does both.
        captured.extend(capfd.readouterr())
        return "".join(captured) + ("" if version("apache-airflow").startswith("3.0.") else caplog.text)

    _airflow.read_log = read_log
    return _airflow


@pytest.fixture(autouse=True)
def _reset_secrets_masker() -> None:
    from airflow_runs import reset_secrets_masker

    reset_secrets_masker()


@pytest.fixture
def sandbox(angus_sandbox: Sandbox) -> Sandbox:
    """A local Angus without requests so far, from the package's pytest plugin."""
    return angus_sandbox


@pytest.fixture
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ID of an Airflow connection to the sandbox's first stream: ``angus_default``."""
    monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", sandbox.connection_json())
    return "angus_default"


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks repeat requests without a pause, unless the API sends ``Retry-After``."""
    import tenacity

    from airflow_provider_angus.api.retries import RetryPolicy
    from airflow_provider_angus.hooks import AngusHook

    monkeypatch.setattr(AngusHook, "retry_policy", RetryPolicy(backoff=tenacity.wait_none()))


@pytest.fixture
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks never repeat a request, so that each failure of the API reaches the caller."""
    from airflow_provider_angus.api.retries import RetryPolicy
    from airflow_provider_angus.hooks import AngusHook

    monkeypatch.setattr(AngusHook, "retry_policy", RetryPolicy(attempts=1))


@pytest.fixture
def shops(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connections to the sandbox's three streams: ``shop_0`` to ``shop_2``."""
    for number, client_id in enumerate(sandbox.streams):
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", sandbox.connection_json(client_id))
    return [f"shop_{number}" for number in range(len(sandbox.streams))]


# Only make stores installs fakesnow.
DATABASES = ["sqlite", "postgres", "duckdb", "mysql", *["snowflake"] * (find_spec("fakesnow") is not None)]


@pytest.fixture(params=DATABASES)
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[databases.Database]:
    """Each kind of database in turn, with the name of a table that does not exist."""
    import databases

    yield from databases.made(request.param, tmp_path, monkeypatch)


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[databases.Database]:
    import databases

    yield from databases.made("sqlite", tmp_path, monkeypatch)


@pytest.fixture
def postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[databases.Database]:
    import databases

    yield from databases.made("postgres", tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and its self-signed certificate for 127.0.0.1 and localhost."""
    from certificates import write_certificate

    return write_certificate(tmp_path_factory.mktemp("tls") / "own.pem")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB. Skips the test if this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting a disk needs root: {error}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
