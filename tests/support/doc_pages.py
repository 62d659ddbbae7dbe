"""The pages of the documentation, and their code blocks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SNIPPETS = DOCS / "snippets"

#: All pages by their path in the clone. Those of the reference show docstrings, which other tests run.
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    if not {"_build", "reference"} & set(path.parts)
}


class Block(NamedTuple):
    """A code block: its page, the number of its first line, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


#: All code blocks. MyST's directives, such as ``{include}``, are no code.
BLOCKS = [
    Block(page, token.map[0] + 2, token.info.strip(), token.content)
    for page, text in PAGES.items()
    for token in MarkdownIt().parse(text)
    if token.type == "fence" and not token.info.startswith("{")
]
