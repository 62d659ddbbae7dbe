"""AngusToObjectStorageOperator with the client libraries of S3, Azure, GCS and SFTP, against local servers."""

from __future__ import annotations

import hashlib
import os
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath
from airflow.providers.openlineage.utils.utils import translate_airflow_asset
from airflow_runs import extras_of
from forked import Run, execute
from sensors import without_people
from transfers import ONE_RETRY, columns_of, fetched_rows, load, read_file, to_file

from airflow_provider_angus.exceptions import AngusStorageError, AngusTargetError
from airflow_provider_angus.loading.lineage import file_output
from airflow_provider_angus.loading.object_storage import resolve_path, write_atomically
from airflow_provider_angus.transfers import AngusToObjectStorageOperator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_runs import Airflow, Outcome
    from conftest import Store

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")

MIB = 1 << 20

ODD_NAMES = ["a b.csv", "größe €.csv", "a#b.csv", "100%.csv", "a%20b+c.csv", "{a}[b]*.csv", "a@b:c,d.csv"]

#: The arguments of a load without a task run.
DAY = {"metrics": "passing_by", "time": "by_hour", "from_date": "2026-11-20", "to_date": "2026-11-21"}


def to_store(airflow: Airflow, store: Store, key: str, **arguments: Any) -> Outcome:
    defaults = {"path": store.url(key), "storage_conn_id": store.conn_id} | ONE_RETRY
    return load(airflow, lambda: to_file(**defaults | arguments))


