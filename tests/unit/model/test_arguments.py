"""Reading and describing arguments of any type."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from strategies import Unprintable, arguments, endless, failing

from airflow_provider_angus.model.arguments import as_list, describe_argument, digits_as_text, is_name


class Connection:
    """Like Airflow's connection, whose ``repr`` contains its password."""

    def __repr__(self) -> str:
        return "Connection(password='secret')"


@pytest.mark.parametrize(
    ("value", "description"),
    [
        (None, "None"),
        (20231023, "int 20231023"),
        (True, "bool True"),
        ("a\nb", r"str 'a\nb'"),
        ("\ud800", r"str '\ud800'"),
        ("x" * 60, f"str '{'x' * 50}'"),
        (b"a", "bytes b'a'"),
        (["a", 1, None], "list ['a', 1, None]"),
        ({"a": [1]}, "dict {'a': [1]}"),
        (["x" * 60], f"list ['{'x' * 48}"),
        (date(2026, 11, 20), "date 2026-11-20"),
        (datetime(2026, 11, 20, 6, tzinfo=UTC), "datetime 2026-11-20 06:00:00+00:00"),
        (timedelta(hours=1), "timedelta 1:00:00"),
        (PurePosixPath("/a/b"), "PurePosixPath /a/b"),
        (Decimal("1.5"), "Decimal Decimal('1.5')"),
        pytest.param(10**5000, "int", id="5,001 digits"),
        ([10**5000], "list"),
        (Unprintable(), "Unprintable"),
        ([Unprintable()], "list [<Unprintable>]"),
        (Connection(), "Connection"),
        ({"a": Connection()}, "dict {'a': <Connection>}"),
        (iter("a"), "str_ascii_iterator"),
    ],
)
def test_describe_argument_returns_type_and_start(value: object, description: str) -> None:
    assert describe_argument(value) == description


@given(arguments)
def test_describe_argument_of_any_value_is_a_short_line(value: object) -> None:
    description = describe_argument(value)
    assert description.isprintable()
    assert len(description) < 100
    assert description.startswith("None" if value is None else type(value).__name__)


@pytest.mark.parametrize(
    ("value", "values"),
    [
        (["b", "a"], ["b", "a"]),
        ({"b", 2, "a", None}, [None, 2, "a", "b"]),
        (iter("ba"), ["b", "a"]),
        ([], []),
        (range(10_000), list(range(10_000))),
        *[(value, None) for value in ("ba", b"ba", bytearray(b"b"), memoryview(b"b"), {"b": 1}, 3, None)],
        *[(value, None) for value in (range(10_001), endless(), failing())],
    ],
)
def test_as_list_returns_values_of_iterables(value: Any, values: list[object] | None) -> None:
    assert as_list(value) == values


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (-7, "-7"), ("7", "7"), (True, True), (7.0, 7.0), (None, None)])
def test_digits_as_text_changes_integers_only(value: object, text: object) -> None:
    assert digits_as_text(value) == text
    assert type(digits_as_text(value)) is type(text)


def test_digits_as_text_too_many_digits_are_unchanged() -> None:
    assert digits_as_text(10**5000) == 10**5000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(name, True) for name in ("a", " a ", "\u00e9", "a\u3000b", "0")],
        *[(name, False) for name in ("", " ", "a\n", "\x00", "\x7f", "\u2028", "\ud800", None, 1, b"a")],
    ],
)
def test_is_name_accepts_text_on_one_line(value: object, *, expected: bool) -> None:
    assert is_name(value) is expected
