"""Sphinx extension: complete the reference. A public class or parameter without a description is a warning.

Operators take their base classes' parameters as ``**kwargs``. Here, a class has these parameters, too: in its
signature, and with their types in its description.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging
from sphinx.util.inspect import stringify_signature

import airflow_provider_angus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

log = logging.getLogger(__name__)

PACKAGE = airflow_provider_angus.__name__
FOLDER = Path(airflow_provider_angus.__file__).parent
PARAM = re.compile(r"^:param (\w+):(?:.*\n?)(?:[ \t]+.*\n?)*", re.MULTILINE)
VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return a function's parameters by name, without ``self``, ``*args`` and ``**kwargs``."""
    found = inspect.signature(function).parameters
    return {name: each for name, each in found.items() if name not in {"self", "cls"} and each.kind not in VARIABLE}


def described(documented: object) -> dict[str, str]:
    """Return the ``:param:`` fields of a docstring by name."""
    text = inspect.cleandoc(getattr(documented, "__doc__", None) or "")
    return {match[1]: match[0].rstrip() for match in PARAM.finditer(text)}


def class_parameters(cls: type) -> tuple[dict[str, inspect.Parameter], dict[str, str]]:
    """Return the parameters of a class and of its base classes in this package, and their descriptions."""
    found: dict[str, inspect.Parameter] = {}
    fields: dict[str, str] = {}
    for each in [each for each in cls.__mro__ if each.__module__.startswith(PACKAGE)]:
        init = vars(each).get("__init__")
        found = found | {name: own for name, own in (parameters(init) if init else {}).items() if name not in found}
        fields = described(each) | (described(init) if init else {}) | fields
    return found, fields


@functools.cache
def aliases() -> dict[str, str]:
    """Return the package's type aliases by name, as source text: ``Literal['jsonl', 'csv']``, ``str | date``."""
    found = {}
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(
                    [ast.Name(name)], (ast.BinOp(op=ast.BitOr()) | ast.Subscript(ast.Name("Literal"))) as value
                ):
                    found[name] = ast.unparse(value)
    return found


def annotation(value: Any) -> str:
    """Return an annotation with the package's aliases expanded."""
    text = value if isinstance(value, str) else inspect.formatannotation(value)
    return re.sub(r"\b[A-Z]\w+\b", lambda found: aliases().get(found[0], found[0]), text)


class Omitted:
    """A default value that has no short representation."""

    def __repr__(self) -> str:
        return "..."


def signature_of(found: dict[str, inspect.Parameter]) -> str:
    """Return parameters as a signature, those with defaults last. Objects as defaults are ``...``."""
    shown = [
        each
        if isinstance(each.default, str | int | float | timedelta | None) or each.default is each.empty
        else each.replace(default=Omitted())
        for each in found.values()
    ]
    ordered = sorted(shown, key=lambda each: (each.kind, each.default is not each.empty))
    return stringify_signature(inspect.Signature(ordered), show_annotation=False)


def write_signature(_app: Sphinx, what: str, name: str, documented: Any, *_: Any) -> tuple[str | None, None] | None:
    """Add the parameters of the base classes to the signature of a class."""
    if what not in {"class", "exception"} or not name.startswith(PACKAGE):
        return None
    found, _fields = class_parameters(documented)
    return (signature_of(found) if found else None), None


def complete_docstring(_app: Sphinx, what: str, name: str, documented: Any, _options: Any, lines: list[str]) -> None:
    """Add types, and the descriptions of the base classes' parameters. Warn about what is missing."""
    if what == "module" or not name.startswith(PACKAGE):
        return
    if not any(lines):
        log.warning("%s has no docstring.", name)
    types: list[str] = []
    if what in {"class", "exception"}:
        found, fields = class_parameters(documented)
        # The parameters of some classes are described in __init__.
        lines += inspect.cleandoc(getattr(vars(documented).get("__init__"), "__doc__", None) or "").splitlines()
    elif what in {"function", "method"}:
        found, fields = parameters(documented), described(documented)
        returned = inspect.signature(documented).return_annotation
        if returned not in {None, "None", inspect.Signature.empty}:
            types += [f":rtype: {annotation(returned)}"]
    else:
        return
    for problem in differences(found, fields):
        log.warning("%s: %s", name, problem)
    own = PARAM.findall("\n".join(lines))
    inherited = [line for each in found if each not in own for line in fields.get(each, "").splitlines()]
    types += [f":type {each}: {annotation(parameter.annotation)}" for each, parameter in found.items()]
    # After the last parameter of the class itself, or before the other fields, or at the end.
    text = "\n".join([*lines, ""])
    last = max((match.end() for match in PARAM.finditer(text)), default=None)
    other = re.search(r"^:(returns|raises)", text, re.MULTILINE)
    at = last or (other.start() if other else len(text))
    added = "\n".join([*([] if last or other else [""]), *inherited, *types, ""])
    lines[:] = (text[:at] + added + text[at:]).splitlines()


def differences(found: dict[str, Any], fields: dict[str, str]) -> Iterator[str]:
    """Yield the differences between parameters and descriptions."""
    yield from (f"parameter {each!r} has no description" for each in found if each not in fields)
    yield from (f"parameter {each!r} does not exist" for each in fields if each not in found)


def public_classes() -> Iterator[str]:
    """Yield the full names of the classes of the public modules, and of the sandbox's ``__all__``."""
    for each in pkgutil.iter_modules([str(FOLDER)], f"{PACKAGE}."):
        short = each.name.removeprefix(f"{PACKAGE}.")
        # The plugin has no classes, and needs pytest.
        if short.startswith("_") or short == "pytest_plugin" or (each.ispkg and short != "sandbox"):
            continue
        module = importlib.import_module(each.name)
        for name, value in vars(module).items():
            own = inspect.isclass(value) and value.__module__ == each.name
            if (own and not name.startswith("_")) or name in getattr(module, "__all__", ()):
                yield f"{each.name}.{name}"


def check_reference(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn about public classes that no page documents."""
    for name in public_classes():
        if name not in env.domains.python_domain.objects:
            log.warning("%s is not in the reference.", name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the functions above to autodoc."""
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-docstring", complete_docstring)
    app.connect("env-check-consistency", check_reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
