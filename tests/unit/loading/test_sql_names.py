"""Names of tables: parsed, quoted by SQLAlchemy's dialect, and never SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loaded_rows import COLUMNS, HOURS, replace, rows
from other_hooks import hook_of

from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.loading.lineage import table_output
from airflow_provider_angus.loading.sql import SqlTable
from airflow_provider_angus.loading.sql_names import check_table, dataset_name, quote_table

if TYPE_CHECKING:
    from databases import Database


# Parsing


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("audience", ("audience",)),
        ("shop.audience", ("shop", "audience")),
        ("db.shop.audience", ("db", "shop", "audience")),
        ("my-schema.Audience", ("my-schema", "Audience")),
        ("2026 rows", ("2026 rows",)),
        ('"my.schema"."Table"', ("my.schema", "Table")),
        ('shop."a.b"', ("shop", "a.b")),
        ('"say ""hi"""', ('say "hi"',)),
        ('5" screen', ('5" screen',)),
        ('"`a`"."[b]"." c "', ("`a`", "[b]", " c ")),
        ("Zuschauer_größe", ("Zuschauer_größe",)),
    ],
)
def test_check_table_returns_parts(table: str, parts: tuple[str, ...]) -> None:
    assert check_table(table) == parts


@pytest.mark.parametrize("name", ["returning", "nothing", "at", "asof", "audience"])
def test_quoted_name_is_quoted_even_if_sqlalchemy_sees_no_need(database: Database, name: str) -> None:
    """Databases reserve words that SQLAlchemy does not know."""
    # Tests of other versions of Airflow use the same PostgreSQL server at the same time. The schema is this test's own.
    schema, dot, _ = database.table.rpartition(".")
    database.table = f'{schema}{dot}"{name}"'
    quoted = quote_table(database.hook, database.table)
    assert quoted.rpartition(".")[2][1:-1] == name
    try:
        replace(database, rows())
        assert database.run(f"SELECT COUNT(*) FROM {quoted}")[0][0] == 3  # noqa: S608 (the quoted name)
    finally:
        database.run(f"DROP TABLE {quoted}")


def test_quote_table_name_longer_than_postgresql_allows_is_rejected() -> None:
    """PostgreSQL would cut it, so that two names would be one table."""
    assert quote_table(hook_of("postgresql"), "x" * 63) == "x" * 63
    for name in ("x" * 64, "é" * 32):
        with pytest.raises(AngusTargetError, match="is longer than 63 bytes"):
            quote_table(hook_of("postgresql"), f"shop.{name}")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "a part is empty"),
        (".", "a part is empty"),
        ("shop.", "a part is empty"),
        (".audience", "a part is empty"),
        ("shop..audience", "a part is empty"),
        ('""', "a part is empty"),
        ('"audience', "double quotes do not match"),
        ('"a"b', "double quotes do not match"),
        ('"""', "double quotes do not match"),
        ("a.b.c.d", "expected at most 3 parts, got 4"),
        ("`shop`.audience", "'`shop`' must be in double quotes"),
        ("[shop].audience", r"'\[shop\]' must be in double quotes"),
        ("'audience'", "must be in double quotes"),
        ("shop. audience", "' audience' must be in double quotes"),
        ("a\0b", "control character"),
        ('"a\nb"', "control character"),
        ("a\u202eb", "control character"),
        ("\ud800", "control character"),
        (202601, "table: expected the name of a table, got int 202601"),
        (None, "table: expected the name of a table, got None"),
    ],
)
def test_check_table_invalid_name_is_rejected(table: Any, message: str) -> None:
    with pytest.raises(AngusTargetError, match=message) as raised:
        check_table(table)
    assert str(raised.value).isprintable()


# Quoting

NASTY = [
    "x; DROP TABLE x",
    'x" ; DROP TABLE x; --',
    '"x""; DROP TABLE x; --"',
    "x` ; DROP TABLE x; --",
    "x] ; DROP TABLE x; --",
    "x' OR '1'='1",
    "x\\'; DROP TABLE x; --",
    "victim--",
    "victim /* */",
    "“x”; DROP TABLE x",
    "x\uff1b DROP TABLE x",
    "100%s %% %(x)s",
    "a ? :b @c $1 {}",
]


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3), st.sampled_from(["postgresql", "mysql"]))
def test_quote_table_any_name_is_plain_or_quoted(parts: list[str], dialect: str) -> None:
    """Without the pairs of quotes and their content, only plain words and dots remain."""
    table = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    if not table.isprintable():
        with pytest.raises(AngusTargetError):
            check_table(table)
        return
    assert check_table(table) == tuple(parts)
    quote = "`" if dialect == "mysql" else '"'
    quoted = quote_table(hook_of(dialect), table)
    for part in parts:
        escaped = quote + part.replace(quote, 2 * quote) + quote
        start = escaped if quoted.startswith(escaped) else part
        assert quoted.startswith(start)
        assert start == escaped or (part.isidentifier() and part.islower() and part.isascii()) or part == "_"
        quoted = quoted[len(start) :].removeprefix(".")
    assert quoted == ""


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("postgresql", '"my-schema"."Audience"'),
        ("sqlite", '"my-schema"."Audience"'),
        ("duckdb", '"my-schema"."Audience"'),
        ("oracle", '"my-schema"."Audience"'),
        ("mysql", "`my-schema`.`Audience`"),
        ("mssql", "[my-schema].[Audience]"),
        ("snowflake", '"my-schema"."Audience"'),
        ("default", '"my-schema"."Audience"'),
    ],
)
def test_quote_table_uses_quotes_of_the_dialect(dialect: str, expected: str) -> None:
    assert quote_table(hook_of(dialect), "my-schema.Audience") == expected
    assert quote_table(hook_of(dialect), "shop.audience_2026") == "shop.audience_2026"
    assert quote_table(hook_of(dialect), "order") == expected[0] + "order" + expected.rstrip()[-1]


