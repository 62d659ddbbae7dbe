"""Names of tables: parse them, and quote them with the identifier preparer of SQLAlchemy's dialect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.model.arguments import describe_argument

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import IdentifierPreparer

#: Database, schema and table.
MAX_PARTS = 3

# A part is in double quotes, with "" for a double quote inside, or ends at the next dot.
_PART = re.compile(r'"(?P<quoted>(?:[^"]|"")+)"(?=\.|$)|(?P<plain>[^".][^.]*)')

_OTHER_QUOTES = (("`", "`"), ("[", "]"), ("'", "'"))


class _QuotedName(str):
    """A name that the user has quoted. SQLAlchemy then quotes it, whether the database needs it or not."""

    __slots__ = ()
    quote = True


def check_table(table: str) -> tuple[str, ...]:
    """Return the parts of a table's name: the table, after its schema and database if the name has them.

    :param table: parts separated by dots. A part in double quotes may contain dots.
    :raises AngusTargetError: an empty part, more than three parts, a control character, or other quotes.
    """
    if not isinstance(table, str):
        raise AngusTargetError(f"table: expected the name of a table, got {describe_argument(table)}.")
    parts: list[str] = []
    position = 0
    while match := _PART.match(table, position):
        plain = match["plain"]
        quoted = _QuotedName((match["quoted"] or "").replace('""', '"'))
        parts.append(quoted if plain is None else _check_plain(table, plain))
        position = match.end() + 1
    # After the last part, the position is behind the end, as if a dot followed.
    if position != len(table) + 1:
        raise _invalid(table, "a part is empty, or its double quotes do not match")
    if len(parts) > MAX_PARTS:
        raise _invalid(table, f"expected at most {MAX_PARTS} parts, got {len(parts)}")
    if not table.isprintable():
        raise _invalid(table, "it contains a control character")
    return tuple(parts)


def _check_plain(table: str, part: str) -> str:
    if part != part.strip() or (part[0], part[-1]) in _OTHER_QUOTES:
        raise _invalid(table, f"{part[:50]!r} must be in double quotes, the quotes for any database")
    return part


def _invalid(table: str, problem: str) -> AngusTargetError:
    return AngusTargetError(
        f"table: expected the name of a table, got {describe_argument(table)}: {problem}. "
        "Use table, schema.table or database.schema.table, and double quotes for a part with dots."
    )


def quote_table(hook: DbApiHook, table: str) -> str:
    """Return a table's name for SQL, quoted where the database needs it. It does not open a connection.

    A percent sign is not doubled: this is the caller's task if a statement has ``%s`` placeholders.

    :param hook: the database. Without a SQLAlchemy dialect, its ``escape_word_format`` has the quotes.
    :raises AngusTargetError: the name is invalid.
    """
    parts, preparer = check_table(table), _preparer(hook)
    longest = preparer.dialect.max_identifier_length
    for part in parts:
        # PostgreSQL cuts longer names, so that two names would be one table. It counts bytes.
        if len(part.encode()) > longest:
            raise _invalid(table, f"{part[:50]!r}... is longer than {longest} bytes")
    return ".".join(preparer.quote(part) for part in parts)


def dataset_name(hook: DbApiHook, table: str, *, upper: bool = False) -> str:
    """Return a table's name for OpenLineage: as the database stores it, without quotes.

    :param upper: whether the database stores unquoted names in upper case.
    """
    parts, preparer = check_table(table), _preparer(hook)
    return ".".join(part.upper() if upper and preparer.quote(part) == part else part for part in parts)


def sqlalchemy_dialect(hook: DbApiHook) -> Dialect | None:
    """Return SQLAlchemy's dialect of a database, or None if it has none. It does not open a connection."""
    from sqlalchemy.engine import make_url

    # With this parameter style, SQLAlchemy does not double percent signs.
    style: Any = {"paramstyle": "qmark"}
    try:
        return make_url(f"{hook.dialect_name}://").get_dialect()(**style)
    except Exception:  # noqa: BLE001 (hooks and dialects of third parties raise errors of any class)
        return None


def _preparer(hook: DbApiHook) -> IdentifierPreparer:
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.sql.compiler import IdentifierPreparer

    if dialect := sqlalchemy_dialect(hook):
        return dialect.identifier_preparer
    quotes = hook.escape_word_format or '""'
    return IdentifierPreparer(DefaultDialect(paramstyle="qmark"), quotes[0], quotes[-1], quotes[-1])
