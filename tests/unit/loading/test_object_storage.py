"""Atomic writes: to a disk, to an object store, and to a store without atomic uploads."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import time
from typing import IO, TYPE_CHECKING

import pytest
from stores import Store, path_in

from airflow_provider_angus.exceptions import AngusStorageError, AngusTargetError
from airflow_provider_angus.loading.object_storage import STALE_AFTER, checksum, resolve_path, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store() -> Iterator[Store]:
    Store.store.clear()
    yield Store()
    Store.store.clear()


def write(file: IO[bytes]) -> None:
    file.write(b"whole")


def write_part(file: IO[bytes]) -> None:
    file.write(b"ha")
    file.flush()
    raise AngusStorageError("No more.")


# On a disk


def test_disk_file_is_replaced_atomically(tmp_path: Path) -> None:
    """A reader of the old file keeps the old content."""
    target = tmp_path / "day.csv"
    target.write_text("old")
    with target.open() as reader:
        written = write_atomically(resolve_path(str(target), None), write)
        assert reader.read() == "old"
    assert target.read_text() == "whole"
    assert written == (5, f"sha256:{hashlib.sha256(b'whole').hexdigest()}")
    assert list(tmp_path.iterdir()) == [target]


def test_disk_file_does_not_exist_before_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "day.csv"

    def write_and_check(file: IO[bytes]) -> None:
        write(file)
        file.flush()
        assert not target.exists()

    write_atomically(resolve_path(f"file://{target}", None), write_and_check)
    assert target.exists()


def test_disk_failed_write_keeps_the_old_file_only(tmp_path: Path) -> None:
    target = tmp_path / "day.csv"
    target.write_text("old")
    with pytest.raises(AngusStorageError, match="No more"):
        write_atomically(resolve_path(str(target), None), write_part)
    assert (list(tmp_path.iterdir()), target.read_text()) == ([target], "old")


def test_disk_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    target, umask = tmp_path / "day.csv", os.umask(0o022)
    try:
        write_atomically(resolve_path(str(target), None), write)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_disk_stale_temporary_files_are_removed(tmp_path: Path) -> None:
    """Recent temporary files and those of other targets stay."""
    names = (".[day].csv.0123.part", ".[day].csv.4567.part", ".d.csv.89ab.part")
    old, new, other = (tmp_path / name for name in names)
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, time.time() - STALE_AFTER - 60))
    write_atomically(resolve_path(str(tmp_path / "[day].csv"), None), write)
    assert {path.name for path in tmp_path.iterdir()} == {"[day].csv", new.name, other.name}


def make_unusable(folder: Path, kind: str) -> Path:
    """Return a path in the folder that cannot be a file."""
    target = folder / "day.csv"
    if kind == "folder":
        target.mkdir()
    elif kind == "file as a folder":
        target.touch()
        target = target / "day.csv"
    elif kind == "loop of links":
        target.symlink_to(target)
        target = target / "day.csv"
    else:
        target = folder / ("x" * 250 + ".csv")
    return target


@pytest.mark.parametrize("kind", ["folder", "file as a folder", "loop of links", "long name"])
def test_disk_unusable_path_fails_at_once(tmp_path: Path, kind: str) -> None:
    path = resolve_path(str(make_unusable(tmp_path, kind)), None)
    before = list(tmp_path.rglob("*"))
    with pytest.raises(AngusTargetError, match=r"could not be written: .* Existing data is unchanged\.") as raised:
        write_atomically(path, write)
    assert isinstance(raised.value.__cause__, OSError)
    assert list(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_disk_missing_permission_fails_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = resolve_path(str(tmp_path / "day.csv"), None)
    os.seteuid(65534)
    try:
        with pytest.raises(AngusTargetError, match="Permission denied"):
            write_atomically(path, write)
    finally:
        os.seteuid(0)
    assert list(tmp_path.iterdir()) == []


def test_disk_read_only_fails_at_once(small_disk: Path) -> None:
    (small_disk / "day.csv").write_text("old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(AngusTargetError, match="Read-only file system"):
        write_atomically(resolve_path(str(small_disk / "day.csv"), None), write)
    assert (small_disk / "day.csv").read_text() == "old"


@pytest.mark.parametrize("text", ["rows.csv", "./rows.csv", "file:rows.csv", "~/rows.csv"])
def test_disk_relative_path_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = resolve_path(text, None)
    assert str(path) == str(tmp_path / "rows.csv")
    write_atomically(path, write)
    assert (tmp_path / "rows.csv").read_text() == "whole"


# In a store


def test_object_store_receives_one_upload(store: Store) -> None:
    path = path_in(store, "s3")
    written = write_atomically(path, write)
    assert store.operations == [("put", path.path)]
    assert store.cat_file(path.path) == b"whole"
    assert written.size == 5


def test_checksum_is_that_of_the_written_file(store: Store, tmp_path: Path) -> None:
    for path in (path_in(store, "s3"), path_in(store, "sftp"), resolve_path(str(tmp_path / "day.csv"), None)):
        assert checksum(path) is None
        assert write_atomically(path, write).checksum == checksum(path)


def test_checksum_of_unreadable_file_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some users may write files and not read them. Then each file counts as changed."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    path = path_in(store, "s3")
    write_atomically(path, write)
    monkeypatch.setattr(Store, "_open", refuse)
    assert checksum(path) is None


def test_object_store_is_empty_before_file_is_complete(store: Store) -> None:
    def write_and_check(file: IO[bytes]) -> None:
        write(file)
        file.flush()
        assert store.find("/") == []

    write_atomically(path_in(store, "s3"), write_and_check)
    assert len(store.find("/")) == 1


def test_object_store_failed_write_uploads_nothing(store: Store) -> None:
    with pytest.raises(AngusStorageError):
        write_atomically(path_in(store, "gs"), write_part)
    assert (store.operations, store.find("/")) == ([], [])


def test_other_store_receives_temporary_file_and_move(store: Store) -> None:
    path = path_in(store, "sftp")
    write_atomically(path, write)
    assert [operation for operation, _ in store.operations] == ["put", "move"]
    assert store.operations[0][1].rpartition("/")[0] == path.path.rpartition("/")[0]
    assert [name.rpartition("/")[2] for name in store.find("/")] == ["day.csv"]


def test_other_store_failed_move_leaves_no_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(store, "mv", refuse)
    with pytest.raises(AngusTargetError, match="day.csv could not be written: not here"):
        write_atomically(path_in(store, "sftp"), write)
    assert store.find("/") == []


def test_store_library_error_becomes_storage_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class LibraryError(Exception):
        pass

    def fail(*_: object, **__: object) -> None:
        raise LibraryError("Could not connect")

    monkeypatch.setattr(store, "put_file", fail)
    message = "bucket/shop/day.csv could not be written: Could not connect. Existing data is unchanged."
    with pytest.raises(AngusStorageError, match=message) as raised:
        write_atomically(path_in(store, "s3"), write)
    assert isinstance(raised.value.__cause__, LibraryError)


# resolve_path


def test_resolve_path_prefers_the_connection_in_the_url(store: Store) -> None:
    separate = path_in(store, "s3")
    conn_id = re.findall(r"tests_\w+", str(separate))[0]
    in_url = resolve_path(f"s3://{conn_id}@bucket/shop/day.csv", None)
    both = resolve_path(f"s3://{conn_id}@bucket/shop/day.csv", "another")
    assert separate.fs is in_url.fs is both.fs is store


def test_resolve_path_unknown_scheme_is_rejected() -> None:
    with pytest.raises(AngusTargetError, match="unknown://bucket/day.csv cannot be written: .*install the store"):
        resolve_path("unknown://bucket/day.csv", None)


@pytest.mark.parametrize("text", ["/data/a\0b.csv", "/data/a\nb.csv", "s3://bucket/\x1b.csv", "/data/\ud800.csv"])
def test_resolve_path_with_control_character_is_rejected(text: str) -> None:
    with pytest.raises(AngusTargetError, match="path: expected no control characters") as raised:
        resolve_path(text, None)
    assert str(raised.value).isprintable()


def test_resolve_path_without_connection_is_rejected(store: Store) -> None:
    """An ID that Airflow does not know."""
    del store
    with pytest.raises(AngusTargetError, match="cannot be written"):
        resolve_path("unknown://no_such_connection@bucket/day.csv", None)
