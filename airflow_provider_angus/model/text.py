"""Make untrusted text safe for log lines and error messages."""

from __future__ import annotations


def sanitize_line(text: str) -> str:
    """Return untrusted text as one printable line, so that it cannot forge a second log line.

    Control characters and runs of whitespace become single spaces.
    """
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def describe_value(value: object) -> str:
    """Return a JSON value for an error message: ``null``, or its type and its first 50 characters, quoted."""
    return "null" if value is None else f"{type(value).__name__} {str(value)[:50]!r}"
