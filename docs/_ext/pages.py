"""Sphinx extension: check the code blocks and pictures of pages. Each problem is a warning, so ``make docs`` fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pictures
from docutils import nodes
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
#: The tests run or parse the blocks in these languages. Text is output.
LANGUAGES = {"python", "shell", "json", "yaml", "ini", "toml", "text"}
#: The tests run the files of these folders.
TESTED = [ROOT / "example_dags", ROOT / "docs" / "snippets"]


def check_page(app: Sphinx, doctree: nodes.document) -> None:
    """Warn about code that no test runs, and about pictures without an alternative text."""
    if not app.env.docname.startswith("reference/"):  # its code is in docstrings, which the tests run
        for block in doctree.findall(nodes.literal_block):
            source = block.get("source")
            if source and not any(Path(source).is_relative_to(folder) for folder in TESTED):
                log.warning("No test runs %s. Include files of example_dags or docs/snippets.", source, location=block)
            if not source and block.get("language") not in LANGUAGES:
                expected = ", ".join(sorted(LANGUAGES))
                log.warning("Code block in %r: expected one of %s.", block.get("language"), expected, location=block)
    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            log.warning("Picture %s has no alternative text.", image["uri"], location=image)


def check_files(_app: Sphinx) -> None:
    """Warn about outdated pictures, and about broken links of the pages outside of ``docs``."""
    for problem in pictures.outdated():
        log.warning(problem)
    for name in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / name).read_text()):
            if "://" not in link and not (ROOT / link).exists():
                log.warning("%s links to %s, which does not exist.", name, link)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the checks."""
    app.connect("builder-inited", check_files)
    app.connect("doctree-read", check_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
