"""Whatever the API answers: rows or an error of our tree, the same from a worker and from a triggerer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from fuzzing import DAYS, Parrot, answers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_angus import retrying

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def parrot() -> Iterator[Parrot]:
    with pytest.MonkeyPatch.context() as patch, Parrot() as parrot:
        patch.setattr(retrying, "_backoff", tenacity.wait_none())
        patch.setattr(retrying, "LONGEST_WAIT", 0.0)
        yield parrot


def test_true_pages_are_the_rows_that_they_hold(parrot: Parrot) -> None:
    assert parrot.check(None, None) == "rows"
    assert [row["passing_by"] for row in parrot.ask()] == [7] * 4
    assert DAYS.start.isoformat() == parrot.ask()[0]["bucket_start"]


@settings(max_examples=500, deadline=timedelta(seconds=5), suppress_health_check=list(HealthCheck))
@given(first=st.none() | answers(), second=st.none() | answers())
def test_whatever_is_answered_is_rows_or_an_error_of_ours_with_both_drivers(
    first: Any, second: Any, parrot: Parrot
) -> None:
    parrot.check(first, second)
