"""Where a secret stands that should not: in clear, in URLs, in base64."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def forms(secret: str) -> set[bytes]:
    """Return what a secret looks like: itself, as in a URL, and in base64 whatever stands before and after it."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode()}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        # The characters that hold bits of this secret alone.
        known = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found |= {known, known.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def leaks(secrets: Iterable[str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return the names of the places that hold one of the secrets in one of its forms."""
    looks = [form for secret in secrets for form in forms(secret)]
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
