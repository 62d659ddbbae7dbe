"""A file appears whole or not at all: on a disk, in an object store, and in a store that is neither."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
import uuid
from typing import IO, TYPE_CHECKING, Any

import pytest
from airflow_runs import AIRFLOW_3
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_angus.exceptions import AngusStorageError, AngusTargetError
from airflow_provider_angus.publishing import STRAY_AFTER, place, publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow.providers.common.compat.sdk import ObjectStoragePath


class Store(MemoryFileSystem):
    """A store that remembers what it has been asked for."""

    cachable = False
    store: dict[str, Any] = {}  # noqa: RUF012 (fsspec's way to share it)
    pseudo_dirs = [""]  # noqa: RUF012 (the same)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[tuple[str, str]] = []

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        self.asked.append(("put", rpath))
        super().put_file(lpath, rpath, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.asked.append(("move", path2))
        super().mv(path1, path2, **kwargs)


@pytest.fixture
def store() -> Iterator[Store]:
    Store.store.clear()
    yield Store()
    Store.store.clear()


def in_store(scheme: str, store: Store) -> ObjectStoragePath:
    if AIRFLOW_3:
        from airflow.sdk.io import attach
    else:
        from airflow.io import _register_filesystems
        from airflow.io.store import attach

        # What a store's provider would do.
        _register_filesystems()[scheme] = lambda *_: store
    # Airflow keeps stores, by scheme and connection.
    conn_id = f"tests_{uuid.uuid4().hex}"
    attach(scheme, conn_id=conn_id, fs=store)  # noqa: AIR311 (there is no other in Airflow 2)
    return place(f"{scheme}://bucket/shop/day.csv", conn_id)


def write(file: IO[bytes]) -> None:
    file.write(b"whole")


def write_half(file: IO[bytes]) -> None:
    file.write(b"ha")
    file.flush()
    raise AngusStorageError("No more.")


def test_a_file_replaces_another_in_one_step_and_is_measured(tmp_path: Path) -> None:
    there = tmp_path / "day.csv"
    there.write_text("was here")
    with there.open() as reader:
        published = publish(place(str(there), None), write)
        # Whoever is reading reads on what was there.
        assert reader.read() == "was here"
    assert there.read_text() == "whole"
    assert published == (5, f"sha256:{hashlib.sha256(b'whole').hexdigest()}")
    assert list(tmp_path.iterdir()) == [there]


def test_a_file_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    there = tmp_path / "day.csv"

    def look(file: IO[bytes]) -> None:
        write(file)
        file.flush()
        assert not there.exists()

    publish(place(f"file://{there}", None), look)
    assert there.exists()


def test_what_fails_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    there = tmp_path / "day.csv"
    there.write_text("was here")
    with pytest.raises(AngusStorageError, match="No more"):
        publish(place(str(there), None), write_half)
    assert (list(tmp_path.iterdir()), there.read_text()) == ([there], "was here")


def test_a_file_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    there, before = tmp_path / "day.csv", os.umask(0o022)
    try:
        publish(place(str(there), None), write)
    finally:
        os.umask(before)
    assert stat.S_IMODE(there.stat().st_mode) == 0o644


def test_what_a_killed_process_left_a_day_ago_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = (".[day].csv.0123.part", ".[day].csv.4567.part", ".d.csv.89ab.part")
    old, new, others = (tmp_path / name for name in names)
    for stray in (old, new, others):
        stray.touch()
    for stray in (old, others):
        os.utime(stray, (0, time.time() - STRAY_AFTER - 60))
    publish(place(str(tmp_path / "[day].csv"), None), write)
    assert {path.name for path in tmp_path.iterdir()} == {"[day].csv", new.name, others.name}


def test_an_object_store_gets_the_file_in_one_upload(store: Store) -> None:
    path = in_store("s3", store)
    published = publish(path, write)
    assert store.asked == [("put", path.path)]
    assert store.cat_file(path.path) == b"whole"
    assert published.size == 5


def test_an_object_store_gets_nothing_before_the_file_is_whole(store: Store) -> None:
    def look(file: IO[bytes]) -> None:
        write(file)
        file.flush()
        assert store.find("/") == []

    publish(in_store("s3", store), look)
    assert len(store.find("/")) == 1


def test_an_object_store_gets_nothing_of_what_fails(store: Store) -> None:
    with pytest.raises(AngusStorageError):
        publish(in_store("gs", store), write_half)
    assert (store.asked, store.find("/")) == ([], [])


def test_another_store_gets_the_file_beside_its_place_and_then_in_it(store: Store) -> None:
    path = in_store("sftp", store)
    publish(path, write)
    assert [step for step, _ in store.asked] == ["put", "move"]
    assert store.asked[0][1].rpartition("/")[0] == path.path.rpartition("/")[0]
    assert [name.rpartition("/")[2] for name in store.find("/")] == ["day.csv"]


def test_what_a_store_s_library_raises_is_an_error_of_storage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class LibraryError(Exception):
        pass

    def away(*_: object, **__: object) -> None:
        raise LibraryError("Could not connect")

    monkeypatch.setattr(store, "put_file", away)
    path = in_store("s3", store)
    with pytest.raises(
        AngusStorageError, match="bucket/shop/day.csv could not be written: Could not connect"
    ) as raised:
        publish(path, write)
    assert isinstance(raised.value.__cause__, LibraryError)


def test_a_move_that_fails_leaves_nothing_beside_the_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_move(*_: object, **__: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(store, "mv", no_move)
    with pytest.raises(AngusStorageError, match="day.csv could not be written: not here"):
        publish(in_store("sftp", store), write)
    assert store.find("/") == []


def test_the_connection_stands_in_the_path_or_beside_it(store: Store) -> None:
    beside = in_store("s3", store)
    conn_id = re.findall(r"tests_\w+", str(beside))[0]
    inside = place(f"s3://{conn_id}@bucket/shop/day.csv", None)
    both = place(f"s3://{conn_id}@bucket/shop/day.csv", "another")
    assert beside.fs is inside.fs is both.fs is store


def test_a_store_that_airflow_does_not_know_is_named() -> None:
    with pytest.raises(AngusTargetError, match="nowhere://bucket/day.csv cannot be written: .*provider installed"):
        place("nowhere://bucket/day.csv", None)
