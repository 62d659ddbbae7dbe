"""``make docs``: write docs/reference.md from the signatures and docstrings of the public classes.

``--check`` writes nothing. It exits with 1 if the file is outdated. Both commands fail if a docstring lacks a parameter
or describes a parameter that does not exist.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import re
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "docs" / "reference.md"
PACKAGE = "airflow_provider_angus"

#: The sections of the page, and the names from other modules that each section documents too.
SECTIONS = {
    "operators": ["loading.manifests.EventExtra"],
    "transfers": ["loading.manifests.SqlManifest", "loading.manifests.FileManifest"],
    "audits": [
        "loading.sql_audit.AuditReport",
        "loading.sql_audit.StreamAudit",
        "loading.sql_audit.AuditDifference",
        "loading.sql_audit.AuditCounts",
    ],
    "sensors": [],
    "triggers": [],
    "hooks": ["model.entities.RowKey", "model.entities.check_metrics"],
    "retry_policy": [],
    "links": [],
    "exceptions": ["exceptions.is_retryable"],
    "sandbox": [],
}

#: Sections with methods. Airflow calls the methods of the classes in the other sections.
WITH_METHODS = {"hooks", "sandbox"}

TOP = """\
# Reference

This page documents every public class. `make docs` writes it from the docstrings. The [README](../README.md) explains
how to use the provider.
"""

FIELD = re.compile(r"^:(param|returns|raises)\b *([^:]*): *(.*(?:\n[ \t]+\S.*)*)\n?", re.MULTILINE)


class Docstring(NamedTuple):
    """The parts of a docstring. Texts of fields are single lines."""

    text: str
    params: dict[str, str]
    returns: str
    raises: list[tuple[str, str]]
    example: str


def parse(docstring: str | None) -> Docstring:
    """Parse a docstring with reST fields and an ``Example::`` block."""
    text = inspect.cleandoc(docstring or "")
    fields = [(kind, subject, " ".join(body.split())) for kind, subject, body in FIELD.findall(text)]
    text, _, example = FIELD.sub("", text).partition("Example::\n")
    code, *rest = re.split(r"\n(?=\S)", example, maxsplit=1)
    return Docstring(
        text="\n\n".join(filter(None, [text.strip(), *rest])),
        params={subject: body for kind, subject, body in fields if kind == "param"},
        returns=next((body for kind, _, body in fields if kind == "returns"), ""),
        raises=[(subject, body) for kind, subject, body in fields if kind == "raises"],
        example=inspect.cleandoc(code),
    )


def public_classes(module: Any) -> list[type]:
    """Return the public classes that a module defines, in source order, or those of a package's ``__all__``."""
    if hasattr(module, "__path__"):
        return [getattr(module, name) for name in module.__all__]
    return [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


def own(cls: type) -> list[type]:
    """Return the classes of this package in a class's MRO."""
    return [each for each in cls.__mro__ if each.__module__.startswith(PACKAGE)]


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return a function's parameters by name, without ``self``, ``*args`` and ``**kwargs``."""
    variable = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    found = inspect.signature(function).parameters
    return {name: each for name, each in found.items() if name not in {"self", "cls"} and each.kind not in variable}


def init_of(cls: type) -> tuple[dict[str, inspect.Parameter], dict[str, str]]:
    """Return a class's parameters and their descriptions, including the parameters of its base classes.

    The parameters of the class come first. Its descriptions override those of the base classes.
    """
    found: dict[str, inspect.Parameter] = {}
    described: dict[str, str] = {}
    for each in own(cls):
        init = vars(each).get("__init__")
        found = found | {name: one for name, one in (parameters(init) if init else {}).items() if name not in found}
        described = parse(each.__doc__).params | parse(init.__doc__ if init else None).params | described
    return found, described


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the names and functions of a class's public methods and properties."""
    if not set(cls.__module__.split(".")) & WITH_METHODS:
        return
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if not name.startswith("_") and (inspect.isfunction(function) or isinstance(member, property)):
            yield name, function


def mismatches(cls: type) -> list[str]:
    """Return the undescribed and the unknown parameters of a class and its methods."""
    found = compare(cls.__name__, *init_of(cls))
    for name, member in methods(cls):
        if not isinstance(member, property):
            found += compare(f"{cls.__name__}.{name}", parameters(member), parse(member.__doc__).params)
    return found


def compare(name: str, found: dict[str, Any], described: dict[str, str]) -> list[str]:
    """Return the differences between a signature and a docstring."""
    return [f"{name}: parameter {each!r} is not described" for each in found if each not in described] + [
        f"{name}: parameter {each!r} does not exist" for each in described if each not in found
    ]


def markdown(text: str) -> str:
    """Convert a docstring's text to Markdown: roles and literals become code, literal blocks are fenced."""
    text = re.sub(r":(?:class|func|meth|mod|attr|data):`~?([^`]+)`", lambda found: f"`{short(found[1])}`", text)
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
    """Return a dotted name without the package and without the module of a class."""
    name = path.removeprefix(f"{PACKAGE}.")
    return name.rpartition(".")[2] if name.rpartition(".")[2][:1].isupper() else name


def cell(text: str) -> str:
    """Return Markdown for a table cell."""
    return markdown(text).replace("|", "\\|")


@functools.cache
def aliases() -> dict[str, str]:
    """Return the package's type aliases by name, as source text: ``Literal['jsonl', 'csv']``, ``str | date``."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(
                    [ast.Name(name)], (ast.BinOp(op=ast.BitOr()) | ast.Subscript(ast.Name("Literal"))) as value
                ):
                    found[name] = ast.unparse(value)
    return found


def annotation(value: Any) -> str:
    """Return an annotation with aliases expanded, and with ``'a' | 'b'`` instead of ``Literal['a', 'b']``."""
    text = re.sub(r"\b[A-Z]\w+\b", lambda found: aliases().get(found[0], found[0]), str(value))
    return re.sub(r"Literal\[(.*?)\]", lambda found: found[1].replace(", ", " | "), text)


def default_of(parameter: inspect.Parameter) -> str:
    """Return a parameter's default as Markdown."""
    if parameter.default is parameter.empty:
        return "required"
    # The signature of a dataclass does not tell its default factories.
    return "a new object" if repr(parameter.default) == "<factory>" else cell(f"`{parameter.default!r}`")


def table(found: dict[str, inspect.Parameter], described: dict[str, str]) -> list[str]:
    """Return the parameters as a table."""
    if not found:
        return []
    rows = ["| parameter | type | default | description |", "|---|---|---|---|"]
    for name, each in found.items():
        kind = cell(f"`{annotation(each.annotation)}`")
        rows.append(f"| `{name}` | {kind} | {default_of(each)} | {cell(described.get(name, ''))} |")
    return ["\n".join(rows)]


def keys(cls: type) -> list[str]:
    """Return the keys of a ``TypedDict`` as a table."""
    if not typing.is_typeddict(cls):
        return []
    hints = {name: inspect.formatannotation(hint) for name, hint in typing.get_type_hints(cls).items()}
    rows = [f"| `{name}` | {cell(f'`{hint}`')} |" for name, hint in hints.items()]
    return ["\n".join(["| key | type |", "|---|---|", *rows])]


def outcome(docstring: Docstring) -> list[str]:
    """Return the return value, the exceptions and the example as Markdown."""
    parts = [f"**Returns** {markdown(docstring.returns)}"] if docstring.returns else []
    if docstring.raises:
        parts.append("\n".join(f"- **Raises** `{name}`: {markdown(reason)}" for name, reason in docstring.raises))
    if docstring.example:
        parts += ["**Example**", f"```python\n{docstring.example}\n```"]
    return parts


def function_section(title: str, function: Callable[..., Any]) -> list[str]:
    """Return the section of a function or method."""
    docstring = parse(function.__doc__)
    return [title, markdown(docstring.text), *table(parameters(function), docstring.params), *outcome(docstring)]


def signature(function: Callable[..., Any]) -> str:
    """Return a function's parameters and defaults in parentheses."""
    words = []
    for name, each in parameters(function).items():
        if each.kind is each.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(name if each.default is each.empty else f"{name}={each.default!r}")
    return f"({', '.join(words)})"


def class_section(cls: type, module: str) -> list[str]:
    """Return the section of a class."""
    docstring, init = parse(cls.__doc__), parse(getattr(vars(cls).get("__init__"), "__doc__", None))
    bases = [each.__name__ for each in cls.__bases__ if each.__name__ != "object" and not each.__name__.startswith("_")]
    if typing.is_typeddict(cls):
        bases = ["TypedDict"]
    origin = f", derived from {' and '.join(f'`{base}`' for base in bases)}" if bases else ""
    parts = [
        f"### {cls.__name__}",
        f"`{PACKAGE}.{module}.{cls.__name__}`{origin}",
        markdown(docstring.text),
        *keys(cls),
        *table(*init_of(cls)),
        *outcome(docstring),
        *outcome(init),
    ]
    for name, member in methods(cls):
        if isinstance(member, property):
            described = parse(member.__doc__)
            parts += [f"#### `{name}`", markdown(described.text), *outcome(described)]
        else:
            parts += function_section(f"#### `{name}{signature(member)}`", member)
    return parts


def page() -> str:
    """Return the text of the page.

    :raises ValueError: a parameter is not described, or a described parameter does not exist.
    """
    parts = [TOP.strip()]
    wrong = []
    for section, others in SECTIONS.items():
        module = importlib.import_module(f"{PACKAGE}.{section}")
        parts += [f"## {section}", markdown(inspect.cleandoc(module.__doc__ or ""))]
        for cls in public_classes(module):
            wrong += mismatches(cls)
            parts += class_section(cls, section)
        for path in others:
            home, _, name = path.rpartition(".")
            value = getattr(importlib.import_module(f"{PACKAGE}.{home}"), name)
            if inspect.isclass(value):
                wrong += mismatches(value)
                parts += class_section(value, home)
            else:
                wrong += compare(path, parameters(value), parse(value.__doc__).params)
                parts += function_section(f"### `{path}{signature(value)}`", value)
    if wrong:
        raise ValueError("\n".join(wrong))
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> int:
    """Write or check the page and return the exit code."""
    try:
        text = page()
    except ValueError as error:
        print(error)
        return 1
    if "--check" in sys.argv:
        if not PATH.exists() or PATH.read_text() != text:
            print(f"{PATH.relative_to(ROOT)} is outdated. Run make docs.")
            return 1
        return 0
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text)
    return 0


if __name__ == "__main__":
    for variable in [variable for variable in os.environ if variable.startswith("AIRFLOW")]:
        del os.environ[variable]
    # Importing the provider must not read or change the user's Airflow home.
    os.environ["AIRFLOW_HOME"] = str(ROOT / ".airflow" / "reference")
    sys.exit(main())
