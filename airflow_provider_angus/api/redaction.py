"""Keep secrets out of messages: redact server text, and refuse to pickle objects that hold secrets. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NoReturn
from urllib.parse import quote, quote_plus

from airflow_provider_angus.model.text import sanitize_line

#: Shorter secrets are not redacted: they match harmless text by chance.
MIN_SECRET_LENGTH = 8

#: The longest quotation of server text, in characters.
MAX_QUOTED = 300

# Errors of requests contain the URL with its query.
_MAX_CAUSE = 1000


class NotPicklable:
    """A mixin for objects that hold a secret: a pickle is plain text."""

    def __reduce__(self) -> NoReturn:
        """Raise TypeError."""
        raise TypeError(f"{type(self).__name__} holds secrets and cannot be pickled. Pass the connection ID instead.")


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return text with ``***`` in place of each secret: plain, percent-encoded or JSON-escaped."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET_LENGTH:
            for form in _forms(secret):
                text = text.replace(form, "***")
    return text


def contains_secret(data: bytes, secret: str) -> bool:
    """Return whether a response's body contains a secret: plain, percent-encoded or JSON-escaped."""
    return len(secret) >= MIN_SECRET_LENGTH and any(form.encode() in data for form in _forms(secret))


def quote_untrusted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return text for a message: redacted, on one printable line, at most :data:`MAX_QUOTED` characters."""
    line = sanitize_line(redact(text, secrets))
    return line if len(line) <= MAX_QUOTED else line[:MAX_QUOTED] + "…"


def safe_cause(error: BaseException, secrets: Collection[str]) -> BaseException | None:
    """Return an error as a cause, or None if its traceback would show a secret or much text of a server.

    :param error: an error of an HTTP library, with its own causes.
    :param secrets: secrets to search in their texts.
    """
    each: BaseException | None = error
    while each is not None:
        text = str(each)
        if len(text) > _MAX_CAUSE or not text.isprintable() or redact(text, secrets) != text:
            return None
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return error


def percent_encoded(secret: str) -> set[str]:
    """Return the percent-encoded forms of a secret, with upper-case and lower-case hexadecimal digits."""
    forms = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return forms | {re.sub("%..", lambda code: code[0].lower(), form) for form in forms}


@lru_cache(maxsize=64)
def _forms(secret: str) -> frozenset[str]:
    forms = {secret} | percent_encoded(secret)
    return frozenset(forms | {json.dumps(form)[1:-1] for form in forms} | {secret.replace("/", "\\/")})
