"""The reference in docs/: as the code has it, and nothing left out."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow_runs import only_airflow_3

ROOT = Path(__file__).resolve().parent.parent

reference = SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "reference.py")))


class Described:
    """What is described as it should be.

    :param first: all of it,
        on two lines.
    :returns: nothing.
    """

    __module__ = "airflow_provider_angus.hooks"

    def __init__(self, first: str, **kwargs: object) -> None: ...

    def ask(self, what: str) -> None:
        """Ask.

        :param what: of whom.
        """


@only_airflow_3  # which has asset watchers
def test_the_reference_is_what_signatures_and_docstrings_say() -> None:
    assert (ROOT / "docs" / "reference.md").read_text() == reference.page(), "make docs"


def test_what_is_described_is_accepted() -> None:
    assert reference.mismatches(Described) == []
    given, described = reference.init_of(Described)
    assert (list(given), described) == (["first"], {"first": "all of it, on two lines."})


def test_a_parameter_that_no_docstring_describes_is_found_inherited_ones_too() -> None:
    class Undescribed(Described):
        """More of it."""

        __module__ = "airflow_provider_angus.hooks"

        def __init__(self, second: int, **kwargs: object) -> None: ...

        def tell(self, whom: str) -> None:
            """Tell."""

    assert reference.mismatches(Undescribed) == [
        "Undescribed: parameter 'second' is not described",
        "Undescribed.tell: parameter 'whom' is not described",
    ]
    assert list(reference.init_of(Undescribed)[0]) == ["second", "first"]


def test_a_description_of_a_parameter_that_is_gone_is_found() -> None:
    class Outdated(Described):
        """Less of it.

        :param third: what it was.
        """

        __module__ = "airflow_provider_angus.hooks"

    assert reference.mismatches(Outdated) == ["Outdated: there is no parameter 'third'"]


@pytest.mark.parametrize(
    "name",
    [
        *["AngusEntitiesOperator", "AngusToObjectStorageOperator", "AngusToSqlOperator", "AngusEntitiesSensor"],
        *["AngusEntitiesTrigger", "AngusBucketTrigger", "AngusHook", "AngusRowError", "Sandbox", "Clock"],
    ],
)
def test_every_public_class_has_a_heading(name: str) -> None:
    assert f"\n### {name}\n" in (ROOT / "docs" / "reference.md").read_text()
