"""Fixtures of tests of both clients: each test with ``client_kind`` runs for the synchronous and the asynchronous."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from clients import Fetcher
from paged_sandbox import PagedSandbox
from samples import sandbox_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clients import ClientKind

    from airflow_provider_angus.api.retries import RetryPolicy
    from airflow_provider_angus.sandbox import Sandbox

    FetcherFactory = Callable[..., Fetcher]


@pytest.fixture(params=["sync", "async"])
def client_kind(request: pytest.FixtureRequest) -> ClientKind:
    return request.param


@pytest.fixture
def create_fetcher(client_kind: ClientKind) -> Iterator[FetcherFactory]:
    """Return a function that creates a :class:`Fetcher` for a sandbox, with some of its settings changed.

    Sandboxes have no TLS, so that by default no CA bundle is read, which takes longer than most tests.
    """
    with ExitStack() as stack:

        def create(
            sandbox: Sandbox, client_id: str | None = None, *, retry_policy: RetryPolicy | None = None, **changes: Any
        ) -> Fetcher:
            settings = sandbox_settings(sandbox, client_id, **{"verify": False} | changes)
            fetcher = Fetcher(client_kind, settings, retry_policy=retry_policy)
            stack.callback(fetcher.sync_client.close)
            return fetcher

        yield create


@pytest.fixture
def fetcher(create_fetcher: FetcherFactory, sandbox: Sandbox) -> Fetcher:
    """A client of the sandbox's first stream."""
    return create_fetcher(sandbox)


@pytest.fixture
def paged_sandbox() -> Iterator[PagedSandbox]:
    with PagedSandbox() as paged_sandbox:
        yield paged_sandbox
