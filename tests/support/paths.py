"""All paths from a task to the API, each with a check of its result."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_angus.exceptions import AngusError, AngusResponseError, AngusUnavailableError, is_retryable
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sensors import AngusEntitiesSensor
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator
from airflow_provider_angus.triggers import AngusEntitiesTrigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import databases

PATHS = ("operator", "poke", "trigger", "test_connection", "to file", "to SQL")

#: The parameters of all queries: one day by the hour.
QUERY: dict[str, Any] = {
    "metrics": "passing_by",
    "time": "by_hour",
    "from_date": "2026-11-20T00:00:00+00:00",
    "to_date": "2026-11-21T00:00:00+00:00",
}

#: Seconds. The maximum duration of a path, with four attempts on a busy machine.
MAX_DURATION = 20.0
MAX_MESSAGE = 1000
RETRYABLE = {AngusUnavailableError, AngusResponseError}


class ButtonError(AngusError):
    """The Test button's message of a failure."""


class Paths:
    """Runs each path, and checks that the rows or the error are correct.

    :param expected: the correct rows.
    :param folder: of the file.
    :param database: of the table.
    """

    def __init__(self, expected: list[dict[str, Any]], folder: Path, database: databases.Database) -> None:
        self._expected = expected
        self._counts = [(row["bucket_start"], row["passing_by"]) for row in expected]
        self._folder, self._database = folder, database

    def check(self, path: str, expected_error: type[AngusError] | None) -> str:
        """Run a path, check its result and its duration, and return the name of the result.

        :param path: one of :data:`PATHS`.
        :param expected_error: None: the rows must be correct.
        """
        started = time.monotonic()
        if expected_error is None:
            assert self._run(path)
            outcome = "correct rows"
        else:
            error_class = ButtonError if path == "test_connection" else expected_error
            with pytest.raises(error_class) as raised:
                self._run(path)
            outcome, message = raised.type.__name__, str(raised.value)
            assert raised.type is error_class
            assert is_retryable(raised.value) == (error_class in {*RETRYABLE, ButtonError})
            assert 10 < len(message) < MAX_MESSAGE
            assert message.isprintable()
        assert time.monotonic() - started < MAX_DURATION
        return outcome

    def _run(self, path: str) -> bool:
        """Run a path and return whether its rows are correct."""
        functions: dict[str, Callable[[], bool]] = {
            "operator": self._run_operator,
            "poke": self._run_poke,
            "trigger": self._run_trigger,
            "test_connection": self._run_test_connection,
            "to file": self._run_file_transfer,
            "to SQL": self._run_sql_transfer,
        }
        return functions[path]()

    def _run_operator(self) -> bool:
        rows: list[dict[str, Any]] = AngusEntitiesOperator(task_id="operator", **QUERY).execute({})
        return rows == self._expected

    def _sensor(self) -> AngusEntitiesSensor:
        minimum = {"passing_by": sum(count for _, count in self._counts)}
        return AngusEntitiesSensor(task_id="sensor", max_failures=1, minimum=minimum, **QUERY)

    def _run_poke(self) -> bool:
        return self._sensor().poke({})

    def _run_trigger(self) -> bool:
        """Run a trigger, and pass its event to the worker, whose check decides."""

        async def first_event() -> Any:
            trigger = AngusEntitiesTrigger(
                angus_conn_id="angus_default", settle=0, poke_interval=1, max_failures=1, **QUERY
            )
            return (await anext(trigger.run())).payload

        self._sensor().execute_complete({}, asyncio.run(first_event()))
        return True

    def _run_test_connection(self) -> bool:
        success, message = AngusHook("angus_default").test_connection()
        if not success:
            raise ButtonError(message)
        return message.startswith("Connection successful")

    def _run_file_transfer(self) -> bool:
        path = self._folder / "hours.jsonl"
        path.write_text("existing data")
        try:
            AngusToObjectStorageOperator(task_id="file", path=str(path), **QUERY).execute({})
        except AngusError:
            assert path.read_text() == "existing data"
            raise
        finally:
            assert list(self._folder.glob(".hours*")) == []
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [(row["bucket_start"], row["passing_by"]) for row in rows] == self._counts

    def _run_sql_transfer(self) -> bool:
        database = self._database
        load = AngusToSqlOperator(
            task_id="sql", sql_conn_id=database.conn_id, table=database.table, create_table=True, **QUERY
        )
        before = self._table_rows()
        try:
            load.execute({})
        except AngusError:
            assert self._table_rows() == before
            raise
        return [tuple(row[1:]) for row in self._table_rows()] == self._counts

    def _table_rows(self) -> list[Any]:
        table = self._database.table
        exists = self._database.run(f"SELECT name FROM sqlite_master WHERE name = '{table}'")  # noqa: S608 (the test's name)
        return self._database.rows() if exists else []
