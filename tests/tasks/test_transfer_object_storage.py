"""AngusToObjectStorageOperator in Airflow: the file has the run's rows, or the existing file is unchanged."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from transfers import ONE_RETRY, columns_of, fetched_rows, load, read_file, to_file, without_rows

from airflow_provider_angus.exceptions import (
    AngusRequestError,
    AngusResponseError,
    AngusStorageError,
    AngusTargetError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connection")


@pytest.mark.parametrize("extension", ["jsonl", "jsonl.gz", "csv", "CSV.GZ", "Parquet"])
def test_file_format_follows_extension(airflow: Airflow, tmp_path: Path, extension: str) -> None:
    metrics = "stop_time,passing_by"
    manifest = load(airflow, lambda: to_file(tmp_path / f"{{{{ ds }}}}.{extension}", metrics=metrics)).returned
    (written,) = tmp_path.iterdir()
    rows, expected = read_file(written, extension.lower().partition(".")[0]), fetched_rows(airflow, metrics=metrics)
    assert list(rows[0]) == ["stream", "bucket_start", "bucket_end", "passing_by", "stop_time", "other"]
    if extension.lower().startswith("csv"):
        expected = [{name: "" if value is None else str(value) for name, value in row.items()} for row in expected]
    if extension == "Parquet":
        dates = ("bucket_start", "bucket_end")
        expected = [row | {name: datetime.fromisoformat(row[name]) for name in dates} for row in expected]
    assert len(rows) == 24
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected
    assert (manifest["path"], manifest["rows"], manifest["bytes"]) == (str(written), 24, written.stat().st_size)
    assert manifest["checksum"] == f"sha256:{hashlib.sha256(written.read_bytes()).hexdigest()}"


def test_file_manifest_has_stream_and_interval(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = load(airflow, lambda: to_file(tmp_path / "day.csv")).returned
    assert list(manifest) == ["path", "stream", "from_date", "to_date", "rows", "bytes", "checksum"]
    assert manifest["stream"] == next(iter(sandbox.streams))
    assert (manifest["from_date"], manifest["to_date"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")


def test_file_size_and_rows_are_logged(airflow: Airflow, tmp_path: Path) -> None:
    manifest = load(airflow, lambda: to_file(tmp_path / "day.csv")).returned
    assert f"Wrote 24 rows to {manifest['path']} ({manifest['bytes']} bytes)" in airflow.log


@pytest.mark.parametrize("extension", ["jsonl.gz", "parquet"])
def test_file_rerun_writes_same_bytes(airflow: Airflow, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"day.{extension}"
    first, second = (load(airflow, lambda: to_file(path)).returned for _ in range(2))
    assert first == second
    assert list(tmp_path.iterdir()) == [path]


def test_file_columns_do_not_depend_on_response(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    """A missing metric is null. Undocumented keys go to the column ``other``."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        for number, bucket in enumerate(body["entities"].values()):
            del bucket["gender"]
            bucket["satisfaction"] = {"smiles": number}
        return body

    sandbox.change_next(change, on="entities")
    load(airflow, lambda: to_file(tmp_path / "day.csv", metrics="passing_by,gender,satisfaction"))
    rows = read_file(tmp_path / "day.csv", "csv")
    genders = ["gender_female", "gender_male", "gender_unknown"]
    assert list(rows[0]) == ["stream", "bucket_start", "bucket_end", "passing_by", *genders, "other"]
    assert columns_of(rows[:2], *genders, "other") == [
        ("", "", "", '{"satisfaction_smiles": 0}'),
        ("", "", "", '{"satisfaction_smiles": 1}'),
    ]


def test_file_folders_are_created_and_format_is_argument(airflow: Airflow, tmp_path: Path) -> None:
    path = tmp_path / "shop" / "{{ ds }}" / "audience.gz"
    load(airflow, lambda: to_file(path, format="jsonl"))
    (written,) = tmp_path.glob("shop/*/audience.gz")
    assert len(read_file(written, "jsonl")) == 24


def test_file_templated_path_is_checked_after_rendering(airflow: Airflow, sandbox: Sandbox) -> None:
    outcome = load(airflow, lambda: to_file("/data/{{ 'day' }}.xlsx", **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert "path: expected an extension of jsonl, csv, parquet, got str" in str(outcome.errors[0])
    assert sandbox.count() == 0


def test_file_unknown_store_fails_at_once(airflow: Airflow) -> None:
    outcome = load(airflow, lambda: to_file("nowhere://bucket/day.csv", **ONE_RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusTargetError)
    assert "nowhere://bucket/day.csv cannot be written" in str(outcome.errors[0])


def test_file_unwritable_path_keeps_existing_data(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("existing")
    outcome = load(airflow, lambda: to_file(tmp_path / "file" / "day.csv", **ONE_RETRY))
    assert [type(error) for error in outcome.errors] == [AngusTargetError]
    assert f"{tmp_path}/file/day.csv could not be written" in str(outcome.errors[0])
    assert isinstance(outcome.errors[0].__cause__, OSError)
    assert (tmp_path / "file").read_text() == "existing"


def test_file_path_that_is_a_folder_fails(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "day.csv").mkdir()
    outcome = load(airflow, lambda: to_file(tmp_path / "day.csv"))
    assert "is a folder" in str(outcome.errors[0])
    assert list(tmp_path.iterdir()) == [tmp_path / "day.csv"]


def test_file_failure_on_second_page_keeps_existing_file(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    path.write_text("existing")

    def fail_second_page(body: dict[str, Any]) -> dict[str, Any]:
        sandbox.fail_next(400, body={"code": "x", "message": "no"}, on="entities")
        return body

    sandbox.change_next(fail_second_page, on="entities")
    outcome = load(airflow, lambda: to_file(path, from_date="2026-11-01", to_date="2026-11-11"))
    assert [type(error) for error in outcome.errors] == [AngusRequestError]
    assert (list(tmp_path.iterdir()), path.read_text()) == ([path], "existing")


@pytest.mark.parametrize(("allow_empty", "content"), [(True, ""), (False, "existing")])
def test_file_allow_empty_decides_whether_no_rows_replace_it(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path, *, allow_empty: bool, content: str
) -> None:
    path = tmp_path / "day.jsonl"
    path.write_text("existing")
    sandbox.change_next(without_rows, on="entities")
    outcome = load(airflow, lambda: to_file(path, allow_empty=allow_empty, on_incomplete="warn"))
    assert [type(error) for error in outcome.errors] == ([] if allow_empty else [AngusResponseError])
    assert path.read_text() == content


def test_file_relative_path_is_absolute_in_the_manifest(
    airflow: Airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = load(airflow, lambda: to_file("rows.csv"))
    assert outcome.returned["path"] == str(tmp_path / "rows.csv")
    assert len(read_file(tmp_path / "rows.csv", "csv")) == 24


def test_file_full_disk_keeps_existing_file(airflow: Airflow, small_disk: Path) -> None:
    path = small_disk / "days.csv"
    path.write_text("existing")
    outcome = load(
        airflow,
        lambda: to_file(path, metrics="passing_by,gender,category", from_date="2026-08-01", to_date="2026-11-01"),
    )
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "No space left on device" in str(outcome.errors[0])
    assert (list(small_disk.iterdir()), path.read_text()) == ([path], "existing")
