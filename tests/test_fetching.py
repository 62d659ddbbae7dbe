"""Several streams side by side: how many at once, in which order, and what is left when nobody wants more."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_angus import fetching
from airflow_provider_angus.exceptions import AngusAuthError, AngusStorageError, AngusUnavailableError
from airflow_provider_angus.fetching import Streams
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOURS = Interval(NOON, NOON + timedelta(hours=3))
MANY = 12


class Crowd(Sandbox):
    """A sandbox that answers entities only when so many ask at once, and remembers how many that were at most."""

    def __init__(self, together: int) -> None:
        self.together = threading.Barrier(together)
        self.most = self.now = 0
        self.lock = threading.Lock()
        super().__init__(streams={f"stream-{number}": f"secret-{number}" for number in range(MANY)})

    def _answer(self, request: Any) -> Any:
        if request.endpoint != "entities":
            return super()._answer(request)
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.together.wait(20)
        with self.lock:
            self.now -= 1
        return super()._answer(request)


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """Three at once, whatever the package's number."""
    TOKENS.clear()
    monkeypatch.setattr(fetching, "STREAMS_AT_ONCE", 3)
    with Crowd(3) as crowd:
        for number, name in enumerate(crowd.streams):
            monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", crowd.connection_json(name))
        yield crowd


def streams(**changes: Any) -> Streams:
    given = {"conn_ids": [f"shop_{number}" for number in range(MANY)], "metrics": "passing_by", "time": "by_hour"}
    return Streams(**given | {"interval": HOURS} | changes)


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("angus-"):
            thread.join(30)
            assert not thread.is_alive()


def test_streams_are_fetched_side_by_side_and_no_more_at_once_than_allowed(crowd: Crowd) -> None:
    wholes = list(streams())
    assert [whole.stream for whole in wholes] == list(crowd.streams)
    assert [len(whole.rows) for whole in wholes] == [3] * MANY
    assert crowd.most == 3
    wait_for_threads()


@pytest.mark.usefixtures("no_backoff")
def test_who_has_had_enough_leaves_no_thread_and_asks_for_no_more(crowd: Crowd) -> None:
    wholes = iter(streams())
    assert next(wholes).stream == "stream-0"
    wholes.close()
    # What was under way may end.
    crowd.together.abort()
    wait_for_threads()
    assert crowd.count("entities") <= 9 < MANY


def test_one_connection_needs_no_thread(sandbox: Sandbox, connection: str) -> None:
    during: list[str] = []
    sandbox.change_next(
        lambda answer: during.extend(each.name for each in threading.enumerate()) or answer, on="entities"
    )
    (whole,) = streams(conn_ids=[connection])
    assert len(whole.rows) == 3
    assert "MainThread" in during
    assert [name for name in during if name.startswith("angus-")] == []


def test_the_error_of_many_is_one_that_can_be_retried_where_one_of_them_can() -> None:
    some = streams()
    some.failures = {"a": AngusAuthError("No."), "b": AngusUnavailableError("Away."), "c": AngusAuthError("No.")}
    error = some.error()
    assert type(error) is AngusUnavailableError
    assert str(error) == f"3 of {MANY} streams failed:\n- a: No.\n- b: Away.\n- c: No."
    assert error.__cause__ is some.failures["b"]
    del some.failures["b"]
    assert type(some.error()) is AngusAuthError


def test_rows_that_find_no_room_to_wait_are_an_error_of_storage(
    sandbox: Sandbox,  # noqa: ARG001 (it has to be there)
    connection: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(AngusStorageError, match="temporary file cannot be written") as raised:
        list(streams(conn_ids=[connection], in_memory=1))
    assert isinstance(raised.value.__cause__, OSError)