def make_large(sandbox: Sandbox, times: int = 1) -> None:
    """Let the rows of the next loads have more than 20 MiB."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        for bucket in body["entities"].values():
            bucket["passing_by"]["note"] = "x" * MIB
        return body

    sandbox.change_next(change, times=times, on="entities")


@pytest.mark.parametrize("extension", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
def test_store_rerun_writes_same_bytes(airflow: Airflow, store: Store, tmp_path: Path, extension: str) -> None:
    key = f"day.{extension}"
    first = to_store(airflow, store, key).returned
    path = tmp_path / key
    path.write_bytes(store.read(key))
    assert to_store(airflow, store, key).returned == first
    assert (store.names(), store.read(key)) == ([key], path.read_bytes())
    assert first["checksum"] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    rows = read_file(path, extension.partition(".")[0])
    expected = columns_of(fetched_rows(airflow), "stream", "passing_by")
    assert [(stream, int(count)) for stream, count in columns_of(rows, "stream", "passing_by")] == expected


@pytest.mark.parametrize("key", ODD_NAMES)
def test_store_odd_name_is_the_key(airflow: Airflow, store: Store, key: str) -> None:
    for _ in range(2):
        assert to_store(airflow, store, key).state == "success"
    assert store.names() == [key]
    assert ObjectStoragePath(store.url(key), conn_id=store.conn_id).read_bytes() == store.read(key)


def test_store_question_mark_is_part_of_the_key_or_refused(airflow: Airflow, store: Store) -> None:
    """The client of SFTP would drop it with the rest of the name."""
    key = "a?b=c&d.csv"
    outcome = to_store(airflow, store, key)
    if store.server.scheme != "sftp":
        assert store.names() == [key]
        return
    assert [type(error) for error in outcome.errors] == [AngusTargetError]
    assert "this store would name the file '/upload/" in str(outcome.errors[0])
    assert store.names() == []


@pytest.mark.xdist_group("disk")
@pytest.mark.parametrize("key", [*ODD_NAMES, "a?b=c&d.csv"])
def test_disk_odd_name_is_that_of_the_file(airflow: Airflow, tmp_path: Path, key: str) -> None:
    for path in (tmp_path / key, f"file://{tmp_path}/{key}"):
        assert load(airflow, lambda path=path: to_file(path)).state == "success"
    assert [path.name for path in tmp_path.iterdir()] == [key]


def test_store_large_file_is_complete(airflow: Airflow, sandbox: Sandbox, store: Store) -> None:
    make_large(sandbox)
    manifest = to_store(airflow, store, "day.jsonl").returned
    assert manifest["bytes"] > 20 * MIB
    assert manifest["checksum"] == f"sha256:{hashlib.sha256(store.read('day.jsonl')).hexdigest()}"
    assert store.names() == ["day.jsonl"]


@pytest.mark.xdist_group("s3")
def test_s3_upload_in_parts_is_complete(open_store: Callable[..., Store]) -> None:
    """The client of S3 uploads files of more than 100 MiB in parts of 50 MiB."""
    store = open_store("s3")
    content = bytes(range(256)) * (110 * MIB // 256)
    path = resolve_path(store.url("day.bin"), store.conn_id)
    written = write_atomically(path, lambda file: file.write(content))
    assert path.fs.info(path.path)["ETag"].strip('"').endswith("-3")
    assert (written.size, store.read("day.bin") == content) == (len(content), True)


def test_store_missing_bucket_fails_at_once(airflow: Airflow, store: Store) -> None:
    url = store.server.missing_bucket()
    outcome = to_store(airflow, store, "", path=url)
    assert [type(error) for error in outcome.errors] == [AngusTargetError]
    assert f"{url[-16:]} could not be written: " in str(outcome.errors[0])


def test_store_refused_permission_fails_at_once(
    airflow: Airflow, store: Store, connect: Callable[[dict[str, Any]], str]
) -> None:
    with store.server.refused_connection() as connection:
        outcome = to_store(airflow, store, "day.csv", storage_conn_id=connect(connection))
    assert [type(error) for error in outcome.errors] == [AngusTargetError]
    assert store.names() == []


def test_store_lost_in_the_middle_keeps_existing_file(airflow: Airflow, sandbox: Sandbox, store: Store) -> None:
    to_store(airflow, store, "day.jsonl")
    existing = store.read("day.jsonl")
    make_large(sandbox)
    store.link.after(4 * MIB, store.link.stop)
    outcome = to_store(airflow, store, "day.jsonl", retries=0)
    assert store.link.sent > 4 * MIB
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert str(outcome.errors[0]).endswith("Existing data is unchanged.")
    assert store.read("day.jsonl") == existing


def test_store_killed_in_the_middle_keeps_existing_file(airflow: Airflow, sandbox: Sandbox, store: Store) -> None:
    """The next run writes the whole new file."""
    to_store(airflow, store, "day.jsonl")
    existing = store.read("day.jsonl")
    make_large(sandbox, times=2)
    stalled, killed = threading.Event(), threading.Event()
    store.link.after(4 * MIB, lambda: (stalled.set(), killed.wait(60)))
    env = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
    arguments = {"operator": AngusToObjectStorageOperator, "storage_conn_id": store.conn_id}
    run = Run(execute, env, path=store.url("day.jsonl"), **DAY, **arguments).start()
    assert stalled.wait(60)
    assert run.kill_after(0)
    killed.set()
    assert store.read("day.jsonl") == existing
    manifest = to_store(airflow, store, "day.jsonl").returned
    assert manifest["checksum"] == f"sha256:{hashlib.sha256(store.read('day.jsonl')).hexdigest()}"


def test_store_two_endpoints_in_one_task_are_distinct(
    kind: str, store: Store, open_store: Callable[..., Store], sandbox: Sandbox
) -> None:
    other = open_store(kind, 2)
    sandbox.change_next(without_people, on="entities")
    for target in (store, other):
        execute(AngusToObjectStorageOperator, path=store.url("day.csv"), storage_conn_id=target.conn_id, **DAY)
    other.prefix = store.prefix
    assert other.names() == store.names() == ["day.csv"]
    assert other.read("day.csv") != store.read("day.csv")


def test_store_asset_is_that_of_the_consumer(airflow: Airflow, store: Store) -> None:
    """The file's lineage is that of the asset that a consumer declares, without the connection."""
    url = store.url("day.csv").replace(" ", "-")
    path = ObjectStoragePath(url.replace("://", f"://{store.conn_id}@"))
    if store.server.scheme == "sftp":
        url = url.replace("host", f"127.0.0.1:{store.link.port}")
    assert to_store(airflow, store, "", path=path, storage_conn_id=None, outlets=[Asset(url)]).state == "success"
    assert [extra["rows"] for extra in extras_of(Asset(url))] == [24]
    dataset = file_output(path, ())
    # Airflow has no lineage of Azure's assets.
    asset = translate_airflow_asset(Asset(url), None) or SimpleNamespace(namespace="abfs://bucket", name=url[14:])
    assert (dataset.namespace, dataset.name) == (asset.namespace, asset.name)
