"""Errors of databases, stores and disks: would the same call succeed an hour later without a change?"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import pytest
from error_cases import DISK_CASES, SQL_CASES, STORE_CASES, Case
from stores import Store, path_in

from airflow_provider_angus.exceptions import (
    AngusError,
    AngusRowError,
    AngusStorageError,
    AngusTargetError,
    is_retryable,
)
from airflow_provider_angus.loading.object_storage import resolve_path, write_atomically
from airflow_provider_angus.loading.sql_errors import classify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow.providers.common.compat.sdk import ObjectStoragePath


@pytest.mark.parametrize("case", SQL_CASES, ids=lambda case: case.name)
def test_error_table_sql_has_expected_class(case: Case) -> None:
    found = classify(case.error, case.conn_type, rows=True)
    assert found is case.expected
    assert is_retryable(found("message")) == (case.expected is AngusStorageError)


@pytest.mark.parametrize("case", SQL_CASES, ids=lambda case: case.name)
def test_error_table_value_error_outside_rows_is_target(case: Case) -> None:
    """Only a statement that writes rows can be wrong for one stream."""
    expected = AngusTargetError if case.expected is AngusRowError else case.expected
    assert classify(case.error, case.conn_type) is expected


def test_error_table_other_error_is_not_of_a_driver() -> None:
    assert classify(KeyError("x"), "postgres") is None


@pytest.mark.parametrize("case", STORE_CASES, ids=lambda case: case.name)
def test_error_table_store_has_expected_class(case: Case) -> None:
    store = Store()
    path = path_in(store, "s3")
    store.error = case.error
    check(case, path, lambda file: file.write(b"new"))


@pytest.mark.parametrize("case", DISK_CASES, ids=lambda case: case.name)
def test_error_table_disk_has_expected_class(case: Case, tmp_path: Path) -> None:
    def write(_: IO[bytes]) -> None:
        raise case.error

    check(case, resolve_path(str(tmp_path / "day.csv"), None), write)


def check(case: Case, path: ObjectStoragePath, write: Callable[[IO[bytes]], object]) -> None:
    with pytest.raises(AngusError) as raised:
        write_atomically(path, write)
    assert raised.type is case.expected
    assert raised.value.__cause__ is case.error
    message = str(raised.value)
    assert message.startswith(f"{path} could not be written: ")
    assert message.endswith(". Existing data is unchanged.")
    assert message.isprintable()
