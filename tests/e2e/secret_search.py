"""Where a secret stands that should not: in clear, in URLs, in JSON, in HTML, in base64."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def writings(secret: str) -> set[str]:
    """Return the ways in which a secret may be written down: plain, for a URL, for JSON and HTML, in base64."""
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), repr(secret)[1:-1]}
    found |= {json.dumps(text)[1:-1] for text in found} | {secret.replace("/", "\\/")}
    for before in range(3):
        # Where a text stands among others decides how base64 writes it; at its edges it shares letters with them.
        raw = b" " * before + secret.encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(raw).rstrip(b"=")[-(-before * 8 // 6) : len(raw) * 8 // 6].decode())
    return found


def leaks(secrets: Iterable[str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return the names of the places that hold one of the secrets, however written."""
    looks = [writing.encode() for secret in secrets for writing in writings(secret)]
    return [name for name, content in places if any(look in content for look in looks)]


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each file of a folder, databases too."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path.read_bytes()


def answers(har: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each answer that a browser got: head and body."""
    for entry in json.loads(har.read_bytes())["log"]["entries"]:
        answer = entry["response"]
        body = answer["content"].get("text", "")
        body = base64.b64decode(body) if answer["content"].get("encoding") == "base64" else body.encode()
        yield f"the answer to {entry['request']['url']}", json.dumps(answer["headers"]).encode() + body


def requests(har: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each request that a browser sent: address, head and body."""
    for entry in json.loads(har.read_bytes())["log"]["entries"]:
        yield entry["request"]["url"], json.dumps(entry["request"]).encode()
