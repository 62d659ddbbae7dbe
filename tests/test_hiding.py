"""A secret stays one: whichever way a server writes it, and whoever pickles what holds it."""

from __future__ import annotations

import base64
import html
import json
import pickle
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from dialogue import CREDENTIALS, stream
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.answers import Request
from airflow_provider_angus.connection import Settings
from airflow_provider_angus.hiding import SHORTEST_SECRET, hidden
from airflow_provider_angus.tokens import TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable

#: All of what URLs, JSON and HTML write in ways of their own.
SECRET = 'p/a+s&s"w%ör<d=~ of mine'
WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "for a path": quote,
    "for a URL": lambda text: quote(text, safe=""),
    "for a query": quote_plus,
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in PHP's JSON": lambda text: text.replace("/", "\\/"),
    "in HTML": html.escape,
    "in HTML in JSON": lambda text: json.dumps(html.escape(text))[1:-1],
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_secret_is_hidden_in_each_way_that_servers_write_it(write: Callable[[str], str]) -> None:
    assert hidden(f"told {write(SECRET)}, sorry", ["another secret", SECRET]) == "told ***, sorry"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@given(secret=st.text(min_size=SHORTEST_SECRET), before=st.text(max_size=9), after=st.text(max_size=9))
def test_a_secret_is_hidden_in_base64_wherever_it_stands(
    encode: Callable[[bytes], bytes], secret: str, before: str, after: str
) -> None:
    raw = secret.encode()
    left = hidden(encode(before.encode() + raw + after.encode()).decode(), [secret])
    # Letters at its edges hold less than one of its bytes.
    assert "***" in left
    assert len(left) < len(before.encode() + after.encode()) * 4 / 3 + 10


def test_a_short_secret_stays_as_it_may_be_in_any_text() -> None:
    assert hidden("a true word", ["true"]) == "a true word"


@pytest.mark.parametrize(
    "holder",
    [CREDENTIALS, Settings(CREDENTIALS), stream(), TokenCache(), Request("GET", "https://data.example", token="a.b.c")],
    ids=lambda holder: type(holder).__name__,
)
def test_what_holds_secrets_is_not_pickled(holder: object) -> None:
    with pytest.raises(TypeError, match="holds secrets and is not pickled"):
        pickle.dumps(holder)
