"""An object store in memory that records what transfers do, as a file system of fsspec."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_versions import AIRFLOW_3
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_angus.loading.object_storage import resolve_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class Store(MemoryFileSystem):
    """A store that records uploads and moves.

    ``error`` is raised by the next upload.
    """

    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012 (fsspec shares it between instances)
    pseudo_dirs = [""]  # noqa: RUF012 (fsspec shares it between instances)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.operations: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        if self.error is not None:
            raise self.error
        self.operations.append(("put", rpath))
        super().put_file(lpath, rpath, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.operations.append(("move", path2))
        super().mv(path1, path2, **kwargs)


def path_in(store: Store, scheme: str) -> ObjectStoragePath:
    """Return the path of a file in the store, through an Airflow connection."""
    if AIRFLOW_3:
        from airflow.sdk.io import attach
    else:
        from airflow.io import _register_filesystems
        from airflow.io.store import attach

        # A store's provider would register it.
        _register_filesystems()[scheme] = lambda *_: store
    # Airflow caches stores by scheme and connection.
    conn_id = f"tests_{uuid.uuid4().hex}"
    attach(scheme, conn_id=conn_id, fs=store)  # noqa: AIR311 (Airflow 2 has no other function)
    return resolve_path(f"{scheme}://bucket/shop/day.csv", conn_id)
