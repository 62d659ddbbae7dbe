"""Sphinx configuration: ``make docs`` builds the site. Each warning is an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tools")]

# Importing the provider must not read or change the user's Airflow home.
for variable in [variable for variable in os.environ if variable.startswith("AIRFLOW")]:
    del os.environ[variable]
os.environ["AIRFLOW_HOME"] = str(HERE.parent / ".airflow" / "docs")

import airflow_provider_angus  # noqa: E402 (after Airflow's home is set)
from airflow_provider_angus._provider_info import CONNECTION_FIELD_BEHAVIOUR, CONNECTION_FIELDS  # noqa: E402

project = "airflow-provider-angus"
version = release = airflow_provider_angus.__version__
html_title = f"{project} {version}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "pages", "reference"]
exclude_patterns = ["_build", "snippets", "benchmarks.md"]
html_theme = "furo"
html_copy_source = html_show_copyright = False

# Broken links to pages and headings are warnings of MyST.
myst_enable_extensions = ["colon_fence", "substitution"]
myst_heading_anchors = 3

# The extension "reference" writes types into the descriptions of parameters.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
add_module_names = False
# Links to the API must work. Names of other packages are not linked.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!\.?(Angus|Sandbox|airflow_provider_angus)).*")]

_placeholders = CONNECTION_FIELD_BEHAVIOUR["placeholders"]


def _table(*head: str) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|"])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _extra_row(name: str, label: str, description: str, schema: dict[str, Any]) -> str:
    kind = f"{schema['type']}, required" if isinstance(schema["type"], str) else schema["type"][0]
    return _row(f"`{name}`", label, kind, description, _placeholders[name] and f"`{_placeholders[name]}`")


_standard = CONNECTION_FIELD_BEHAVIOUR["relabeling"].items()
myst_substitutions = {
    "standard_fields": "\n".join([_table("field", "label in the form"), *(_row(f"`{k}`", v) for k, v in _standard)]),
    "extra_fields": "\n".join(
        [
            _table("key in `extra`", "label in the form", "type", "meaning", "example"),
            *(_extra_row(name, **field) for name, field in CONNECTION_FIELDS.items()),
        ]
    ),
}
