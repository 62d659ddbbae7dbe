"""Airflow in a home of its own, made anew for each test session, and a sandbox for each test."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import databases
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox
    from airflow_provider_angus.tokens import TokenCache

ROOT = Path(__file__).resolve().parent.parent
# Each process of pytest-xdist has an Airflow of its own.
HOME = ROOT / ".airflow" / (version("apache-airflow") + os.environ.get("PYTEST_XDIST_WORKER", ""))

# Before anything imports Airflow: its home is in the clone and made anew, and nothing of this shell's Airflow is used.
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


@pytest.fixture(scope="session")
def _airflow() -> Airflow:
    from airflow_runs import Airflow

    return Airflow()


@pytest.fixture
def airflow(_airflow: Airflow, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Airflow:
    """Airflow with an initialised metadata database and the log of this test's runs."""
    caplog.set_level(logging.INFO)
    seen: list[str] = []

    def read_log() -> str:
        # Airflow 3 prints its log, Airflow 2 hands it to logging.
        seen.extend(capfd.readouterr())
        return "".join(seen) + caplog.text

    _airflow.read_log = read_log
    return _airflow


@pytest.fixture(autouse=True)
def _forget_secrets() -> None:
    """Empty Airflow's masker, which compiles one pattern of all secrets it knows for each that it learns."""
    from airflow_provider_angus.compat import secrets_masker

    masker = secrets_masker()
    masker.patterns, masker.replacer = set(), None


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A local Angus that has been asked nothing yet; tokens of earlier tests are forgotten."""
    from airflow_provider_angus.sandbox import Sandbox
    from airflow_provider_angus.tokens import TOKENS

    TOKENS.clear()
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ID of an Airflow connection to the sandbox's first stream: ``angus_default``."""
    monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", sandbox.connection_json())
    return "angus_default"


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are sent again at once, except where the API has said when."""
    from airflow_provider_angus import retrying

    asked = retrying.POLICY["wait"]
    monkeypatch.setitem(
        retrying.POLICY,
        "wait",
        lambda state: asked(state) if getattr(state.outcome.exception(), "retry_after", 0) else 0,
    )


@pytest.fixture
def signed_in() -> TokenCache:
    """A cache that has the stream's token already."""
    from dialogue import answer, drive, stream, token

    from airflow_provider_angus.tokens import TokenCache

    tokens = TokenCache()
    drive(stream(tokens).entities({}), answer(200, {"token": token()}), answer(200, {}))
    return tokens


@pytest.fixture
def shops(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connections to the sandbox's streams, one for each: ``shop_0`` to ``shop_2``."""
    for number, client_id in enumerate(sandbox.streams):
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", sandbox.connection_json(client_id))
    return [f"shop_{number}" for number in range(len(sandbox.streams))]


@pytest.fixture(params=["sqlite", "postgres", "duckdb", "mysql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[databases.Database]:
    """Each kind of database in turn, with a table that is not there yet."""
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
    """Return a file with a key and its certificate for 127.0.0.1, which nobody else has signed."""
    import ipaddress
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; skips where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
