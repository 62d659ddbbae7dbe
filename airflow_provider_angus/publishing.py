"""How a file appears whole or not at all, on a disk and in an object store.

An exception inside ``with path.open("w")`` leaves half a file on a disk and publishes half an object in a store. So a
file is written aside first. On a disk that is beside its place, and moving it there replaces what was there in one
step. In an object store the one step is the upload; other stores (SFTP, HDFS) get it beside its place and then move it.
"""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
import time
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from airflow_provider_angus.exceptions import AngusStorageError, AngusTargetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import ObjectStoragePath

#: The schemes of stores in which an upload replaces an object in one step, and a half one leaves nothing.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs", "oss", "oci"}

#: A file that was left beside its place by a process that was killed is removed after this many seconds.
STRAY_AFTER = 24 * 3600.0


class Published(NamedTuple):
    """A file that is there."""

    size: int  # in bytes
    checksum: str  # "sha256:" and 64 hexadecimal digits


def place(path: str | ObjectStoragePath, conn_id: str | None) -> ObjectStoragePath:
    """Return a path in a store that Airflow can reach.

    :param path: with a scheme, or of a local file.
    :param conn_id: the Airflow connection for the store, where the path names none.
    :raises AngusTargetError: Airflow knows no store of this scheme, or no such connection.
    """
    from airflow.providers.common.compat.sdk import AirflowException, ObjectStoragePath

    try:
        # On Airflow 2 a conn_id beside the path, be it None, takes the place of the one in it.
        named = conn_id is None or urlsplit(str(path)).username
        there = ObjectStoragePath(path) if named else ObjectStoragePath(path, conn_id=conn_id)
        there.fs  # noqa: B018 (only now is it looked for)
    except (ValueError, ImportError, AirflowException) as error:
        raise AngusTargetError(f"{path} cannot be written: {error}. Is the store's provider installed?") from error
    return there


def publish(path: ObjectStoragePath, write: Callable[[IO[bytes]], None]) -> Published:
    """Write a file so that nobody sees it before it is whole; what was there before is there until then.

    :param path: where it is to be, see :func:`place`; on a disk its folders are made.
    :param write: writes all of it.
    :raises AngusStorageError: it cannot be written.
    :raises AngusError: whatever ``write`` raises.
    """
    from fsspec.implementations.local import LocalFileSystem

    try:
        if isinstance(path.fs, LocalFileSystem):
            return _to_disk(Path(path.path), write)
        return _to_store(path, write)
    except OSError as error:
        raise _failed(path, error) from error


def _to_disk(place: Path, write: Callable[[IO[bytes]], None]) -> Published:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        raise IsADirectoryError(f"{place} is a folder")
    _remove_strays(place)
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex}.part")
    try:
        # Not a tempfile, whose owner alone may read it.
        with aside.open("x+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            published = _measure(file)
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
    return published


def _to_store(path: ObjectStoragePath, write: Callable[[IO[bytes]], None]) -> Published:
    with tempfile.NamedTemporaryFile() as file:
        write(file)
        file.flush()
        published = _measure(file)
        with _Uploading(path):
            _upload(file.name, path)
    return published


def _upload(name: str, path: ObjectStoragePath) -> None:
    if path.protocol in OBJECT_STORES:
        path.fs.put_file(name, path.path)
        return
    folder, _, last = path.path.rpartition("/")
    aside = f"{folder}/.{last}.{uuid.uuid4().hex}.part"
    path.fs.makedirs(folder, exist_ok=True)
    try:
        path.fs.put_file(name, aside)
        path.fs.mv(aside, path.path)
    finally:
        if path.fs.exists(aside):
            path.fs.rm_file(aside)


class _Uploading:
    """Tells what a store's library raises as an error of ours: each has classes of its own, with no base in common."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            raise _failed(self._path, error) from error


def _failed(path: ObjectStoragePath, error: Exception) -> AngusStorageError:
    return AngusStorageError(f"{path} could not be written: {error}. What was there before still is.")


def _remove_strays(place: Path) -> None:
    for stray in place.parent.glob(f".{glob.escape(place.name)}.*.part"):
        try:
            if stray.stat().st_mtime < time.time() - STRAY_AFTER:
                stray.unlink()
        except FileNotFoundError:
            # Somebody else was faster.
            continue


def _measure(file: IO[bytes]) -> Published:
    file.seek(0)
    digest = hashlib.file_digest(cast("Any", file), "sha256")
    return Published(file.tell(), f"sha256:{digest.hexdigest()}")
