"""Landing in files through Airflow: the run's rows are there, whole, or what was there before is."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from landing import RETRY, columns_of, fetched, land, read, to_file

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


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
def test_a_file_has_the_run_s_rows_in_the_format_of_its_ending(airflow: Airflow, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"{{{{ ds }}}}.{ending}"
    metrics = "stop_time,passing_by"
    manifest = land(airflow, lambda: to_file(path, metrics=metrics)).returned
    (written,) = tmp_path.iterdir()
    rows, want = read(written, ending.partition(".")[0]), fetched(airflow, metrics=metrics)
    assert list(rows[0]) == ["stream", "bucket_start", "bucket_end", "passing_by", "stop_time", "other"]
    if ending.startswith("csv"):
        want = [{name: "" if value is None else str(value) for name, value in row.items()} for row in want]
    if ending == "parquet":
        want = [
            row | {name: datetime.fromisoformat(row[name]) for name in ("bucket_start", "bucket_end")} for row in want
        ]
    assert len(rows) == 24
    assert [{name: row[name] for name in want[0]} for row in rows] == want
    assert (manifest["path"], manifest["rows"], manifest["bytes"]) == (str(written), 24, written.stat().st_size)
    assert manifest["checksum"] == f"sha256:{hashlib.sha256(written.read_bytes()).hexdigest()}"


def test_the_manifest_says_stream_and_interval(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = land(airflow, lambda: to_file(tmp_path / "day.csv")).returned
    assert list(manifest) == ["path", "stream", "from_date", "to_date", "rows", "bytes", "checksum"]
    assert manifest["stream"] == next(iter(sandbox.streams))
    assert (manifest["from_date"], manifest["to_date"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")


@pytest.mark.parametrize("ending", ["jsonl.gz", "parquet"])
def test_a_rerun_replaces_the_file_by_the_same_bytes(airflow: Airflow, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"day.{ending}"
    first, again = (land(airflow, lambda: to_file(path)).returned for _ in range(2))
    assert first == again
    assert list(tmp_path.iterdir()) == [path]


def test_columns_are_those_of_the_metrics_also_when_the_answer_lacks_them(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path
) -> None:
    def strange(answer: dict[str, Any]) -> dict[str, Any]:
        for number, bucket in enumerate(answer["entities"].values()):
            del bucket["gender"]
            bucket["satisfaction"] = {"smiles": number}
        return answer

    sandbox.change_next(strange, on="entities")
    land(airflow, lambda: to_file(tmp_path / "day.csv", metrics="passing_by,gender,satisfaction"))
    rows = read(tmp_path / "day.csv", "csv")
    genders = ["gender_female", "gender_male", "gender_unknown"]
    assert list(rows[0]) == ["stream", "bucket_start", "bucket_end", "passing_by", *genders, "other"]
    assert columns_of(rows[:2], *genders, "other") == [
        ("", "", "", '{"satisfaction_smiles": 0}'),
        ("", "", "", '{"satisfaction_smiles": 1}'),
    ]


def test_folders_are_made_and_the_format_may_be_named(airflow: Airflow, tmp_path: Path) -> None:
    path = tmp_path / "shop" / "{{ ds }}" / "audience.gz"
    land(airflow, lambda: to_file(path, format="jsonl"))
    (written,) = tmp_path.glob("shop/*/audience.gz")
    assert len(read(written, "jsonl")) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "/data/day.xlsx"}, "names no format: name one of jsonl, csv, parquet with format="),
        ({"path": "/data/day"}, "names no format"),
        ({"path": "/data/day.csv", "format": "xml"}, "Unknown format 'xml'"),
        ({"path": "/data/day.parquet.gz"}, "leave out .gz"),
    ],
)
def test_parsing_a_dag_refuses_a_path_without_a_format(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusTargetError, match=message):
        to_file(**arguments)


def test_a_store_that_airflow_does_not_know_is_not_retried(airflow: Airflow) -> None:
    outcome = land(airflow, lambda: to_file("nowhere://bucket/day.csv", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusTargetError)
    assert "nowhere://bucket/day.csv cannot be written" in str(outcome.errors[0])


def test_a_path_that_cannot_be_written_is_named_and_leaves_what_was_there(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("was here")
    outcome = land(airflow, lambda: to_file(tmp_path / "file" / "day.csv"))
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert f"{tmp_path}/file/day.csv could not be written" in str(outcome.errors[0])
    assert isinstance(outcome.errors[0].__cause__, OSError)
    assert (tmp_path / "file").read_text() == "was here"


def test_a_folder_in_the_file_s_place_is_an_error(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "day.csv").mkdir()
    outcome = land(airflow, lambda: to_file(tmp_path / "day.csv"))
    assert "is a folder" in str(outcome.errors[0])
    assert list(tmp_path.iterdir()) == [tmp_path / "day.csv"]


def test_a_failure_on_a_later_page_leaves_the_file_that_was_there(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "days.csv"
    path.write_text("was here")

    def second_page_fails(answer: dict[str, Any]) -> dict[str, Any]:
        sandbox.fail_next(400, body={"code": "x", "message": "no"}, on="entities")
        return answer

    sandbox.change_next(second_page_fails, on="entities")
    outcome = land(airflow, lambda: to_file(path, from_date="2026-11-01", to_date="2026-11-11"))
    assert [type(error) for error in outcome.errors] == [AngusRequestError]
    assert (list(tmp_path.iterdir()), path.read_text()) == ([path], "was here")


@pytest.mark.parametrize(("allow_empty", "left"), [(True, ""), (False, "was here")])
def test_an_empty_answer_replaces_a_file_only_where_it_may(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path, *, allow_empty: bool, left: str
) -> None:
    path = tmp_path / "day.jsonl"
    path.write_text("was here")
    sandbox.change_next(lambda answer: answer | {"entities": {}, "total_results": 0, "nb_of_pages": 0}, on="entities")
    outcome = land(airflow, lambda: to_file(path, allow_empty=allow_empty))
    assert [type(error) for error in outcome.errors] == ([] if allow_empty else [AngusResponseError])
    assert path.read_text() == left


def test_a_full_disk_is_an_error_and_leaves_the_file_that_was_there(airflow: Airflow, small_disk: Path) -> None:
    path = small_disk / "days.csv"
    path.write_text("was here")
    outcome = land(
        airflow,
        lambda: to_file(path, metrics="passing_by,gender,category", from_date="2026-08-01", to_date="2026-11-01"),
    )
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "No space left on device" in str(outcome.errors[0])
    assert (list(small_disk.iterdir()), path.read_text()) == ([path], "was here")
