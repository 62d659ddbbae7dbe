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

from airflow_provider_angus.api.redaction import quote_untrusted
from airflow_provider_angus.exceptions import AngusError, AngusTargetError
from airflow_provider_angus.loading.storage_errors import classify_disk, classify_store
from airflow_provider_angus.model.arguments import has_control_characters

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

    A relative path of a disk is relative to the working directory, and ``~`` is the home directory.

    :raises AngusTargetError: Airflow does not know the scheme or the connection, or a retry cannot help.
    :raises AngusStorageError: the store failed.
    """
    from airflow.providers.common.compat.sdk import AirflowException, ObjectStoragePath

    if has_control_characters(str(path)):
        raise AngusTargetError(f"path: expected no control characters, got {str(path)[:200]!r}.")
    try:
        # On Airflow 2, conn_id= overrides the connection in the URL, even if it is None.
        keep = conn_id is None or urlsplit(str(path)).username
        located = _make_absolute(path)
        resolved = ObjectStoragePath(located) if keep else ObjectStoragePath(located, conn_id=conn_id)
        resolved.fs  # noqa: B018 (the property finds the store)
    except Exception as error:  # the libraries of stores have errors of their own, without a common base class
        # RuntimeError: there is no home directory for "~".
        stays_wrong = isinstance(error, AirflowException) or type(error) is RuntimeError
        kind = AngusTargetError if stays_wrong else classify_store(error)
        raise kind(
            f"path: {path} cannot be written: {quote_untrusted(str(error)).rstrip('.')}. Check the path and its "
            "connection, and install the store's provider."
        ) from error
    if not resolved.path.endswith(str(located).rpartition("/")[2]):
        # The library of SFTP drops a query.
        raise AngusTargetError(
            f"path: {path} cannot be written: this store would name the file {resolved.path!r}. Change the name."
        )
    return resolved


def write_atomically(path: ObjectStoragePath, write: Callable[[IO[bytes]], object]) -> WrittenFile:
    """Write a file that becomes visible when it is complete. Until then, readers see the existing file.

    On a disk, missing folders are created. The errors of ``write`` are raised unchanged, except ``OSError``.

    :raises AngusTargetError: the file cannot be written, and a retry cannot help. Existing data is unchanged.
    :raises AngusStorageError: the file cannot be written now. Existing data is unchanged.
    """
    from fsspec.implementations.local import LocalFileSystem

    with _translate_error(path, OSError, classify_disk):
        local = isinstance(path.fs, LocalFileSystem)
        return _write_to_disk(Path(path.path), write) if local else _write_to_store(path, write)


def checksum(path: ObjectStoragePath) -> str | None:
    """Return the checksum of a file as :func:`write_atomically` returns it, or None if it cannot be read."""
    try:
        with path.fs.open(path.path, "rb") as file:
            return _checksum(file)
    except Exception:  # noqa: BLE001 (there is no file, or no permission to read; stores have errors of their own)
        return None


def _make_absolute(path: str | ObjectStoragePath) -> str | ObjectStoragePath:
    # Airflow 2 puts relative paths into the root directory, Airflow 3 into the working directory.
    text = str(path)
    if urlsplit(text).scheme in {"", "file"} and "://" not in text:
        return str(Path(text.removeprefix("file:")).expanduser().absolute())
    return path


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
        with _translate_error(path, Exception, classify_store):
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
    found = _checksum(file)
    return WrittenFile(file.seek(0, os.SEEK_END), found)


def _checksum(file: Any) -> str:
    return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@contextmanager
def _translate_error(
    path: ObjectStoragePath, library_error: type[Exception], classify: Callable[[Any], type[AngusError]]
) -> Iterator[None]:
    try:
        yield
    except library_error as error:
        message = quote_untrusted(str(error)).rstrip(".") or type(error).__name__
        raise classify(error)(f"{path} could not be written: {message}. Existing data is unchanged.") from error
