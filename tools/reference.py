"""``make docs``: the reference of every public class, docs/reference.md, from signatures and docstrings.

With ``--check`` nothing is written: it ends with 1 where the file is not what it would be. Either way it refuses
parameters that a docstring does not describe, and descriptions of parameters that are not there.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "docs" / "reference.md"
PACKAGE = "airflow_provider_angus"

#: Whose public classes are in the reference, and the functions that are.
MODULES = ["operators", "transfers", "sensors", "triggers", "watchers", "hooks", "links", "exceptions", "sandbox"]
FUNCTIONS = {"hooks": ["entities.read_row", "entities.check_metrics"], "exceptions": ["exceptions.can_be_retried"]}

#: Where methods are for users; those of the others are for Airflow.
WITH_METHODS = {"hooks", "sandbox"}

TOP = """\
# Reference

Every public class, as its code and docstrings have it; `make docs` writes this page, and tests fail where it is not
up to date. What things are for and how they fit together is in the [README](../README.md).
"""


class Docstring(NamedTuple):
    """A docstring's parts; the fields' texts are one line each."""

    text: str
    params: dict[str, str]
    returns: str
    raises: list[tuple[str, str]]


def parse(docstring: str | None) -> Docstring:
    """Take a docstring with Sphinx fields apart."""
    text, *fields = re.split(r"^:(?=(?:param|returns|raises)\b)", inspect.cleandoc(docstring or ""), flags=re.MULTILINE)
    parsed = Docstring(text.strip(), {}, "", [])
    for field in fields:
        name, _, told = field.partition(":")
        kind, _, subject = name.partition(" ")
        told = " ".join(told.split())
        if kind == "param":
            parsed.params[subject] = told
        elif kind == "raises":
            parsed.raises.append((subject, told))
        else:
            parsed = parsed._replace(returns=told)
    return parsed


def public_classes(module: Any) -> list[type]:
    """Return a module's own public classes, in the order of the code, or those of its ``__all__``."""
    if hasattr(module, "__path__"):
        return [getattr(module, name) for name in module.__all__]
    return [
        each
        for name, each in vars(module).items()
        if inspect.isclass(each) and each.__module__ == module.__name__ and not name.startswith("_")
    ]


def own(cls: type) -> list[type]:
    """Return a class and those of its bases that are ours."""
    return [each for each in cls.__mro__ if each.__module__.startswith(PACKAGE)]


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return a function's parameters by name, without ``self`` and ``**kwargs``."""
    variable = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    given = inspect.signature(function).parameters
    return {name: each for name, each in given.items() if name not in {"self", "cls"} and each.kind not in variable}


def init_of(cls: type) -> tuple[dict[str, inspect.Parameter], dict[str, str]]:
    """Return what a class is made with, its bases' parameters among it, and how that is described.

    The class's own parameters come first; where several describe one, the nearest counts.
    """
    given: dict[str, inspect.Parameter] = {}
    described: dict[str, str] = {}
    for each in own(cls):
        init = vars(each).get("__init__")
        given |= {name: one for name, one in (parameters(init) if init else {}).items() if name not in given}
        told = parse(each.__doc__).params | parse(init.__doc__ if init else None).params
        described |= {name: one for name, one in told.items() if name not in described}
    return given, described


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield a class's public methods and properties, with their names, where these are for users."""
    if not set(cls.__module__.split(".")) & WITH_METHODS:
        return
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if not name.startswith("_") and (inspect.isfunction(function) or isinstance(member, property)):
            yield name, function


def mismatches(cls: type) -> list[str]:
    """Return which parameters of a class and its methods are not described, and which descriptions describe none."""
    found = compare(cls.__name__, *init_of(cls))
    for name, member in methods(cls):
        if not isinstance(member, property):
            found += compare(f"{cls.__name__}.{name}", parameters(member), parse(member.__doc__).params)
    return found


def compare(name: str, given: dict[str, Any], described: dict[str, str]) -> list[str]:
    """Return the differences between what there is and what is described."""
    return [f"{name}: parameter {each!r} is not described" for each in given if each not in described] + [
        f"{name}: there is no parameter {each!r}" for each in described if each not in given
    ]


