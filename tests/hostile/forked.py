"""Task runs in processes of their own that cost milliseconds, not seconds: forked from one that has imported Airflow.

That one is multiprocessing's fork server, which has no threads and no open connections.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection

#: How long a run may take that is not killed, in seconds.
PATIENCE = 120.0

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "airflow_provider_angus.client",
        "airflow_provider_angus.fetching",
        "airflow_provider_angus.lineage",
        "airflow_provider_angus.publishing",
        "airflow_provider_angus.transfers",
        "airflow.providers.common.sql.hooks.sql",
        "airflow.providers.postgres.hooks.postgres",
        "airflow.providers.sqlite.hooks.sqlite",
        "airflow.sdk.execution_time.supervisor",  # not on Airflow 2; read with a connection
        "fsspec.implementations.local",
    ]
)


class Run:
    """A function that runs in a process of its own: ready when this is made, and begun with :meth:`go`.

    :param function: of a module; what it returns and takes can be pickled.
    :param env: environment variables of the process, such as connections.
    :param arguments: of the function.
    """

    def __init__(self, function: Callable[..., Any], env: Mapping[str, str], **arguments: Any) -> None:
        self._pipe, there = _FORKS.Pipe()
        self._process = _FORKS.Process(target=_run, args=(there, function, dict(env), arguments), daemon=True)
        self._process.start()
        there.close()
        assert self._pipe.recv() == "ready"

    def go(self) -> Self:
        """Let it begin."""
        self._pipe.send("go")
        return self

    def kill_after(self, seconds: float) -> bool:
        """Kill it after a while, as a machine does that goes away; return whether it still ran."""
        self._pipe.poll(seconds)
        self._process.kill()
        self._process.join()
        return bool(self._process.exitcode)

    def result(self) -> Any:
        """Return what the function returned, or the text of its error."""
        assert self._pipe.poll(PATIENCE), "A run hangs."
        result = self._pipe.recv()
        self._process.join()
        return result


def _run(pipe: Connection, function: Callable[..., Any], env: dict[str, str], arguments: dict[str, Any]) -> None:
    os.environ.update(env)
    # What hundreds of runs log is not for people.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    pipe.send("ready")
    pipe.recv()
    try:
        result = function(**arguments)
    except Exception as error:  # noqa: BLE001 (whatever it is, the test is to see it)
        result = f"{type(error).__name__}: {error}"
    pipe.send(result)


def execute(operator: type, **arguments: Any) -> Any:
    """Return what an operator's ``execute`` returns, without anything of Airflow around it."""
    return operator(task_id="land", **arguments).execute({})
