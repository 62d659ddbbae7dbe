from __future__ import annotations

import json
import pickle
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from flows import authenticator
from hypothesis import given
from hypothesis import strategies as st
from samples import CREDENTIALS

from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.messages import Request
from airflow_provider_angus.api.redaction import (
    MAX_QUOTED,
    MIN_SECRET_LENGTH,
    contains_secret,
    percent_encoded,
    quote_untrusted,
    redact,
)
from airflow_provider_angus.api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

#: It has the characters that URLs and JSON escape.
SECRET = 'p/a+s&s"w%ör<d=~ of mine'
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "URL path": quote,
    "URL": lambda text: quote(text, safe=""),
    "URL query": quote_plus,
    "lower-case URL": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "URL in JSON": lambda text: json.dumps(quote(text))[1:-1],
}
forms = pytest.mark.parametrize("write", FORMS.values(), ids=FORMS.keys())


@forms
def test_redact_replaces_secret_in_each_form(write: Callable[[str], str]) -> None:
    assert redact(f"received {write(SECRET)}, sorry", ["another secret", SECRET]) == "received ***, sorry"


@forms
def test_contains_secret_finds_secret_in_each_form(write: Callable[[str], str]) -> None:
    assert contains_secret(f'{{"you": "{write(SECRET)}"}}'.encode(), SECRET)
    assert not contains_secret(write(SECRET)[:-1].encode(), SECRET)


def test_redact_replaces_escaped_slashes() -> None:
    """PHP writes slashes in JSON like this."""
    assert redact(r"received some\/secret\/path", ["some/secret/path"]) == "received ***"


@given(st.text(max_size=20), st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=MIN_SECRET_LENGTH))
def test_redact_any_secret_disappears(text: str, secret: str) -> None:
    assert secret not in redact(text + secret + text, [secret])


@pytest.mark.parametrize("secret", ["true", "x" * (MIN_SECRET_LENGTH - 1)])
def test_short_secret_is_not_redacted(secret: str) -> None:
    """It would match harmless text by chance."""
    assert redact(f"a {secret} word", [secret]) == f"a {secret} word"
    assert not contains_secret(secret.encode(), secret)


def test_quote_untrusted_redacts_before_it_shortens() -> None:
    text = "x" * (MAX_QUOTED - 5) + SECRET
    assert quote_untrusted(text, [SECRET]) == "x" * (MAX_QUOTED - 5) + "***"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("two\nlines", "two lines"),
        ("x" * MAX_QUOTED, "x" * MAX_QUOTED),
        ("x" * (MAX_QUOTED + 1), "x" * MAX_QUOTED + "…"),
    ],
    ids=["lines", "longest", "too long"],
)
def test_quote_untrusted_returns_one_short_line(text: str, quoted: str) -> None:
    assert quote_untrusted(text) == quoted


def test_percent_encoded_returns_all_forms() -> None:
    assert percent_encoded("p/w ö") == {
        *["p/w%20%C3%B6", "p%2Fw%20%C3%B6", "p%2Fw+%C3%B6"],
        *["p/w%20%c3%b6", "p%2fw%20%c3%b6", "p%2fw+%c3%b6"],
    }


@pytest.mark.parametrize(
    "holder",
    [
        CREDENTIALS,
        Settings(CREDENTIALS),
        authenticator(),
        TokenCache(),
        Request("GET", "https://data.example", token="a.b.c"),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_object_with_secrets_cannot_be_pickled(holder: object) -> None:
    with pytest.raises(TypeError, match="holds secrets and cannot be pickled. Pass the connection ID instead"):
        pickle.dumps(holder)
