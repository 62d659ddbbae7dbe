"""A sandbox with its clock at noon on 15 September 2017, and a client."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import NOON, SandboxClient

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def start() -> Iterator[Callable[..., SandboxClient]]:
    """Start a sandbox with the test's options. It stops after the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> SandboxClient:
            sandbox = stack.enter_context(Sandbox(**options))
            sandbox.clock.set(NOON)
            return SandboxClient(sandbox)

        yield start


@pytest.fixture
def client(start: Callable[..., SandboxClient]) -> SandboxClient:
    return start()


@pytest.fixture
def sandbox(client: SandboxClient) -> Sandbox:
    return client.sandbox


@pytest.fixture
def join_connection_threads() -> Callable[[], None]:
    """Wait for the threads of this test's connections. Servers of earlier tests may still have threads."""
    earlier = set(threading.enumerate())

    def join() -> None:
        for thread in set(threading.enumerate()) - earlier:
            if "process_request_thread" in thread.name:
                thread.join(5)
                assert not thread.is_alive()

    return join
