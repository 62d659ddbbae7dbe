"""Random responses: valid pages with random changes, and a check that both clients treat them alike."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import tenacity
from hypothesis import strategies as st
from samples import MIDNIGHT, sandbox_settings

from airflow_provider_angus.api.async_client import AngusAsyncClient
from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.client import AngusClient
from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import AngusError
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.sandbox import Reply, Sandbox

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from airflow_provider_angus.model.entities import Row
    from airflow_provider_angus.sandbox import Incoming

DAYS = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=4))
METRICS = ["passing_by", "stop_time", "gender", "satisfaction"]

_NO_CONTENT = 204


def valid_pages() -> dict[int, dict[str, Any]]:
    """Return the two pages of :data:`DAYS`, by number, as the API sends them: two days each."""
    return {
        number: {
            "entities": {
                (MIDNIGHT + timedelta(days=2 * number - 2 + day)).isoformat(): {
                    "passing_by": {"value": 7},
                    "stop_time": {"value": 4.2},
                    "gender": {"?": 0, "female": 3, "male": 4},
                }
                for day in range(2)
            },
            "time": "by_day",
            "from_date": DAYS.start.isoformat(),
            "to_date": DAYS.end.isoformat(),
            "total_results": 4,
            "nb_of_pages": 2,
            "page": number,
            "next_page": "" if number == 2 else "/api/1/entities?page=2",
        }
        for number in (1, 2)
    }


_NAMES = st.sampled_from(
    ["entities", "page", "value", "?", "female", "global", "2017-09-05T00:00:00Z", "2017-09-09T00:00:00+00:00", "code"]
) | st.text(max_size=8)
_NUMBERS = st.integers(-3, 9) | st.integers() | st.floats() | st.sampled_from([10**400, -0.0, 1e308])
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
_STATUSES = st.sampled_from([200] * 12 + [201, _NO_CONTENT, 301, 400, 401, 403, 404, 408, 429, 500, 503])
_HEADERS = st.dictionaries(
    st.sampled_from(["Content-Encoding", "Content-Type", "Location", "Retry-After", "X-Any"]),
    st.sampled_from(["gzip", "identity", "br", "text/html", "/elsewhere", "0", "-1", "never", ""]),
    max_size=1,
)


@st.composite
def replies(draw: DrawFn) -> Reply:
    """Return a valid page with up to three changes of its JSON, then perhaps a change of its bytes."""
    page = valid_pages()[draw(st.sampled_from([1, 2]))]
    for _ in range(draw(st.integers(0, 3))):
        _change(draw, page)
    body = json.dumps(page).encode(errors="surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        start = draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.binary(max_size=6)) + body[start + draw(st.integers(0, 9)) :]
    status = draw(_STATUSES)
    return Reply(status, b"" if status == _NO_CONTENT else body, draw(_HEADERS))


def _change(draw: DrawFn, page: dict[str, Any]) -> None:
    """Replace, remove or add a value at a random depth of a page."""
    container: Any = page
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if not isinstance(container[key], dict | list) or not container[key] or draw(st.integers(0, 3)) == 0:
            break
        container = container[key]
    change = draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "remove":
        del container[key]
    elif change == "add" and isinstance(container, dict):
        container[draw(_NAMES)] = draw(_VALUES)
    else:
        container[key] = draw(_VALUES)


class FuzzTarget:
    """Both clients, connected to a sandbox that sends given replies, or valid pages, without waits between attempts."""

    def __init__(self) -> None:
        self._replies: dict[str, Reply] = {}
        self._sandbox = Sandbox(on_request=self._reply)
        policy = RetryPolicy(max_wait=0.0, backoff=tenacity.wait_none())
        self._arguments: dict[str, Any] = {"tokens": TokenCache(), "retry_policy": policy}
        self._settings = sandbox_settings(self._sandbox, timeout=20.0)
        self._client = AngusClient(self._settings, **self._arguments)
        self._runner = asyncio.Runner()

    def _reply(self, incoming: Incoming, reply: Reply) -> Reply:
        if incoming.endpoint == "token":
            return reply
        number = incoming.query["page"]
        return self._replies.get(number) or Reply.from_json(200, valid_pages().get(int(number)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._runner.close()
        self._sandbox.close()

    def fetch(self) -> list[Row] | AngusError:
        """Return the rows, or the error, of the synchronous client."""
        try:
            pages = self._client.pages(METRICS, DAYS, "by_day")
            return [row for page in self._client.read(pages) for row in page]
        except AngusError as error:
            return error

    def fetch_async(self) -> list[Row] | AngusError:
        """Return the rows, or the error, of the asynchronous client."""

        async def fetch() -> list[Row]:
            return await AngusAsyncClient(self._settings, **self._arguments).get_entities(METRICS, DAYS, "by_day")

        try:
            return self._runner.run(fetch())
        except AngusError as error:
            return error

    def check(self, first: Reply | None, second: Reply | None) -> str:
        """Fetch two pages with both clients, check the result, and return ``rows`` or the name of the error.

        :param first: the reply to the request for page 1; None: a valid page.
        :param second: the reply to the request for page 2; None: a valid page.
        """
        self._replies = {number: reply for number, reply in (("1", first), ("2", second)) if reply}
        self._sandbox.forget_calls()
        result, async_result = self.fetch(), self.fetch_async()
        if isinstance(result, AngusError):
            assert type(async_result) is type(result)
            assert str(async_result) == str(result)
            assert len(str(result)) < 1500
            assert str(result).isprintable()
            return type(result).__name__
        assert result == async_result
        starts = [row["bucket_start"] for row in result]
        assert len(set(starts)) == len(starts)
        assert all(DAYS.start.isoformat() <= start < DAYS.end.isoformat() for start in starts)
        assert all(row["passing_by"] is None or row["passing_by"] >= 0 for row in result)
        json.dumps(result, allow_nan=False)
        return "rows"
