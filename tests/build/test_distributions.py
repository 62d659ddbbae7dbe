"""The wheel and the sdist are complete and reproducible, and their metadata are correct."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING

from clean_environments import DIST, PYTHONS, ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_build_is_reproducible(tmp_path: Path) -> None:
    build(ROOT, tmp_path)
    assert contents(tmp_path) == contents(DIST)


def test_sdist_builds_the_same_wheel(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path)
    assert contents(tmp_path) == contents(DIST)


def test_sdist_contains_all_files_of_the_tests(source: Path) -> None:
    folders = ("airflow_provider_angus", "constraints", "docs", "example_dags", "tests", "tools")
    assert {path.name for path in source.iterdir()} >= {*folders, "Makefile", "README.md", "LICENSE", "CHANGELOG.md"}
    for folder in folders:
        assert files_of(source / folder) == files_of(ROOT / folder)


def test_wheel_contains_only_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {f"airflow_provider_angus/{name}" for name in files_of(ROOT / "airflow_provider_angus")}
    assert "airflow_provider_angus/py.typed" in package
    assert {name for name in names if ".dist-info/" not in name} == package


def test_metadata_list_the_tested_pythons(wheel: Path) -> None:
    listed = re.findall(r"Classifier: Programming Language :: Python :: (3\.\d+)$", metadata(wheel), re.MULTILINE)
    assert set(listed) == {version for versions in PYTHONS.values() for version in versions}


def test_metadata_are_complete(wheel: Path) -> None:
    text = metadata(wheel)
    for line in (
        "Summary: Apache Airflow provider for the Angus.ai audience-analytics Data API",
        "License-Expression: Apache-2.0",
        "License-File: LICENSE",
        "Requires-Python: >=3.11",
        "Classifier: Framework :: Apache Airflow :: Provider",
        "Classifier: Operating System :: OS Independent",
        "Project-URL: Homepage, https://www.angus.ai/",
        "Description-Content-Type: text/markdown",
    ):
        assert f"\n{line}\n" in text
    assert text.endswith((ROOT / "README.md").read_text())


def metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def build(folder: Path, target: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--directory", target]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def contents(folder: Path) -> dict[str, str]:
    """Return the checksums of a folder's files by name."""
    return {
        path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.suffix != ".gitignore"
    }


def files_of(folder: Path) -> set[str]:
    """Return the relative paths of a folder's files, without those that Python and tools write."""
    caches = {"__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache", ".mypy_cache", "_build"}
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not caches & set(path.parts)
    }
