"""Hooks of databases that are not installed."""

from __future__ import annotations

from airflow.providers.common.sql.hooks.sql import DbApiHook


class OtherHook(DbApiHook):
    """A database whose SQLAlchemy dialect is not installed, unless a test names a dialect."""

    conn_name_attr = "other_conn_id"
    dialect_name = "no_such_dialect"
    escape_word_format = '"{}"'


def hook_of(dialect: str = "no_such_dialect", *, conn_type: str = "other", quotes: str = '"{}"') -> DbApiHook:
    hook = OtherHook()
    hook.conn_type, hook.dialect_name, hook.escape_word_format = conn_type, dialect, quotes
    return hook
