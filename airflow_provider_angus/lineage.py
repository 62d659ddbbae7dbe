"""What OpenLineage is told: from which streams rows came and into which file or table they went.

Names are those of OpenLineage's naming specification; a stream's is its asset's URI, cut after the stream.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_angus.assets import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_angus.schema import Column

_KINDS = {str: "string", datetime: "timestamp", int: "integer", float: "double", dict: "json"}


class Output(NamedTuple):
    """A file or table by OpenLineage's names, with its columns."""

    namespace: str
    name: str
    columns: tuple[Column, ...]


def lineage(streams: Iterable[str], landed_in: Callable[[], Output]) -> OperatorLineage[Any, Any] | None:
    """Return a task's lineage, or None where the openlineage provider is not installed.

    :param streams: client IDs.
    :param landed_in: returns where their rows went; may ask the database.
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            SchemaDatasetFacet,
            SchemaDatasetFacetFields,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    output = landed_in()
    fields: list[Any] = [SchemaDatasetFacetFields(name=name, type=_KINDS[kind]) for name, kind in output.columns]
    schema = SchemaDatasetFacet(fields=fields)
    return OperatorLineage(
        inputs=[Dataset(namespace=f"angus://{stream}", name=PATH.strip("/")) for stream in streams],
        outputs=[Dataset(namespace=output.namespace, name=output.name, facets={"schema": schema})],
    )


def file_output(path: ObjectStoragePath, columns: tuple[Column, ...]) -> Output:
    """Return what a file is called: ``file`` and its path, or ``s3://bucket`` and the key.

    :param path: where it is.
    :param columns: its schema.
    """
    if path.protocol in {"", "file"}:
        return Output("file", path.path, columns)
    return Output(f"{path.protocol}://{path.bucket}", path.key, columns)


def table_output(hook: DbApiHook, table: str, columns: tuple[Column, ...]) -> Output:
    """Return what a table is called: ``postgres://host:port`` and ``database.schema.table``, as its hook says.

    :param hook: of the database; of one that says nothing, the connection's type, host and port are the name.
    :param table: ``table`` or ``schema.table``.
    :param columns: its schema.
    """
    connection = hook.get_connection(hook.get_conn_id())
    place = ":".join(str(part) for part in (connection.host, connection.port) if part)
    namespace, database = f"{hook.conn_type}://{place}", None
    try:
        info = hook.get_openlineage_database_info(connection)
    except ImportError:
        info = None
    if info:
        namespace = f"{info.scheme}://{info.authority}" if info.authority else info.scheme
        database = info.database
        if "." not in table and (schema := hook.get_openlineage_default_schema()):
            table = f"{schema}.{table}"
    return Output(namespace, f"{database}.{table}" if database else table, columns)
