"""What the wheel and the sdist are: complete, the same whenever they are built, saying what they claim."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING

from environments import DIST, PYTHONS, ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    build(ROOT, tmp_path)
    assert contents(tmp_path) == contents(DIST)


def test_the_sdist_gives_the_same_wheel(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path)
    assert contents(tmp_path) == contents(DIST)


def test_the_sdist_has_all_the_tests_and_what_they_and_make_need(source: Path) -> None:
    folders = ("airflow_provider_angus", "constraints", "docs", "example_dags", "tests", "tools")
    assert {path.name for path in source.iterdir()} >= {*folders, "Makefile", "README.md", "LICENSE", "CHANGELOG.md"}
    for folder in folders:
        assert files_of(source / folder) == files_of(ROOT / folder)


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {f"airflow_provider_angus/{name}" for name in files_of(ROOT / "airflow_provider_angus")}
    assert "airflow_provider_angus/py.typed" in package
    assert {name for name in names if ".dist-info/" not in name} == package


def test_the_metadata_claim_the_pythons_that_are_tested(wheel: Path) -> None:
    claimed = re.findall(r"Classifier: Programming Language :: Python :: (3\.\d+)$", metadata(wheel), re.MULTILINE)
    assert set(claimed) == {version for versions in PYTHONS.values() for version in versions}


def test_the_metadata_are_complete(wheel: Path) -> None:
    told = metadata(wheel)
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
        assert f"\n{line}\n" in told
    assert told.endswith((ROOT / "README.md").read_text())


def metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def build(folder: Path, into: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", into], cwd=folder, check=True, capture_output=True
    )


def contents(folder: Path) -> dict[str, str]:
    return {
        path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.suffix != ".gitignore"
    }


def files_of(folder: Path) -> set[str]:
    """Return the files of a folder, by their names in it, without what Python and tools leave behind."""
    left = {"__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache", ".mypy_cache"}
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not left & set(path.parts)
    }