def markdown(text: str) -> str:
    """Return a docstring's text as Markdown: roles and literals as code, literal blocks fenced."""
    text = re.sub(r":(?:class|func|meth|mod|attr):`~?([^`]+)`", lambda found: f"`{short(found[1])}`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        indented = line.startswith("    ")
        if indented and not fenced:
            lines += ["```text"]
        elif fenced and line and not indented:
            lines[-1:] = ["```", ""]
        fenced = indented or (fenced and not line)
        lines.append(line[4:] if indented else line)
    return "\n".join([*lines, *["```"] * fenced]).replace("::\n\n```", ":\n\n```")


def short(path: str) -> str:
    """Return a name without the package in front, and a class's without its module."""
    name = path.removeprefix(f"{PACKAGE}.")
    return name.rpartition(".")[2] if name.rpartition(".")[2][:1].isupper() else name


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return markdown(text).replace("|", "\\|")


def table(given: dict[str, inspect.Parameter], described: dict[str, str]) -> list[str]:
    """Return parameters as a table."""
    if not given:
        return []
    rows = ["| parameter | type | default | |", "|---|---|---|---|"]
    for name, each in given.items():
        default = "required" if each.default is each.empty else f"`{each.default!r}`"
        rows.append(f"| `{name}` | {cell(f'`{each.annotation}`')} | {default} | {cell(described.get(name, ''))} |")
    return ["\n".join(rows)]


def outcome(told: Docstring) -> list[str]:
    """Return what comes back and what may be raised."""
    returns = [f"**Returns** {markdown(told.returns)}"] if told.returns else []
    raises = "\n".join(f"- **Raises** `{name}`: {markdown(why)}" for name, why in told.raises)
    return [*returns, *([raises] if raises else [])]


def function_section(title: str, function: Callable[..., Any]) -> list[str]:
    """Return a function's or method's part of the page."""
    told = parse(function.__doc__)
    return [f"{title}", markdown(told.text), *table(parameters(function), told.params), *outcome(told)]


def signature(function: Callable[..., Any]) -> str:
    """Return how a function is called, in short."""
    words = []
    for name, each in parameters(function).items():
        if each.kind is each.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(name if each.default is each.empty else f"{name}={each.default!r}")
    return f"({', '.join(words)})"


def class_section(cls: type, module: str) -> list[str]:
    """Return a class's part of the page."""
    told, init = parse(cls.__doc__), parse(getattr(vars(cls).get("__init__"), "__doc__", None))
    given, described = init_of(cls)
    bases = [each.__name__ for each in cls.__bases__ if each.__name__ != "object" and not each.__name__.startswith("_")]
    parts = [
        f"### {cls.__name__}",
        f"`{PACKAGE}.{module}.{cls.__name__}`"
        + (f", derived from {' and '.join(f'`{base}`' for base in bases)}" if bases else ""),
        markdown(told.text),
        *table(given, described),
        *outcome(told),
        *outcome(init),
    ]
    for name, member in methods(cls):
        if isinstance(member, property):
            parts += [f"#### `{name}`", markdown(parse(member.__doc__).text)]
        else:
            parts += function_section(f"#### `{name}{signature(member)}`", member)
    return parts


def page() -> str:
    """Return the reference.

    :raises ValueError: a parameter is not described, or one that is described is not there.
    """
    parts = [TOP.strip()]
    wrong = []
    for name in MODULES:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        parts += [f"## {name}", markdown(inspect.cleandoc(module.__doc__ or ""))]
        for cls in public_classes(module):
            wrong += mismatches(cls)
            parts += class_section(cls, name)
        for path in FUNCTIONS.get(name, []):
            home, _, function_name = path.partition(".")
            function = getattr(importlib.import_module(f"{PACKAGE}.{home}"), function_name)
            wrong += compare(path, parameters(function), parse(function.__doc__).params)
            parts += function_section(f"### `{path}{signature(function)}`", function)
    if wrong:
        raise ValueError("\n".join(wrong))
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write the page, or check it, and return the exit code."""
    try:
        text = page()
    except ValueError as error:
        print(error)
        return 1
    if "--check" in sys.argv:
        if not PATH.exists() or PATH.read_text() != text:
            print(f"{PATH.relative_to(ROOT)} is not what the docstrings say: make docs")
            return 1
        return 0
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text)
    return 0


if __name__ == "__main__":
    for variable in [variable for variable in os.environ if variable.startswith("AIRFLOW")]:
        del os.environ[variable]
    # Airflow's defaults are among those of the page.
    os.environ["AIRFLOW_HOME"] = str(ROOT / ".airflow" / "reference")
    sys.exit(main())
