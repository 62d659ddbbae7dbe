"""Threads and connections of the synchronous client."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from clients import read_all
from http_servers import HttpServer
from paged_sandbox import HOURS, wait_for_page_threads
from samples import DAY, MIDNIGHT, sandbox_settings

from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.client import AngusClient
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from paged_sandbox import PagedSandbox

    from airflow_provider_angus.model.entities import Row


def test_sync_client_reuses_its_connection(sandbox: Sandbox) -> None:
    with HttpServer() as server:
        settings = sandbox_settings(sandbox, console_url=server.url, data_url=server.url)
        with AngusClient(settings, tokens=TokenCache()) as client:
            assert [read_all(client) for _ in range(5)] == [[]] * 5
        assert server.accepted == 1
        assert server.wait_until_closed()


def test_sync_clients_in_several_threads_share_one_token() -> None:
    tokens, ready = TokenCache(), threading.Barrier(4)

    def fetch(_: int) -> list[Row]:
        with AngusClient(settings, tokens=tokens) as client:
            ready.wait()
            return read_all(client)

    # With this latency, no thread finds a token in the cache.
    with Sandbox(latency=0.1) as sandbox, ThreadPoolExecutor(4) as threads:
        settings = sandbox_settings(sandbox)
        assert [len(rows) for rows in threads.map(fetch, range(4))] == [1] * 4
        assert sandbox.count("token") == 1


def test_sync_client_is_thread_safe(paged_sandbox: PagedSandbox) -> None:
    """Several threads read different queries with one client, so with one session."""
    intervals = [Interval(DAY.start, DAY.start + timedelta(hours=hours)) for hours in range(1, 21)]
    with AngusClient(sandbox_settings(paged_sandbox), tokens=TokenCache()) as client, ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(lambda interval: read_all(client, interval, "by_hour"), intervals))
        assert [len(each) for each in rows] == list(range(1, 21))
        assert rows == [rows[-1][: len(each)] for each in rows]
        assert paged_sandbox.count("token") == 1
    wait_for_page_threads()
    assert paged_sandbox.connections == 0


def test_sync_client_requests_no_page_before_its_turn(paged_sandbox: PagedSandbox) -> None:
    too_early = threading.Event()
    paged_sandbox.on_page = lambda page: page > 5 and too_early.set()
    with AngusClient(sandbox_settings(paged_sandbox), tokens=TokenCache()) as client:
        read = client.read(client.pages("passing_by", HOURS, "by_hour"))
        next(read)
        assert paged_sandbox.requested_pages == [1]
        next(read)
        assert not too_early.wait(0.5)
        read.close()
        wait_for_page_threads()
    assert paged_sandbox.requested_pages == [1, 2, 3, 4, 5]


def test_sync_client_starts_no_thread_for_sequential_pages(paged_sandbox: PagedSandbox) -> None:
    names: list[str] = []
    paged_sandbox.on_page = lambda _: names.extend(thread.name for thread in threading.enumerate())
    hour = Interval(MIDNIGHT, MIDNIGHT + timedelta(hours=1))
    for interval, concurrency in ((hour, 4), (HOURS, 1)):
        with AngusClient(sandbox_settings(paged_sandbox, concurrency=concurrency), tokens=TokenCache()) as client:
            read_all(client, interval, "by_hour")
    assert "MainThread" in names
    assert [name for name in names if name.startswith("angus-page")] == []