def test_quote_table_without_dialect_uses_escape_word_format() -> None:
    """common-sql's option for the quotes of a database."""
    assert quote_table(hook_of("databricks", quotes="`{}`"), "shop.My`Table") == "shop.`My``Table`"
    assert quote_table(hook_of("some", quotes="[{}]"), "a]b") == "[a]]b]"


def test_quote_table_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "postgres://me:secret@127.0.0.1:9/none")
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    assert quote_table(PostgresHook("other"), "Audience") == '"Audience"'


# Databases


def test_sql_table_with_any_name_is_created_and_replaced(database: Database) -> None:
    """The tables have exactly these names, and no other table changes."""
    other, quoted = database.table, []
    database.run(f"CREATE TABLE {other} (x INTEGER)")
    schema, _, unique = other.rpartition(".")
    for name in (*NASTY, "Audience", "order", "my-table", "1st", "größe", '"a.b"', '"say ""hi"""'):
        # A server may be shared, so MySQL's names end with the name of this test's table.
        own = f"{name[:-1]}{unique}{name[-1]}" if name[0] == '"' else name + unique
        with SqlTable(database.hook, f"{schema}.{own}" if schema else own, COLUMNS, create=True) as table:
            for _ in range(2):
                table.replace("camera", HOURS, rows())
            # Snowflake stores unquoted names in upper case.
            stored = dataset_name(database.hook, own, upper=database.kind == "snowflake")
            quoted.append((stored, table.name))
    counts = database.run(f"SELECT {', '.join(f'(SELECT COUNT(*) FROM {name})' for _, name in quoted)}")  # noqa: S608 (the quoted names)
    assert list(counts[0]) == [3] * len(quoted)
    assert {name for name, _ in quoted} <= {*database.table_names()}
    assert database.run(f"SELECT COUNT(*) FROM {other}")[0][0] == 0  # noqa: S608 (test data)
    if database.kind == "mysql":
        database.run(f"DROP TABLE {', '.join(name for _, name in quoted)}")


def test_sql_schema_with_hyphen_and_upper_case_is_found(postgres: Database) -> None:
    schema = f"{postgres.table.partition('.')[0]}-Shop"
    postgres.run(f'CREATE SCHEMA "{schema}"')
    try:
        postgres.table = f"{schema}.Audience"
        replace(postgres, rows())
        assert postgres.run(f'SELECT COUNT(*) FROM "{schema}"."Audience"')[0][0] == 3  # noqa: S608 (test data)
    finally:
        postgres.run(f'DROP SCHEMA "{schema}" CASCADE')


def test_sql_error_names_the_quoted_table(sqlite: Database) -> None:
    sqlite.table = "My Table"
    with (
        pytest.raises(AngusTargetError, match='^Table "My Table" does not exist'),
        SqlTable(sqlite.hook, sqlite.table, (), create=False) as table,
    ):
        table.replace("camera", HOURS, rows())


# Lineage


def test_dataset_name_has_stored_names_without_quotes() -> None:
    assert dataset_name(hook_of("postgresql"), '"my.schema"."Table"') == "my.schema.Table"
    assert dataset_name(hook_of("snowflake"), 'shop.Audience."x y"', upper=True) == "SHOP.Audience.x y"


@pytest.mark.parametrize(("table", "name"), [('"My.Table"', "test.public.My.Table"), ("a-b.c", "test.a-b.c")])
def test_table_output_of_quoted_name_has_schema(postgres: Database, table: str, name: str) -> None:
    assert table_output(postgres.hook, table, ()).name == name


def test_table_output_of_full_name_has_database_once(postgres: Database) -> None:
    assert table_output(postgres.hook, "test.shop.Audience", ()).name == "test.shop.Audience"
