"""The version of Airflow, marks of tests that need one, and names that moved between versions."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from seen_features import NEEDS

AIRFLOW = tuple(map(int, airflow_version.split(".")[:2]))
AIRFLOW_3 = AIRFLOW >= (3, 0)


def since(*version: int) -> pytest.MarkDecorator:
    """Return a mark that skips tests on versions before this one, which lack a feature."""
    return pytest.mark.skipif(version > AIRFLOW, reason=f"{NEEDS} {'.'.join(map(str, version))}")


only_airflow_3, only_airflow_3_3 = since(3, 0), since(3, 3)
only_airflow_2 = pytest.mark.skipif(AIRFLOW_3, reason="Airflow 3 behaves differently")
# Its dag.test() prints the secrets that a task masks, passes text instead of dates to rescheduled sensors, and logs
# exceptions with colours.
not_in_test_runs_of_3_0 = pytest.mark.skipif(AIRFLOW == (3, 0), reason="dag.test() of Airflow 3.0 is not like a worker")


def serialization() -> Any:
    """Return the class with ``to_dict(dag)`` and ``from_dict(data)``."""
    from airflow.serialization import serialized_objects

    return serialized_objects.DagSerialization if AIRFLOW >= (3, 2) else serialized_objects.SerializedDAG


def dag_bag_class() -> Any:
    """Return the class that reads DAG files."""
    if AIRFLOW >= (3, 2):
        from airflow.dag_processing.dagbag import DagBag
    else:
        from airflow.models.dagbag import DagBag
    return DagBag


def store(dag: Any) -> None:
    """Write a DAG to the database, as the DAG processor of Airflow 3 does."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    if AIRFLOW >= (3, 2):
        from airflow.serialization.definitions.dag import SerializedDAG
    else:
        from airflow.serialization.serialized_objects import SerializedDAG
    lazy = LazyDeserializedDAG(data=serialization().to_dict(dag))
    stored = lazy if AIRFLOW >= (3, 1) else SerializedDAG.from_dict(lazy.data)
    with create_session() as session:
        session.merge(DagBundleModel(name="tests"))
        session.flush()
        SerializedDAG.bulk_write_to_db("tests", None, [stored], session=session)
        SerializedDagModel.write_dag(lazy, bundle_name="tests", session=session)


def run_creation() -> tuple[Any, str]:
    """Return the module and the name of the function by which ``dag.test()`` of Airflow 3 creates its run."""
    from airflow.models import dag, dagrun

    return (dagrun, "get_or_create_dagrun") if AIRFLOW >= (3, 1) else (dag, "_get_or_create_dagrun")


@functools.cache
def _api() -> Any:
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI

    return InProcessExecutionAPI()


def patch_test_runs(patch: pytest.MonkeyPatch) -> None:
    """Let ``dag.test()`` of Airflow 3.0 to 3.2 create its API once, and pass a task's exception to the callbacks.

    Airflow 3.3 does both. Creating the API takes seconds.
    """
    if not (3, 0) <= AIRFLOW < (3, 3):
        return
    from airflow.sdk.execution_time import supervisor, task_runner

    run_task = task_runner.run

    def run(ti: Any, context: Any, log: Any) -> Any:
        state, message, error = run_task(ti, context, log)
        context["exception"] = error
        return state, message, error

    patch.setattr(task_runner, "run", run)
    patch.setattr(supervisor, "in_process_api_server", _api)
