"""Run DAGs as each Airflow from 2.11 runs them. The only support module that knows all versions."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from airflow_versions import AIRFLOW_3, dag_bag_class, patch_test_runs, run_creation, serialization, store
from sqlalchemy import select

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.providers.common.compat.sdk import DAG


@dataclass
class Outcome:
    """The result of a task: its state, its return value, its tries and the exceptions that ended them."""

    state: str
    returned: Any
    tries: int
    errors: list[BaseException] = field(default_factory=list)


class Airflow:
    """An Airflow with an initialised metadata database. Its runs are real but need no scheduler."""

    def __init__(self) -> None:
        from airflow.utils.db import initdb

        initdb()
        self.read_log: Callable[[], str] = str

    @property
    def log(self) -> str:
        """Everything that tasks logged and printed in this test."""
        return self.read_log()

    def run(
        self,
        build: Callable[[], object],
        *,
        schedule: Any = None,
        logical_date: datetime | None = datetime(2026, 11, 21, tzinfo=UTC),
        dag_args: dict[str, Any] | None = None,
        **run: Any,
    ) -> dict[str, Outcome]:
        """Run a DAG of the tasks that ``build`` creates; return their outcomes by ``task_id`` or ``task_id[0]``.

        The schedule's timetable derives the data interval from ``logical_date``. ``run`` overrides other attributes of
        the run: ``data_interval``, ``partition_date``, ``run_after``.
        """
        from airflow.providers.common.compat.sdk import DAG

        with DAG(
            dag_id=f"test_{uuid.uuid4().hex[:12]}",
            schedule=schedule,
            catchup=False,
            **({"start_date": datetime(2026, 1, 1, tzinfo=UTC)} | (dag_args or {})),
        ) as dag:
            build()
        return self.run_dag(dag, logical_date=logical_date, **run)

    def load(self, path: Path, dag_id: str) -> DAG:
        """Return a DAG of a file, as Airflow's DAG processor reads it. Fail if the file does not parse."""
        bag = dag_bag_class()(path)
        assert bag.import_errors == {}
        return bag.dags[dag_id]

    def run_dag(
        self, dag: DAG, *, logical_date: datetime | None, triggered_by: Any = None, **run: Any
    ) -> dict[str, Outcome]:
        """Run a DAG as :meth:`run` does. ``triggered_by`` is an asset whose events so far triggered the run."""
        errors: dict[str, list[BaseException]] = {}

        def remember(context: Any) -> None:
            errors.setdefault(_key(context["ti"]), []).append(context["exception"])

        for task in dag.tasks:
            for callback in ("on_failure_callback", "on_retry_callback"):
                set_on(task, callback, [remember])
        dag_run = _run_3(dag, logical_date, run, triggered_by) if AIRFLOW_3 else _run_2(dag, logical_date, triggered_by)
        return {
            _key(ti): Outcome(
                str(ti.state),
                ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index),
                ti.try_number,
                errors.get(_key(ti), []),
            )
            for ti in dag_run.get_task_instances()
        }

    def run_again(self, dag: DAG, *, logical_date: datetime) -> dict[str, Outcome]:
        """Clear the run of a DAG, which :meth:`run_dag` created, and run it again. For Airflow 3."""
        from airflow.models import dagrun

        # dag.test() clears the run, but then replaces it by a new one.
        def existing_run(*, dag: Any, session: Any, **_: Any) -> Any:
            dag_run = session.scalar(select(dagrun.DagRun).where(dagrun.DagRun.dag_id == dag.dag_id))
            dag_run.state, dag_run.dag = "running", dag
            session.commit()
            return dag_run

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dagrun, "get_or_create_dagrun", existing_run)
            return self.run_dag(dag, logical_date=logical_date)


def _key(ti: Any) -> str:
    return ti.task_id if ti.map_index is None or ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"


def set_on(task: Any, name: str, value: object) -> None:
    """Set an argument of a task, mapped or not."""
    if hasattr(task, "partial_kwargs"):
        task.partial_kwargs[name] = value
    else:
        setattr(task, name, value)


def _run_2(dag: DAG, logical_date: datetime | None, triggered_by: Any) -> Any:
    from airflow.models import dag as dag_module
    from airflow.utils.session import create_session

    with create_session() as session:
        dag.sync_to_db(session=session)
    original = dag_module._get_or_create_dagrun  # noqa: SLF001 (dag.test() creates its run with it)

    def create_with_events(*, session: Any, **arguments: Any) -> Any:
        dag_run = original(session=session, **arguments)
        dag_run.consumed_dataset_events.extend(_events(triggered_by, session))
        session.commit()
        return dag_run

    with pytest.MonkeyPatch.context() as patch:
        if triggered_by:
            patch.setattr(dag_module, "_get_or_create_dagrun", create_with_events)
        return dag.test(execution_date=logical_date)


def _events(asset: Any, session: Any) -> list[Any]:
    if AIRFLOW_3:
        from airflow.models.asset import AssetEvent, AssetModel
    else:
        from airflow.models.dataset import DatasetEvent as AssetEvent
        from airflow.models.dataset import DatasetModel as AssetModel
    key = AssetEvent.asset_id if AIRFLOW_3 else AssetEvent.dataset_id
    found = select(AssetEvent).join(AssetModel, AssetModel.id == key).where(AssetModel.uri == asset.uri)
    return list(session.scalars(found.order_by(AssetEvent.id)))


def extras_of(asset: Any) -> list[dict[str, Any]]:
    """Return the extras of an asset's events, oldest first."""
    from airflow.utils.session import create_session

    with create_session() as session:
        return [event.extra for event in _events(asset, session)]


def partition_keys_of(asset: Any) -> list[str | None]:
    """Return the partition keys of an asset's events, sorted. Events without a key are None, and first."""
    from airflow.utils.session import create_session

    with create_session() as session:
        return sorted((event.partition_key for event in _events(asset, session)), key=lambda key: key or "")


def _run_3(dag: DAG, logical_date: datetime | None, run: dict[str, Any], triggered_by: Any) -> Any:
    store(dag)

    # dag.test() creates manual runs with the timetable's interval. The scheduler also creates other runs.
    def create_run(*, dag: Any, session: Any, **arguments: Any) -> Any:
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunType

        arguments |= {"run_type": DagRunType.MANUAL, "state": DagRunState.RUNNING} | run
        dag_run = dag.create_dagrun(session=session, **arguments)
        if triggered_by:
            dag_run.consumed_asset_events.extend(_events(triggered_by, session))
            session.commit()
        return dag_run

    with pytest.MonkeyPatch.context() as patch:
        if run or triggered_by:
            patch.setattr(*run_creation(), create_run)
        patch_test_runs(patch)
        return dag.test(logical_date=logical_date)


def round_trip(dag: DAG) -> Any:
    """Return a DAG as the scheduler reads it from the database."""
    return serialization().from_dict(json.loads(json.dumps(serialization().to_dict(dag))))


def reset_secrets_masker() -> None:
    """Empty Airflow's masker: it compiles one pattern of all known secrets for each new secret, which takes minutes."""
    for module in (
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",  # 3.0, 3.1
        "airflow.utils.log.secrets_masker",  # 2.11
    ):
        with suppress(ImportError, AttributeError):
            masker = import_module(module)._secrets_masker()  # noqa: SLF001 (no public access)
            masker.patterns, masker.replacer = set(), None
            return
    raise LookupError("Airflow's secrets masker has moved.")
