"""The ``Example::`` blocks of the package run as written, against a sandbox."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import textwrap
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator
from airflow.timetables.interval import CronDataIntervalTimetable
from seen_features import NEEDS

import airflow_provider_angus
from airflow_provider_angus.exceptions import AngusError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.model.intervals import explicit_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_angus.sandbox import Sandbox

#: Names that every example may use, besides those of its module.
NAMES: dict[str, Any] = {
    value.__name__: value
    for value in (
        *(
            AngusHook,
            BaseOperator,
            CronDataIntervalTimetable,
            DAG,
            asyncio,
            dataclass,
            datetime,
            explicit_interval,
            suppress,
        ),
        timedelta,
    )
} | {"UTC": UTC}

#: Modules of Airflow 3 (asset watchers) and of Airflow 2 (the connection form).
VERSION_MODULES = {"airflow.sdk", "flask_appbuilder"}


PACKAGE = airflow_provider_angus.__name__

#: The modules that users import from: top-level modules, the sandbox, and the API client for use without Airflow.
PUBLIC_MODULES = [
    *(
        f"{PACKAGE}.{each.name}"
        for each in pkgutil.iter_modules(airflow_provider_angus.__path__)
        if each.name[0] != "_"
    ),
    *(f"{PACKAGE}.api.{name}" for name in ("async_client", "client", "retries")),
]


def public_classes() -> Iterator[type]:
    for module in PUBLIC_MODULES:
        for name, value in vars(importlib.import_module(module)).items():
            if not inspect.isclass(value) or not value.__module__.startswith(module) or name.startswith("_"):
                continue
            # The errors share the example of their base class.
            if not issubclass(value, AngusError) or value is AngusError:
                yield value


def public_methods() -> Iterator[Any]:
    for name in vars(AngusHook):
        value = getattr(AngusHook, name)
        if inspect.isroutine(value) and not name.startswith("_"):
            yield value


def example_of(documented: Any) -> str:
    """Return the code of the ``Example::`` block of a docstring, without indentation; empty if it has none."""
    _, _, block = (inspect.cleandoc(documented.__doc__ or "")).partition("Example::")
    lines = block.split("\n")[1:]
    end = next((number for number, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    return textwrap.dedent("\n".join(lines[:end])).strip()


def name_of(documented: Any) -> str:
    return f"{documented.__module__}.{documented.__qualname__}".removeprefix(f"{airflow_provider_angus.__name__}.")


@pytest.mark.parametrize("documented", [*public_classes(), *public_methods()], ids=name_of)
@pytest.mark.usefixtures("connection")
def test_docstring_example_runs(documented: Any, sandbox: Sandbox) -> None:
    code = example_of(documented)
    assert code, "no Example:: block"
    module = vars(importlib.import_module(documented.__module__))
    namespace = {**module, **NAMES, "sandbox": sandbox}
    try:
        exec(compile(code, name_of(documented), "exec", dont_inherit=True), namespace)  # noqa: S102
    except ImportError as error:
        if error.name not in VERSION_MODULES:
            raise
        pytest.skip(f"{NEEDS} with {error.name}")


def test_example_of_returns_code_up_to_next_paragraph() -> None:
    class Documented:
        """Summary.

        Example::

            first()

            if second:
                third()

        :param text: no code.
        """

    assert example_of(Documented) == "first()\n\nif second:\n    third()"
    assert example_of(type("Undocumented", (), {})) == ""
