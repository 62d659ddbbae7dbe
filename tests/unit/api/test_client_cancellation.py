"""Cancellation of the synchronous client: no more requests, nothing delivered, and threads that end in time.

A request in progress cannot be interrupted. It ends by itself within ``timeout`` seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from clients import read_all
from interruption import InterruptionError, interrupt_when
from paged_sandbox import HOURS, wait_for_page_threads
from samples import sandbox_settings

from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.client import AngusClient
from airflow_provider_angus.exceptions import AngusError, AngusRequestError
from airflow_provider_angus.sandbox import Reply

if TYPE_CHECKING:
    from collections.abc import Generator

    from paged_sandbox import PagedSandbox

    from airflow_provider_angus.model.entities import Row

pytestmark = pytest.mark.thorough


def create_client(sandbox: PagedSandbox, **changes: Any) -> AngusClient:
    return AngusClient(sandbox_settings(sandbox, **changes), tokens=TokenCache())


def read(client: AngusClient) -> Generator[list[Row], None, None]:
    return client.read(client.pages("passing_by", HOURS, "by_hour"))


def test_first_error_cancels_the_other_pages(paged_sandbox: PagedSandbox) -> None:
    with create_client(paged_sandbox) as client:
        with paged_sandbox.hold(4, 5) as requested:
            refused = Reply.from_json(400, {"message": "No."})
            paged_sandbox.replacements = {3: lambda reply: refused if requested.wait(30) else reply}
            with pytest.raises(AngusRequestError, match="No"):
                list(read(client))
        wait_for_page_threads()
        assert max(paged_sandbox.requested_pages) <= 6
    assert paged_sandbox.connections == 0


def test_interrupted_task_leaves_no_thread_and_no_connection(paged_sandbox: PagedSandbox) -> None:
    client = create_client(paged_sandbox)
    with (
        paged_sandbox.hold(2, 3, 4, 5) as requested,
        client,
        pytest.raises(InterruptionError),
        interrupt_when(requested),
    ):
        list(read(client))
    wait_for_page_threads()
    assert paged_sandbox.connections == 0
    assert paged_sandbox.requested_pages == [1, 2, 3, 4, 5]


def test_closed_generator_requests_no_more_pages(paged_sandbox: PagedSandbox) -> None:
    with create_client(paged_sandbox) as client:
        pages = read(client)
        next(pages)
        next(pages)
        pages.close()
        wait_for_page_threads()
        assert paged_sandbox.requested_pages == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("page", [1, 3])
def test_close_in_another_thread_drops_the_response(page: int, paged_sandbox: PagedSandbox) -> None:
    """The client can be used again."""
    client = create_client(paged_sandbox)
    # The sandbox calls this in a thread of its own.
    paged_sandbox.on_page = lambda number: number == page and client.close()
    rows: list[Row] = []
    with pytest.raises(AngusError, match="Request cancelled: the client was closed."):
        rows.extend(row for rows_of_page in read(client) for row in rows_of_page)
    assert len(rows) <= 2 * (page - 1)
    wait_for_page_threads()
    assert paged_sandbox.connections == 0
    paged_sandbox.on_page = lambda _: None
    with client:
        assert len(read_all(client, HOURS, "by_hour")) == 26


def test_close_ends_a_pause(paged_sandbox: PagedSandbox) -> None:
    """The API asked to wait for a minute."""
    refused = threading.Event()

    def too_many_requests(reply: Reply) -> Reply:
        refused.set()
        return replace(reply, status=429, headers={"Retry-After": "60"})

    paged_sandbox.replacements = {3: too_many_requests}
    client = create_client(paged_sandbox)
    closer = threading.Thread(target=lambda: refused.wait(30) and client.close())
    start = time.monotonic()
    closer.start()
    with pytest.raises(AngusError, match="Request cancelled"):
        list(read(client))
    closer.join()
    wait_for_page_threads()
    assert time.monotonic() - start < 30


SCRIPT = """
import json, sys
from airflow_provider_angus.api.client import AngusClient
from airflow_provider_angus.api.settings import Credentials, Settings
from airflow_provider_angus.model.intervals import explicit_interval

credentials, url = json.loads(sys.argv[1])
client = AngusClient(Settings(Credentials(*credentials), url, url, timeout=30.0))
read = client.read(client.pages("passing_by", explicit_interval("2017-09-03", "2017-09-04"), "by_hour"))
assert len(next(read) + next(read)) == 4
print("two pages", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("server", "last_line"),
    [
        ("silent", "read.close()"),
        ("silent", "raise SystemExit"),
        ("slow", "raise SystemExit"),
        ("slow", "sys.exit(client.close())"),
    ],
)
def test_cancelled_pages_do_not_keep_the_process_alive(
    server: str, last_line: str, paged_sandbox: PagedSandbox
) -> None:
    """They would take a minute, or all attempts with a time-out of 30 seconds each."""
    settings = sandbox_settings(paged_sandbox)
    credentials = settings.credentials
    argument = json.dumps([[credentials.username, credentials.client_id, credentials.access_token], settings.data_url])
    slow = {page: lambda reply: replace(reply, drip=0.2) for page in (3, 4, 5)} if server == "slow" else {}
    paged_sandbox.replacements = slow
    with paged_sandbox.hold(*((3, 4, 5) if server == "silent" else ())) as requested:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT + last_line, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == b"two pages\n"
            assert slow or requested.wait(30)
            start = time.monotonic()
            process.stdin.close()
            assert process.wait(30) == 0
            assert time.monotonic() - start < 10
            assert process.stdout.read() == b""
    assert max(paged_sandbox.requested_pages) <= 5
