"""Report OpenLineage datasets: the streams that rows come from, and the file or table that they go to.

Names follow OpenLineage's naming specification. A stream's name is its asset URI: ``angus://<stream>``, ``entities``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_angus.assets import ENTITIES_PATH
from airflow_provider_angus.loading.sql_names import MAX_PARTS, check_table, dataset_name
from airflow_provider_angus.model.columns import Column

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

_TYPES = {str: "string", datetime: "timestamp", int: "integer", float: "double", dict: "json"}


class OutputDataset(NamedTuple):
    """A file or table in OpenLineage's terms, with its columns."""

    namespace: str
    name: str
    columns: tuple[Column, ...]


def operator_lineage(
    streams: Iterable[str], get_output: Callable[[], OutputDataset]
) -> OperatorLineage[Any, Any] | None:
    """Return the lineage of a task, or None if the openlineage provider is not installed.

    :param streams: client IDs.
    :param get_output: may query the database.
    """
    try:
        from airflow.providers.common.compat.openlineage import facet
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    output = get_output()
    fields: list[Any] = [facet.SchemaDatasetFacetFields(name=name, type=_TYPES[kind]) for name, kind in output.columns]
    schema = facet.SchemaDatasetFacet(fields=fields)
    return OperatorLineage(
        inputs=[facet.Dataset(namespace=f"angus://{stream}", name=ENTITIES_PATH.strip("/")) for stream in streams],
        outputs=[facet.Dataset(namespace=output.namespace, name=output.name, facets={"schema": schema})],
    )


def file_output(path: ObjectStoragePath, columns: tuple[Column, ...]) -> OutputDataset:
    """Return the dataset of a file: ``file`` and its path, or ``s3://bucket`` and its key."""
    if path.protocol in {"", "file"}:
        return OutputDataset("file", path.path, columns)
    if path.protocol in {"sftp", "ssh"} and path.conn_id:
        # As Airflow names assets of SFTP. fsspec drops the host of a URL.
        from airflow.providers.common.compat.sdk import BaseHook

        server = BaseHook.get_connection(path.conn_id)
        return OutputDataset(f"file://{server.host}:{server.port or 22}", path.path.lstrip("/"), columns)
    # On Airflow 2, the bucket includes the connection of the URL.
    return OutputDataset(f"{path.protocol}://{path.bucket.rpartition('@')[2]}", path.key, columns)


def table_output(hook: DbApiHook, table: str, columns: tuple[Column, ...]) -> OutputDataset:
    """Return the dataset of a table: ``postgres://host:port`` and ``database.schema.table``.

    If the hook has no OpenLineage information, the connection names the dataset.
    """
    connection, info = hook.get_connection(hook.get_conn_id()), None
    with suppress(ImportError):
        info = hook.get_openlineage_database_info(connection)
    if not info:
        authority = ":".join(str(part) for part in (connection.host, connection.port) if part)
        return OutputDataset(f"{hook.conn_type}://{authority}", dataset_name(hook, table), columns)
    name, parts = dataset_name(hook, table, upper=info.is_uppercase_names), len(check_table(table))
    if parts == 1 and (schema := hook.get_openlineage_default_schema()):
        name = f"{schema}.{name}"
    if info.database and parts < MAX_PARTS:
        name = f"{info.database}.{name}"
    return OutputDataset(f"{info.scheme}://{info.authority}" if info.authority else info.scheme, name, columns)
