"""Write files atomically, to a disk or an object store: readers see the old file or the new file, never a part.

An exception inside ``with path.open("w")`` leaves a partial file or object. So rows go to a temporary file first. Disks
rename it atomically, object stores upload it atomically, other stores (SFTP, HDFS) upload it and then move it.
"""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from airflow_provider_angus.exceptions import AngusStorageError, AngusTargetError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

#: Schemes of stores in which an upload replaces an object atomically, and an incomplete upload leaves nothing.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs", "oss", "oci"}

#: Seconds after which the temporary file of a killed process is removed.
STALE_AFTER = 24 * 3600.0


class WrittenFile(NamedTuple):
    """The size and checksum of a file: bytes, and ``sha256:`` with 64 hexadecimal digits."""

    size: int
    checksum: str


def resolve_path(path: str | ObjectStoragePath, conn_id: str | None) -> ObjectStoragePath:
    """Return a path in a store. A connection in a URL (``s3://aws_default@bucket/key``) overrides ``conn_id``.

    :raises AngusTargetError: Airflow does not know the scheme or the connection.
    """
    from airflow.providers.common.compat.sdk import AirflowException, ObjectStoragePath

    try:
        # On Airflow 2, conn_id= overrides the connection in the URL, even if it is None.
        keep = conn_id is None or urlsplit(str(path)).username
        resolved = ObjectStoragePath(path) if keep else ObjectStoragePath(path, conn_id=conn_id)
        resolved.fs  # noqa: B018 (the property finds the store)
    except (ValueError, ImportError, AirflowException) as error:
        raise AngusTargetError(f"{path} cannot be written: {error}. Is the store's provider installed?") from error
    return resolved


def write_atomically(path: ObjectStoragePath, write: Callable[[IO[bytes]], object]) -> WrittenFile:
    """Write a file that becomes visible when it is complete. Until then, readers see the existing file.

    On a disk, missing folders are created. The errors of ``write`` are raised unchanged, except ``OSError``.

    :raises AngusStorageError: the file cannot be written. Existing data is unchanged.
    """
    from fsspec.implementations.local import LocalFileSystem

    with _translate_error(path, OSError):
        local = isinstance(path.fs, LocalFileSystem)
        return _write_to_disk(Path(path.path), write) if local else _write_to_store(path, write)


def _write_to_disk(target: Path, write: Callable[[IO[bytes]], object]) -> WrittenFile:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder")
    for stale in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        # Another task may remove it first.
        with suppress(FileNotFoundError):
            if stale.stat().st_mtime < time.time() - STALE_AFTER:
                stale.unlink()
    # Not in tempfile's folder, which may be on another disk, nor with tempfile's permissions.
    temp_path = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with temp_path.open("x+b") as file:
            written = _fill(file, write)
            os.fsync(file.fileno())
        temp_path.replace(target)
    finally:
        temp_path.unlink(missing_ok=True)
    return written


def _write_to_store(path: ObjectStoragePath, write: Callable[[IO[bytes]], object]) -> WrittenFile:
    with tempfile.NamedTemporaryFile() as file:
        written = _fill(cast("IO[bytes]", file), write)
        # The libraries of stores have errors of their own, without a common base class.
        with _translate_error(path, Exception):
            if path.protocol in OBJECT_STORES:
                path.fs.put_file(file.name, path.path)
            else:
                _upload_and_move(file.name, path)
    return written


def _upload_and_move(source: str, path: ObjectStoragePath) -> None:
    folder, _, name = path.path.rpartition("/")
    temp_path = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
    path.fs.makedirs(folder, exist_ok=True)
    try:
        path.fs.put_file(source, temp_path)
        path.fs.mv(temp_path, path.path)
    finally:
        if path.fs.exists(temp_path):
            path.fs.rm_file(temp_path)


def _fill(file: IO[bytes], write: Callable[[IO[bytes]], object]) -> WrittenFile:
    write(file)
    file.flush()
    file.seek(0)
    digest = hashlib.file_digest(cast("Any", file), "sha256")
    return WrittenFile(file.tell(), f"sha256:{digest.hexdigest()}")


@contextmanager
def _translate_error(path: ObjectStoragePath, library_error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except library_error as error:
        raise AngusStorageError(f"{path} could not be written: {error}. Existing data is unchanged.") from error
