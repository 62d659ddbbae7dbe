"""Random responses become rows or our errors, alike with both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fuzzing import DAYS, FuzzTarget, replies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_angus.sandbox import Reply

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def target() -> Iterator[FuzzTarget]:
    with FuzzTarget() as target:
        yield target


def test_clients_valid_pages_are_their_rows(target: FuzzTarget) -> None:
    assert target.check(None, None) == "rows"
    rows = target.fetch()
    assert isinstance(rows, list)
    assert [row["passing_by"] for row in rows] == [7] * 4
    assert rows[0]["bucket_start"] == DAYS.start.isoformat()


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(first=st.none() | replies(), second=st.none() | replies())
def test_clients_any_reply_is_rows_or_our_error(target: FuzzTarget, first: Reply | None, second: Reply | None) -> None:
    target.check(first, second)
