"""Both clients send the same requests and return the same rows or errors, word for word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import pytest
from clients import ClientKind, Fetcher
from samples import DAY, sandbox_settings

from airflow_provider_angus.api.settings import Credentials
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable


def outcomes(
    prepare: Callable[[Sandbox], object], time: str = "by_day", **changes: Any
) -> list[tuple[Any, list[Any], list[float]]]:
    """Let each client send a query to a sandbox of its own. Return results, calls and waits after ``Retry-After``."""
    found = []
    for kind in get_args(ClientKind):
        with Sandbox(page_size=7) as sandbox:
            prepare(sandbox)
            fetcher = Fetcher(kind, sandbox_settings(sandbox, **{"verify": False} | changes))
            try:
                result: Any = fetcher.fetch(DAY, time, "passing_by,gender")
            except AngusError as error:
                # The libraries describe a broken connection in their own words.
                message = re.sub("(no response|incomplete body): .*", r"\1", str(error))
                result = (type(error), message.replace(sandbox.url, "URL"))
            # Pages are requested concurrently, so in any order.
            calls = [(call.method, call.path, call.query, call.status) for call in sandbox.calls]
            found.append((result, sorted(calls, key=str), fetcher.waits))
    return found


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_clients_return_the_same_rows_with_the_same_calls(time: str) -> None:
    (rows, *other), async_outcome = outcomes(lambda _: None, time)
    assert (rows, *other) == async_outcome
    assert len(rows) == (24 if time == "by_hour" else 1)


JSON = {"code": "no", "message": "No."}
FAILURES: list[tuple[type[AngusError], dict[str, Any]]] = [
    (AngusAuthError, {"status": 401, "body": JSON}),
    (AngusAuthError, {"status": 403, "body": JSON}),
    (AngusAuthError, {"status": 400, "body": JSON, "on": "token"}),
    (AngusRequestError, {"status": 400, "body": JSON, "on": "entities"}),
    (AngusResponseError, {"status": 400, "body": "<html>", "on": "token"}),
    (AngusResponseError, {"status": 200, "body": "<html>Log in</html>"}),
    (AngusResponseError, {"status": 200, "body": [1, 2]}),
    (AngusResponseError, {"status": 200, "body": {"entities": {}}}),
    (AngusResponseError, {"status": 200, "cut": True}),
    (AngusResponseError, {"status": 301, "body": "", "headers": {"Location": "/elsewhere"}}),
    (AngusResponseError, {"status": 307, "body": "", "headers": {"Location": "http://127.0.0.1:9/"}}),
    (AngusUnavailableError, {"status": 0}),
    (AngusUnavailableError, {"status": 503, "headers": {"Retry-After": "3"}}),
    (AngusUnavailableError, {"status": 429, "headers": {"Retry-After": "1000"}}),
]
CASES = {
    f"{endpoint} {number} {failure['status']}": (error, {"on": endpoint} | failure)
    for endpoint in ("token", "entities")
    for number, (error, failure) in enumerate(FAILURES)
}


@pytest.mark.parametrize(("error", "failure"), CASES.values(), ids=CASES)
def test_clients_raise_the_same_error_after_the_same_calls(error: type[AngusError], failure: dict[str, Any]) -> None:
    sync_outcome, async_outcome = outcomes(lambda sandbox: sandbox.fail_next(**failure, times=9))
    assert sync_outcome[:2] == async_outcome[:2]
    assert sync_outcome[0][0] is error
    if retry_after := failure.get("headers", {}).get("Retry-After"):
        assert sync_outcome[2] == async_outcome[2] == ([float(retry_after)] * 3 if float(retry_after) <= 60 else [])


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize(
    "failure", [{"status": 0}, {"status": 503}, {"status": 429}, {"status": 200, "cut": True}], ids=str
)
def test_clients_retry_with_the_same_calls(failure: dict[str, Any], endpoint: Any) -> None:
    sync_outcome, async_outcome = outcomes(lambda sandbox: sandbox.fail_next(**failure, times=3, on=endpoint))
    assert sync_outcome[:2] == async_outcome[:2]
    assert (len(sync_outcome[0]), len(sync_outcome[1])) == (1, 5)


def test_clients_refuse_wrong_credentials_alike() -> None:
    credentials = Credentials("somebody@angus.example", "shop", "hunter2")
    sync_outcome, async_outcome = outcomes(lambda _: None, credentials=credentials)
    assert sync_outcome == async_outcome
    assert sync_outcome[0][0] is AngusAuthError
    assert "hunter2" not in sync_outcome[0][1]
