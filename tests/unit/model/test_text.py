from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.model.text import describe_value, sanitize_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("two\nlines\r\n", "two lines"),
        ("\x1b[31mred\x07 \t tab", "[31mred tab"),
        ("no-break\u00a0space\u2028separator", "no-break space separator"),
        (" é ü ", "é ü"),
        ("\n\x00", ""),
    ],
)
def test_sanitize_line_replaces_control_characters(text: str, line: str) -> None:
    assert sanitize_line(text) == line


@given(st.text())
def test_sanitize_line_returns_printable_text(text: str) -> None:
    line = sanitize_line(text)
    assert line.isprintable()
    assert sanitize_line(line) == line


@pytest.mark.parametrize(
    ("value", "description"),
    [
        (None, "null"),
        (3, "int '3'"),
        (True, "bool 'True'"),
        ("text", "str 'text'"),
        ("a\nb", r"str 'a\nb'"),
        ([], "list '[]'"),
        ({"a": 1}, "dict \"{'a': 1}\""),
        ("x" * 51, f"str '{'x' * 50}'"),
    ],
)
def test_describe_value_returns_type_and_start(value: object, description: str) -> None:
    assert describe_value(value) == description
