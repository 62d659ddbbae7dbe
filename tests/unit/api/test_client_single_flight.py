"""Asynchronous clients of one event loop get one token for all."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from clients import run
from samples import DAY, sandbox_settings

from airflow_provider_angus.api.async_client import AngusAsyncClient
from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.exceptions import AngusAuthError
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from airflow_provider_angus.api.settings import Settings
    from airflow_provider_angus.model.entities import Row

MANY = 200


class Clients:
    """Clients with a common token cache, each for one query."""

    def __init__(self) -> None:
        self.tokens = TokenCache()

    async def fetch(self, settings: Settings) -> list[Row]:
        return await AngusAsyncClient(settings, tokens=self.tokens).get_entities("passing_by", DAY, "by_day")


async def gather(fetches: list[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*fetches, return_exceptions=True)


@pytest.fixture
def clients() -> Clients:
    return Clients()


def test_single_flight_one_token_for_all_clients(clients: Clients) -> None:
    """When it expires, one new token for all."""

    async def main(sandbox: Sandbox) -> None:
        settings = sandbox_settings(sandbox)
        for count in (1, 2):
            results = await gather([clients.fetch(settings) for _ in range(MANY)])
            assert [len(rows) for rows in results] == [1] * MANY
            assert sandbox.count("token") == count
            sandbox.expire_tokens()
        refused = sum(call.status == 401 for call in sandbox.calls)
        assert (refused, sandbox.count("entities")) == (MANY, 3 * MANY)

    # With this latency, no client finds a token in the cache.
    with Sandbox(latency=0.05) as sandbox:
        run(main(sandbox))


def test_single_flight_error_reaches_all_clients(clients: Clients) -> None:
    """It is not remembered: the next client sends a new request."""

    async def main(sandbox: Sandbox, settings: Settings) -> None:
        for count in (1, 2):
            results = await gather([clients.fetch(settings) for _ in range(MANY)])
            assert {type(result) for result in results} == {AngusAuthError}
            assert sandbox.count() == sandbox.count("token") == count

    with Sandbox(latency=0.05) as sandbox:
        settings = sandbox_settings(sandbox)
        credentials = replace(settings.credentials, access_token="wrong")
        run(main(sandbox, replace(settings, credentials=credentials)))


def test_single_flight_one_token_per_stream(clients: Clients, sandbox: Sandbox) -> None:
    streams = [client_id for client_id in sandbox.streams for _ in range(20)]
    rows = run(gather([clients.fetch(sandbox_settings(sandbox, client_id)) for client_id in streams]))
    assert [row["stream"] for (row,) in rows] == streams
    tokens = [call.client_id for call in sandbox.calls if call.endpoint == "token"]
    assert sorted(map(str, tokens)) == sorted(sandbox.streams)


@pytest.mark.parametrize("cancelled", [[0], [1], [0, 1, 2]], ids=["first", "second", "all"])
def test_single_flight_survives_cancelled_clients(cancelled: list[int], clients: Clients) -> None:
    requested = threading.Event()

    async def main(sandbox: Sandbox) -> None:
        settings = sandbox_settings(sandbox)
        tasks = [asyncio.ensure_future(clients.fetch(settings)) for _ in range(3)]
        await asyncio.to_thread(requested.wait, 10)
        for number in cancelled:
            tasks[number].cancel()
        results = await gather(list(tasks))
        assert [isinstance(each, asyncio.CancelledError) for each in results] == [n in cancelled for n in range(3)]
        assert len(await clients.fetch(settings)) == 1
        assert sandbox.count("token") == 1

    with Sandbox(latency=0.1) as sandbox:
        sandbox.change_next(lambda body: requested.set() or body, on="token")
        run(main(sandbox))
