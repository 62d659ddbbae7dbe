"""Search text, files, databases and browser recordings for secrets."""

from __future__ import annotations

import base64
import html
import json
import pickle
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, quote_plus

from clients import visible_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


def encoded_forms(secret: str) -> set[str]:
    """Return the forms of a secret in text: plain, percent-encoded, JSON-escaped, HTML-escaped and base64."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), repr(secret)[1:-1]}
    forms |= {json.dumps(form)[1:-1] for form in forms} | {secret.replace("/", "\\/")}
    for offset in range(3):
        # The secret's position in the encoded text determines its form. The first and last characters of the form also
        # encode neighbouring bytes.
        raw = b" " * offset + secret.encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(raw).rstrip(b"=")[-(-offset * 8 // 6) : len(raw) * 8 // 6].decode())
    return forms


def find_leaks(secrets: Iterable[str], contents: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return the names of the contents that hold a form of a secret."""
    forms = [form.encode() for secret in secrets for form in encoded_forms(secret)]
    return [name for name, content in contents if any(form in content for form in forms)]


def read_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file in a folder, including its subfolders."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path.read_bytes()


def read_responses(har: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content (headers and body) of each response in a browser's recording."""
    for entry in json.loads(har.read_bytes())["log"]["entries"]:
        response = entry["response"]
        body = response["content"].get("text", "")
        body = base64.b64decode(body) if response["content"].get("encoding") == "base64" else body.encode()
        yield f"response to {entry['request']['url']}", json.dumps(response["headers"]).encode() + body


def read_requests(har: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the URL and content (URL, headers and body) of each request in a browser's recording."""
    for entry in json.loads(har.read_bytes())["log"]["entries"]:
        yield entry["request"]["url"], json.dumps(entry["request"]).encode()


class SecretSearch:
    """Searches for secrets. It counts the searched bytes and the matches by secret and location.

    :param secrets: the secrets by name.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names = {form.encode(): name for name, secret in secrets.items() for form in encoded_forms(secret)}
        self.size = 0
        self.found: Counter[str] = Counter()
        self.filled_tables: set[str] = set()

    def search(self, location: str, content: object) -> Self:
        """Search bytes, or the text of any other object."""
        raw = content if isinstance(content, bytes) else str(content).encode(errors="surrogatepass")
        self.size += len(raw)
        for form, name in self._names.items():
            if matches := raw.count(form):
                at = raw.index(form)
                print(f"{name} in {location}: {raw[max(at - 300, 0) : at + 120]!r}")
                self.found[f"{name} in {location}"] += matches
        return self

    def search_object(self, thing: object) -> None:
        """Search an object's repr and text, and its pickle or the reason why it cannot be pickled."""
        name = type(thing).__name__
        self.search(f"repr of {name}", f"{thing!r} {thing}")
        try:
            self.search(f"pickle of {name}", pickle.dumps(thing))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            self.search(f"pickle error of {name}", error)

    def search_error(self, error: BaseException) -> None:
        """Search an error, its traceback and its causes. ``raise ... from None`` hides a context."""
        for text in visible_texts(error):
            self.search(f"error {type(error).__name__}", text)
        self.search_object(error)

    def search_folder(self, folder: Path) -> Self:
        """Search all files of a folder, and each value of its SQLite databases."""
        for name, content in read_files(folder):
            self.search(name, content)
            if content.startswith(b"SQLite format 3"):
                self._search_database(folder / name)
        return self

    def _search_database(self, path: Path) -> None:
        # SQLite stores a long value in several pieces, so the search of the file can miss a secret.
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 (a name from the database)
                    self.filled_tables.add(table)
                    for value in row:
                        if isinstance(value, str | bytes):
                            self.search(f"table {table}", value)
