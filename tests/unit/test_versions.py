"""docs/versions.md has each feature and each tested version, and the results of the tests decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import versions
from airflow_versions import AIRFLOW
from seen_features import NEEDS, SeenFeatures

ROOT = Path(__file__).resolve().parents[2]
FEATURE, (TESTS, _) = next(iter(versions.FEATURES.items()))


def test_versions_page_has_all_features_and_versions() -> None:
    text = versions.PATH.read_text()
    assert versions.page(versions.read_page(text)) == text, "Run make test and make compat."
    assert "| ? |" not in text, "Run make test and make compat."


def test_versions_page_lacks_new_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    known = versions.read_page(versions.PATH.read_text())
    monkeypatch.setitem(versions.FEATURES, "Time travel", versions.Feature("tests/unit/test_time_travel.py::"))
    assert "| Time travel | ? |" in versions.page(known)


def test_versions_are_those_of_the_constraints() -> None:
    assert list(versions.versions())[:2] == ["2.11", "3.0"]
    assert ".".join(map(str, AIRFLOW)) in versions.versions()


@pytest.mark.parametrize("feature", versions.FEATURES)
def test_versions_feature_has_existing_tests(feature: str) -> None:
    path, _, test = versions.FEATURES[feature].tests.partition("::")
    assert f"def {test.partition('[')[0]}" in (ROOT / path).read_text()


def report(outcome: str, reason: str = "", test: str = "a") -> pytest.TestReport:
    longrepr = ("file.py", 1, f"Skipped: {reason}") if reason else None
    when = "setup" if reason else "call"
    return pytest.TestReport(f"{TESTS}{test}", ("file.py", 1, test), {}, outcome, longrepr, when)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([report("passed")], {FEATURE: True}),
        ([report("skipped", "no postgres"), report("passed")], {FEATURE: True}),
        ([report("skipped", f"{NEEDS} 3.3"), report("skipped", "no postgres")], {FEATURE: False}),
        ([report("skipped", "no postgres")], {}),
    ],
    ids=["passed", "skipped for another reason", "needs version", "not run"],
)
def test_seen_features_are_those_whose_tests_passed(
    tmp_path: Path, reports: list[pytest.TestReport], expected: dict[str, bool]
) -> None:
    plugin = SeenFeatures(tmp_path)
    for each in reports:
        plugin.pytest_runtest_logreport(each)
    plugin.pytest_sessionfinish(1)
    assert list(tmp_path.iterdir()) == []
    plugin.pytest_sessionfinish(0)
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text())["features"] == expected


def test_seen_features_of_which_only_some_tests_pass_are_an_error(tmp_path: Path) -> None:
    plugin = SeenFeatures(tmp_path)
    plugin.pytest_runtest_logreport(report("passed"))
    plugin.pytest_runtest_logreport(report("skipped", f"{NEEDS} 3.3"))
    with pytest.raises(ValueError, match="need another version. Name fewer tests in tools/versions.py."):
        plugin.pytest_sessionfinish(0)
    assert list(tmp_path.iterdir()) == []


def test_results_of_tests_replace_those_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version without results keeps its column."""
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    monkeypatch.setattr(versions, "PATH", tmp_path / "versions.md")
    monkeypatch.setattr(versions, "RESULTS", tmp_path)
    monkeypatch.setattr(versions, "versions", lambda: {"2.11": "2.11.2", "3.0": "3.0.6"})
    versions.PATH.write_text(
        versions.page({name: dict.fromkeys(versions.versions(), True) for name in versions.FEATURES})
    )
    session = {"airflow": "3.0", "python": "3.12", "features": {FEATURE: False}}
    (tmp_path / "airflow-3.0-python-3.12.json").write_text(json.dumps(session))
    assert [versions.main(), versions.main()] == [1, 0]
    table = versions.read_page(versions.PATH.read_text())
    assert [version for name in table for version, seen in table[name].items() if not seen] == ["3.0"]
    assert not table[FEATURE]["3.0"]
