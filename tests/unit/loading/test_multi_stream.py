"""MultiStreamFetch: concurrency, order, cancellation, and the error of several streams."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_angus.api.auth import SHARED_TOKENS
from airflow_provider_angus.exceptions import AngusAuthError, AngusStorageError, AngusUnavailableError
from airflow_provider_angus.loading.multi_stream import STREAMS_AT_ONCE, MultiStreamFetch
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_angus.sandbox.api import Incoming, Reply

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOURS = Interval(NOON, NOON + timedelta(hours=3))
MANY = 3 * STREAMS_AT_ONCE


@contextmanager
def many_streams(
    on_request: Callable[[Incoming, Reply], Reply], monkeypatch: pytest.MonkeyPatch, **arguments: Any
) -> Iterator[Sandbox]:
    """Yield a sandbox with the streams ``stream-0``, ..., and the connections ``shop_0``, ... to them."""
    SHARED_TOKENS.clear()
    streams = {f"stream-{number}": f"secret-{number}" for number in range(MANY)}
    with Sandbox(streams=streams, on_request=on_request, **arguments) as sandbox:
        for number, name in enumerate(streams):
            monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", sandbox.connection_json(name))
        yield sandbox


def fetch(**arguments: Any) -> MultiStreamFetch:
    defaults = {"conn_ids": [f"shop_{number}" for number in range(MANY)], "metrics": "passing_by", "time": "by_hour"}
    return MultiStreamFetch(**defaults | {"interval": HOURS} | arguments)


def fetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("angus-stream")]


def wait_for_threads() -> None:
    for thread in fetch_threads():
        thread.join(30)
        assert not thread.is_alive()


def test_fetch_streams_run_concurrently_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """They arrive in the order of the connections."""
    counts: list[int] = []
    # The sandbox replies to groups of concurrent requests only.
    group = threading.Barrier(STREAMS_AT_ONCE, lambda: counts.append(len(fetch_threads())), timeout=30)

    def wait_for_group(incoming: Incoming, reply: Reply) -> Reply:
        if incoming.endpoint == "entities":
            group.wait()
        return reply

    with many_streams(wait_for_group, monkeypatch) as sandbox:
        streams = list(fetch())
        assert [stream_rows.stream for stream_rows in streams] == list(sandbox.streams)
    assert [len(stream_rows.rows) for stream_rows in streams] == [3] * MANY
    assert counts == [STREAMS_AT_ONCE] * 3
    wait_for_threads()


def test_fetch_cancelled_sends_and_delivers_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in progress end by themselves."""
    blocked = {f"stream-{number}" for number in range(STREAMS_AT_ONCE, 2 * STREAMS_AT_ONCE)}
    all_blocked, resume = threading.Barrier(STREAMS_AT_ONCE + 1, timeout=30), threading.Event()
    requests: list[str] = []

    def block(incoming: Incoming, reply: Reply) -> Reply:
        if incoming.endpoint == "entities" and reply.client_id in blocked:
            requests.append(reply.client_id)
            if not resume.is_set():
                all_blocked.wait()
            assert resume.wait(30)
        return reply

    with many_streams(block, monkeypatch, page_size=1):
        multi_stream = fetch()
        streams = iter(multi_stream)
        assert next(streams).stream == "stream-0"
        all_blocked.wait()
        streams.close()
        resume.set()
        wait_for_threads()
    assert sorted(requests) == sorted(blocked)
    assert (multi_stream.row_counts, multi_stream.failures) == ({"stream-0": 3}, {})


def test_fetch_one_connection_starts_no_thread(sandbox: Sandbox, connection: str) -> None:
    names: list[str] = []
    sandbox.change_next(
        lambda body: names.extend(thread.name for thread in threading.enumerate()) or body, on="entities"
    )
    (stream_rows,) = fetch(conn_ids=[connection])
    assert len(stream_rows.rows) == 3
    assert "MainThread" in names
    assert [name for name in names if name.startswith("angus-")] == []


def test_error_is_retryable_if_a_failure_is_retryable() -> None:
    multi_stream = fetch()
    failures = {"a": AngusAuthError("No."), "b": AngusUnavailableError("Away."), "c": AngusAuthError("No.")}
    multi_stream.failures = dict(failures)
    error = multi_stream.error()
    assert type(error) is AngusUnavailableError
    assert str(error) == f"3 of {MANY} streams failed:\n- a: No.\n- b: Away.\n- c: No."
    assert error.__cause__ is failures["b"]
    del multi_stream.failures["b"]
    assert type(multi_stream.error()) is AngusAuthError


def test_error_keeps_longest_asked_wait() -> None:
    multi_stream = fetch()
    multi_stream.failures = {
        "a": AngusAuthError("No."),
        "b": AngusStorageError("Full."),
        "c": AngusUnavailableError("Busy.", retry_after=60.0),
        "d": AngusUnavailableError("Busy.", retry_after=900.0),
        "e": AngusUnavailableError("Away."),
    }
    error = multi_stream.error()
    assert isinstance(error, AngusUnavailableError)
    assert error.retry_after == 900.0


@pytest.mark.usefixtures("sandbox")
def test_fetch_without_temporary_file_raises_storage_error(connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/missing")
    with pytest.raises(AngusStorageError, match="Temporary file for rows could not be written") as raised:
        list(fetch(conn_ids=[connection], max_in_memory=1))
    assert isinstance(raised.value.__cause__, OSError)
