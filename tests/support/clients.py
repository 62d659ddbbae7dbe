"""The synchronous and the asynchronous client behind one method, so that a test runs for both."""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest
from samples import DAY

from airflow_provider_angus.api.async_client import AngusAsyncClient
from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.client import AngusClient
from airflow_provider_angus.api.retries import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import timedelta

    from airflow_provider_angus.api.settings import Settings
    from airflow_provider_angus.exceptions import AngusError
    from airflow_provider_angus.model.entities import Row
    from airflow_provider_angus.model.intervals import Interval

ClientKind = Literal["sync", "async"]


@dataclass(frozen=True)
class NoWaits(RetryPolicy):
    """The default retry policy, which records its waits instead of waiting."""

    waits: list[float] = field(default_factory=list)

    def tenacity_arguments(self) -> dict[str, Any]:
        arguments = super().tenacity_arguments()

        def record(state: Any) -> float:
            # tenacity computes a wait also after the last attempt.
            if state.attempt_number < self.attempts:
                self.waits.append(arguments["wait"](state))
            return 0.0

        return arguments | {"wait": record}


@dataclass
class Fetcher:
    """A client of either kind. It records waits and tokens, and its token cache has a clock of its own.

    :param cache: None: a new token cache.
    :param retry_policy: None: the default policy, without waits.
    :param on_token: called with each token that the client passes to its ``on_token``.
    """

    kind: ClientKind
    settings: Settings
    cache: TokenCache | None = None
    retry_policy: RetryPolicy | None = None
    on_token: Callable[[str], object] = lambda _: None
    now: float = field(default_factory=time.time)
    #: Seconds between attempts, which no test waits for.
    waits: list[float] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        tokens = self.cache or TokenCache(now=lambda: self.now)
        self.arguments: dict[str, Any] = {
            "tokens": tokens,
            "retry_policy": self.retry_policy or NoWaits(waits=self.waits),
        }
        self.sync_client = AngusClient(self.settings, on_token=self._record, **self.arguments)

    def _record(self, token: str) -> None:
        self.tokens.append(token)
        self.on_token(token)

    def fetch(
        self,
        interval: Interval = DAY,
        time: str = "by_day",
        metrics: str | Iterable[str] = "passing_by",
        window: timedelta | None = None,
    ) -> list[Row]:
        """Return the rows of a query. Each call of the asynchronous client has an event loop of its own."""
        if self.kind == "sync":
            return read_all(self.sync_client, interval, time, metrics, window)

        async def on_token(token: str) -> None:
            self._record(token)

        client = AngusAsyncClient(self.settings, on_token=on_token, **self.arguments)
        return run(client.get_entities(metrics, interval, time, window))

    def fail(self, error: type[AngusError], *arguments: Any) -> str:
        """Fetch, expect an error of exactly this class, and return its message. Its traceback contains no secret."""
        with pytest.raises(error) as raised:
            self.fetch(*arguments)
        assert type(raised.value) is error
        shown = "".join(visible_texts(raised.value))
        for secret in [self.settings.credentials.access_token, *self.settings.proxy_secrets, *self.tokens]:
            assert secret not in shown
        return str(raised.value)


def read_all(
    client: AngusClient,
    interval: Interval = DAY,
    time: str = "by_day",
    metrics: str | Iterable[str] = "passing_by",
    window: timedelta | None = None,
) -> list[Row]:
    """Return the rows of all pages."""
    return [row for page in client.read(client.pages(metrics, interval, time, window)) for row in page]


def run(main: Coroutine[Any, Any, Any], seconds: float = 60.0) -> Any:
    """Run a coroutine in a new event loop, for at most so many seconds."""
    return asyncio.run(asyncio.wait_for(main, seconds))


def visible_texts(error: BaseException) -> list[str]:
    """Return the traceback of an error, and text and repr of each cause and context that it shows."""
    texts = traceback.format_exception(error)
    cause: BaseException | None = error
    while cause is not None:
        texts += [str(cause), repr(cause)]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return texts
