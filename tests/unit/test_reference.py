"""docs/reference.md is up to date, and tools/reference.py finds differences between signatures and docstrings."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow_runs import only_airflow_3

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference.md"

reference = SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "reference.py")))


class Described:
    """A class whose docstring describes all parameters.

    :param first: described
        on two lines.
    :returns: nothing.

    Example::

        described = Described("first")
    """

    __module__ = "airflow_provider_angus.hooks"

    def __init__(self, first: str, **kwargs: object) -> None: ...

    def fetch(self, time: str) -> None:
        """Fetch.

        :param time: ``by_hour`` or ``by_day``.
        """


@only_airflow_3  # the only version with asset watchers
def test_reference_is_up_to_date() -> None:
    assert PAGE.read_text() == reference.page(), "Run make docs."


def test_reference_accepts_complete_docstrings() -> None:
    assert reference.mismatches(Described) == []
    found, described = reference.init_of(Described)
    assert (list(found), described) == (["first"], {"first": "described on two lines."})


def test_reference_section_has_parameters_methods_and_example() -> None:
    section = "\n".join(reference.class_section(Described, "hooks"))
    assert "### Described" in section
    assert "| `first` | `str` | required | described on two lines. |" in section
    assert "**Returns** nothing." in section
    assert '```python\ndescribed = Described("first")\n```' in section
    assert "| `time` | `str` | required | `by_hour` or `by_day`. |" in section


def test_reference_finds_undescribed_parameters() -> None:
    """Parameters of the base classes count as parameters of the class."""

    class Undescribed(Described):
        """A class whose docstring lacks a parameter."""

        __module__ = "airflow_provider_angus.hooks"

        def __init__(self, second: int, **kwargs: object) -> None: ...

        def load(self, table: str) -> None:
            """Load."""

    assert reference.mismatches(Undescribed) == [
        "Undescribed: parameter 'second' is not described",
        "Undescribed.load: parameter 'table' is not described",
    ]
    assert list(reference.init_of(Undescribed)[0]) == ["second", "first"]


def test_reference_finds_descriptions_of_unknown_parameters() -> None:
    class Outdated(Described):
        """A class whose docstring describes a parameter that does not exist.

        :param third: removed.
        """

        __module__ = "airflow_provider_angus.hooks"

    assert reference.mismatches(Outdated) == ["Outdated: parameter 'third' does not exist"]


@pytest.mark.parametrize(
    "name",
    [
        *["AngusEntitiesOperator", "AngusToObjectStorageOperator", "AngusToSqlOperator", "AngusEntitiesSensor"],
        *["AngusEntitiesTrigger", "AngusBucketTrigger", "AngusHook", "AngusConsoleLink", "AngusRowError"],
        *["AngusSqlAuditOperator", "AngusAuditError", "AuditReport"],
        *["EventExtra", "SqlManifest", "FileManifest", "RowKey", "Sandbox", "Clock"],
    ],
)
def test_reference_page_has_each_public_class(name: str) -> None:
    assert f"\n### {name}\n" in PAGE.read_text()
