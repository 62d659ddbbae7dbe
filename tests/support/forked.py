"""Run tasks in their own processes within milliseconds: a fork server has imported Airflow and the provider already.

The server of ``multiprocessing`` has no other threads and no open connections.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection

#: Seconds. The maximum duration of a process that is not killed.
TIMEOUT = 120.0

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "airflow_provider_angus.api.client",
        "airflow_provider_angus.loading.lineage",
        "airflow_provider_angus.loading.multi_stream",
        "airflow_provider_angus.loading.object_storage",
        "airflow_provider_angus.transfers",
        "airflow.providers.common.sql.hooks.sql",
        "airflow.providers.postgres.hooks.postgres",
        "airflow.providers.sqlite.hooks.sqlite",
        "airflow.sdk.execution_time.supervisor",  # imported with the first connection; Airflow 2 does not have it
        "fsspec.implementations.local",
    ]
)


class Run:
    """A function in its own process. The process is ready after the constructor and starts with :meth:`start`.

    :param function: a function of a module. Its arguments and its return value can be pickled.
    :param env: additional environment variables, such as connections.
    :param arguments: the function's arguments.
    """

    def __init__(self, function: Callable[..., Any], env: Mapping[str, str], **arguments: Any) -> None:
        self._pipe, child_pipe = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_run, args=(child_pipe, function, dict(env), arguments), daemon=True)
        self._process.start()
        child_pipe.close()
        assert self._pipe.recv() == "ready"

    def start(self) -> Self:
        """Start the function."""
        self._pipe.send("start")
        return self

    def kill_after(self, seconds: float) -> bool:
        """Kill the process with SIGKILL after a time. Return whether it was still running."""
        self._pipe.poll(seconds)
        self._process.kill()
        self._process.join()
        return bool(self._process.exitcode)

    def result(self) -> Any:
        """Return the function's return value, or the text of its exception."""
        assert self._pipe.poll(TIMEOUT), f"No result within {TIMEOUT:g} s."
        result = self._pipe.recv()
        self._process.join()
        return result


def _run(pipe: Connection, function: Callable[..., Any], env: dict[str, str], arguments: dict[str, Any]) -> None:
    os.environ.update(env)
    # Discard the log of hundreds of tasks.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    pipe.send("ready")
    pipe.recv()
    pipe.send(_result_or_error(function, arguments))


def _result_or_error(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return function(**arguments)
    except Exception as error:  # noqa: BLE001 (the test checks the error)
        return f"{type(error).__name__}: {error}"


def execute(operator: type, **arguments: Any) -> Any:
    """Return the return value of an operator's ``execute``, without a task run."""
    return operator(task_id="task", **arguments).execute({})


def execute_concurrently(operator: type, conn_ids: list[str], **arguments: Any) -> list[Any]:
    """Execute an operator for each connection in its own thread. Return each return value or the text of its error."""

    def result(conn_id: str) -> Any:
        return _result_or_error(execute, {"operator": operator, "angus_conn_id": conn_id} | arguments)

    with ThreadPoolExecutor(len(conn_ids)) as pool:
        return list(pool.map(result, conn_ids))
