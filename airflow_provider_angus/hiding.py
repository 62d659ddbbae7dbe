"""How a secret stays one: a server's words without it, however they write it, and objects that nobody pickles. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

#: From how many characters on a secret is looked for: a shorter one would be found by chance in an honest text.
SHORTEST_SECRET = 8


class HoldsSecrets:
    """What holds a secret, and so is not pickled: a pickle is plain text to whoever finds it."""

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        :raises TypeError: always.
        """
        raise TypeError(f"{type(self).__name__} holds secrets and is not pickled; pass on the connection's ID instead.")


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return a text with ``***`` where it shows a secret, as it is or as a URL, JSON, HTML or base64 writes it.

    :param text: what a server said.
    :param secrets: what to look for, from :data:`SHORTEST_SECRET` characters on.
    """
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            for writing in _writings(secret):
                text = text.replace(writing, "***")
    return text


def in_urls(secret: str) -> set[str]:
    """Return how URLs write a secret."""
    usual = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return usual | {re.sub("%..", lambda code: code[0].lower(), text) for text in usual}


@lru_cache(maxsize=64)
def _writings(secret: str) -> frozenset[str]:
    plain = {secret, html.escape(secret)} | in_urls(secret)
    return frozenset(
        plain | {json.dumps(text)[1:-1] for text in plain} | {secret.replace("/", "\\/")} | _in_base64(secret)
    )


def _in_base64(secret: str) -> set[str]:
    """Return how base64 writes a secret wherever it stands in a text, without letters that hold its neighbours."""
    raw, found = secret.encode(), set()
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"\0" * before + raw)[first:last].decode())
    return found
