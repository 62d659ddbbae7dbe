"""When the clients repeat a request, how long they wait before, and when they give up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from clients import read_all
from samples import DAY, MIDNIGHT, sandbox_settings

from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.api.client import AngusClient
from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import (
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from clients import Fetcher

#: More buckets by hour than a response to mention ``window=`` needs.
WEEK = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=7))


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize(
    "failure",
    [{"status": 503}, {"status": 500}, {"status": 429}, {"status": 408}, {"status": 0}, {"status": 200, "cut": True}],
    ids=str,
)
@pytest.mark.parametrize("times", [1, 3])
def test_client_retries_temporary_failure(
    failure: dict[str, Any], times: int, endpoint: Any, fetcher: Fetcher, sandbox: Sandbox
) -> None:
    sandbox.fail_next(**failure, times=times, on=endpoint)
    assert len(fetcher.fetch()) == 1
    assert sandbox.count(endpoint) == times + 1
    assert len(fetcher.waits) == times
    assert all(0 < wait <= 11 for wait in fetcher.waits)


@pytest.mark.parametrize(
    ("failure", "error", "problem"),
    [
        ({"status": 503}, AngusUnavailableError, "status 503: "),
        ({"status": 429}, AngusUnavailableError, "status 429: "),
        ({"status": 0}, AngusUnavailableError, "no response: "),
        ({"status": 200, "cut": True}, AngusResponseError, "incomplete body: "),
    ],
)
def test_client_gives_up_after_four_attempts(
    failure: dict[str, Any], error: type[AngusError], problem: str, fetcher: Fetcher, sandbox: Sandbox
) -> None:
    sandbox.fail_next(**failure, times=10, on="entities")
    assert fetcher.fail(error).startswith(f"GET {sandbox.url}/api/1/entities: {problem}")
    assert (sandbox.count("entities"), len(fetcher.waits)) == (4, 3)


@pytest.mark.parametrize(
    "code", ["missing_mandatory_param", "unexisting_metric", "unexisting_time", "page_not_existing"]
)
def test_client_never_retries_refused_request(code: str, fetcher: Fetcher, sandbox: Sandbox) -> None:
    sandbox.fail_next(400, on="entities", body={"code": code, "message": "No."})
    message = fetcher.fail(AngusRequestError)
    assert message.endswith(f"refused with status 400: {code}: No. A retry cannot help.")
    assert (sandbox.count("entities"), fetcher.waits) == (1, [])


@pytest.mark.parametrize(("value", "wait"), [("0", 0), ("7", 7), ("60", 60)])
@pytest.mark.parametrize("status", [429, 503])
def test_client_waits_retry_after_of_a_minute(
    status: int, value: str, wait: float, fetcher: Fetcher, sandbox: Sandbox
) -> None:
    sandbox.fail_next(status, on="entities", headers={"Retry-After": value})
    fetcher.fetch()
    assert fetcher.waits == [wait]


@pytest.mark.parametrize(("value", "seconds"), [("61", 61), ("3600", 3600), ("9" * 400, 31_536_000)])
@pytest.mark.parametrize("status", [429, 503])
def test_client_sends_no_request_before_longer_retry_after(
    status: int, value: str, seconds: float, fetcher: Fetcher, sandbox: Sandbox
) -> None:
    """The caller has to wait."""
    sandbox.fail_next(status, on="entities", headers={"Retry-After": value})
    with pytest.raises(AngusUnavailableError) as raised:
        fetcher.fetch()
    assert (raised.value.retry_after, fetcher.waits, sandbox.count("entities")) == (seconds, [], 1)


def test_client_waits_until_retry_after_date(fetcher: Fetcher, sandbox: Sandbox) -> None:
    for ahead in (timedelta(seconds=40), timedelta(days=-1)):
        date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        sandbox.fail_next(503, on="entities", headers={"Retry-After": date})
        fetcher.fetch()
    assert 0 < fetcher.waits[0] <= 40
    assert fetcher.waits[1:] == [0]


@pytest.mark.parametrize("value", ["-5", "soon", "", f"Wed, 21 Oct 2015 07:28:00 +{'9' * 20}"])
def test_client_ignores_invalid_retry_after(value: str, fetcher: Fetcher, sandbox: Sandbox) -> None:
    sandbox.fail_next(503, on="entities", headers={"Retry-After": value})
    assert len(fetcher.fetch()) == 1
    assert 0 < fetcher.waits[0] <= 1


def test_client_reports_retry_after_of_last_attempt(fetcher: Fetcher, sandbox: Sandbox) -> None:
    sandbox.fail_next(429, on="entities", times=4, headers={"Retry-After": "50"})
    with pytest.raises(AngusUnavailableError) as raised:
        fetcher.fetch()
    assert (raised.value.retry_after, fetcher.waits) == (50, [50, 50, 50])


def test_sync_client_passes_waits_to_sleep(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, on="entities", headers={"Retry-After": "7"})
    waits: list[float] = []
    with AngusClient(sandbox_settings(sandbox), tokens=TokenCache(), sleep=waits.append) as client:
        assert len(read_all(client)) == 1
    assert waits == [7]


@pytest.mark.parametrize("attempts", [1, 2])
def test_client_uses_the_given_retry_policy(attempts: int, create_fetcher: Any, sandbox: Sandbox) -> None:
    sandbox.fail_next(503, on="entities", times=10)
    policy = RetryPolicy(attempts=attempts, backoff=tenacity.wait_none())
    create_fetcher(sandbox, retry_policy=policy).fail(AngusUnavailableError)
    assert sandbox.count("entities") == attempts


def test_client_without_server_raises_unavailable(fetcher: Fetcher, sandbox: Sandbox) -> None:
    sandbox.close()
    message = fetcher.fail(AngusUnavailableError)
    assert message.startswith(f"POST {sandbox.url}/api-token-authstream/: no response: ")
    assert "Connection refused" in message or "All connection attempts failed" in message
    assert len(fetcher.waits) == 3


def test_client_without_response_times_out(create_fetcher: Any) -> None:
    with Sandbox(latency=60) as sandbox:
        message = create_fetcher(sandbox, timeout=0.1).fail(AngusUnavailableError)
        assert message == f"POST {sandbox.url}/api-token-authstream/: no complete response within 0.1 s."


@pytest.mark.parametrize("endpoint", ["token", "entities"])
def test_client_limits_the_time_of_a_complete_body(endpoint: Any, create_fetcher: Any, sandbox: Sandbox) -> None:
    """Each single byte arrives in time."""
    sandbox.fail_next(200, drip=0.05, times=4, on=endpoint)
    fetcher = create_fetcher(sandbox, timeout=0.2)
    assert "no complete response within 0.2 s" in fetcher.fail(AngusUnavailableError)
    assert sandbox.count(endpoint) == 4


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ({"status": 400, "body": {"code": "range_too_long", "message": "No."}}, AngusRequestError),
        ({"status": 504}, AngusUnavailableError),
        ({"status": 200, "drip": 0.05}, AngusUnavailableError),
    ],
    ids=["refused", "gateway", "timeout"],
)
@pytest.mark.parametrize(("interval", "hint"), [(WEEK, True), (DAY, False)])
def test_client_error_for_long_range_mentions_window(
    failure: dict[str, Any],
    error: type[AngusError],
    interval: Interval,
    hint: bool,  # noqa: FBT001 (a parameter of the test)
    create_fetcher: Any,
    sandbox: Sandbox,
) -> None:
    sandbox.fail_next(**failure, times=4, on="entities")
    message = create_fetcher(sandbox, timeout=0.25).fail(error, interval, "by_hour")
    assert message.endswith(" If the range is too long, set window= to fetch it in parts.") == hint
    assert {call.query["to_date"] for call in sandbox.calls if call.query} == {interval.end.isoformat()}
