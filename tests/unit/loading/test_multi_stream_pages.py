"""MultiStreamFetch: concurrent pages of several streams, and what an interrupted task leaves behind."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from interruption import InterruptionError, interrupt_when
from paged_sandbox import HOURS, PagedSandbox, wait_for_page_threads

from airflow_provider_angus.api.auth import SHARED_TOKENS
from airflow_provider_angus.loading.multi_stream import STREAMS_AT_ONCE, MultiStreamFetch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def paged_sandbox() -> Iterator[PagedSandbox]:
    SHARED_TOKENS.clear()
    with PagedSandbox() as paged_sandbox:
        yield paged_sandbox


@pytest.fixture
def shops(paged_sandbox: PagedSandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connections that allow more concurrent pages than a task of several streams may request."""
    for number, client_id in enumerate(paged_sandbox.streams):
        connection = paged_sandbox.connection(client_id)
        connection["extra"]["concurrency"] = 32
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", json.dumps(connection))
    return [f"shop_{number}" for number in range(len(paged_sandbox.streams))]


def fetch(shops: list[str]) -> MultiStreamFetch:
    return MultiStreamFetch(shops, metrics="passing_by", interval=HOURS, time="by_hour")


def test_fetch_streams_share_the_concurrent_requests(shops: list[str], paged_sandbox: PagedSandbox) -> None:
    delay = threading.Event()
    # The replies are slow, so that all requests that may be concurrent are.
    paged_sandbox.on_page = lambda _: delay.wait(0.1)
    assert [len(stream_rows.rows) for stream_rows in fetch(shops)] == [26] * 3
    assert 3 < paged_sandbox.max_in_progress <= STREAMS_AT_ONCE


def test_fetch_interrupted_leaves_no_thread_and_no_connection(shops: list[str], paged_sandbox: PagedSandbox) -> None:
    with (
        paged_sandbox.hold(2, 3, 4, 5) as requested,
        pytest.raises(InterruptionError),
        interrupt_when(requested),
    ):
        list(fetch(shops))
    wait_for_page_threads()
    assert paged_sandbox.connections == 0
