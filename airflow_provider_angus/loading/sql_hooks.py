"""Find the hook of an SQL database, and connect to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_angus._compat import SUPERVISOR_LOCK
from airflow_provider_angus._connections import describe_missing, describe_problem
from airflow_provider_angus.api.redaction import quote_untrusted
from airflow_provider_angus.exceptions import AngusTargetError
from airflow_provider_angus.loading.storage_errors import classify_store
from airflow_provider_angus.model.text import sanitize_line

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

# Hooks raise these for fields of the connection that they cannot use.
_UNUSABLE = (AttributeError, ImportError, KeyError, RuntimeError, TypeError, ValueError)


def get_sql_hook(conn_id: str) -> DbApiHook:
    """Return the hook of a connection.

    :raises AngusTargetError: the connection is missing, unreadable or not one of an SQL database, or common-sql is
        missing.
    """
    from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook

    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError as error:
        raise AngusTargetError("common-sql is missing: pip install 'airflow-provider-angus[sql]'.") from error
    try:
        problem = describe_problem(conn_id, BaseHook.get_connection(conn_id))
    except AirflowNotFoundException as error:
        raise AngusTargetError(describe_missing(conn_id)) from error
    if problem:
        raise AngusTargetError(problem)
    try:
        hook = BaseHook.get_hook(conn_id)
    except AirflowException as error:
        raise AngusTargetError(f"Connection {conn_id!r} is unusable: {sanitize_line(str(error))}") from error
    if not isinstance(hook, DbApiHook):
        raise AngusTargetError(f"Connection {conn_id!r}: expected an SQL database, got the hook {type(hook).__name__}.")
    return hook


def connect(hook: DbApiHook) -> Any:
    """Return a new connection to the database. The errors of its driver are raised unchanged.

    :raises AngusTargetError: the hook cannot use the fields of the Airflow connection.
    :raises AngusStorageError: a file or the network failed.
    """
    from airflow.providers.common.compat.sdk import AirflowException

    try:
        # The hook reads the Airflow connection, while the threads of other streams mask their tokens.
        with SUPERVISOR_LOCK:
            return hook.get_conn()
    except (*_UNUSABLE, OSError, AirflowException) as error:
        kind = classify_store(error) if isinstance(error, OSError) else AngusTargetError
        raise kind(f"Connection {hook.get_conn_id()!r} cannot be used: {quote_untrusted(str(error))}") from error
