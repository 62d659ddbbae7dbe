"""Record the statements that a hook sends to its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "TRUNCATE")


class _Recording:
    """A connection or cursor of a driver that appends each statement to a list."""

    def __init__(self, target: Any, statements: list[str]) -> None:
        self._target, self._statements = target, statements

    def cursor(self) -> _Recording:
        return _Recording(self._target.cursor(), self._statements)

    def execute(self, statement: str, *parameters: Any) -> Any:
        self._statements.append(statement)
        return self._target.execute(statement, *parameters)

    def executemany(self, statement: str, parameters: list[Any]) -> Any:
        self._statements.extend([statement] * len(parameters))
        return self._target.executemany(statement, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


def record_statements(hook: DbApiHook) -> list[str]:
    """Return a list that gets every statement of the hook's later connections."""
    statements: list[str] = []
    connect = hook.get_conn
    hook.get_conn = lambda: _Recording(connect(), statements)  # type: ignore[method-assign]
    return statements


def writes(statements: list[str]) -> list[str]:
    """Return the first word of each statement that writes rows."""
    return [statement.split()[0] for statement in statements if statement.startswith(WRITES)]
