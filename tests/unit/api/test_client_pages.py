"""Concurrent fetching of pages: how many, in which order, and which error wins."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from paged_sandbox import HOURS, wait_for_page_threads

from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import AngusError, AngusRequestError, AngusResponseError, AngusUnavailableError
from airflow_provider_angus.sandbox import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from paged_sandbox import PagedSandbox


@pytest.mark.parametrize("concurrency", [1, 2, 4, 12])
def test_pages_concurrency_is_reached_and_never_exceeded(
    concurrency: int, create_fetcher: Any, paged_sandbox: PagedSandbox
) -> None:
    """Rows come in order all the same."""
    together = threading.Barrier(concurrency)
    paged_sandbox.on_page = lambda page: page == 1 or together.wait(20)
    rows = create_fetcher(paged_sandbox, concurrency=concurrency).fetch(HOURS, "by_hour")
    assert [row["bucket_start"] for row in rows] == sorted(row["bucket_start"] for row in rows)
    assert len(rows) == 26
    assert (paged_sandbox.max_in_progress, paged_sandbox.requested_pages) == (concurrency, list(range(1, 14)))
    assert paged_sandbox.count("token") == 1
    wait_for_page_threads()


def test_pages_concurrency_is_four_by_default(create_fetcher: Any, paged_sandbox: PagedSandbox) -> None:
    together = threading.Barrier(4)
    paged_sandbox.on_page = lambda page: page == 1 or together.wait(20)
    create_fetcher(paged_sandbox).fetch(HOURS, "by_hour")
    assert paged_sandbox.max_in_progress == 4


def test_pages_rows_equal_those_of_sequential_fetching(create_fetcher: Any, paged_sandbox: PagedSandbox) -> None:
    concurrent, sequential = create_fetcher(paged_sandbox), create_fetcher(paged_sandbox, concurrency=1)
    assert concurrent.fetch(HOURS, "by_hour") == sequential.fetch(HOURS, "by_hour")


def changed(**changes: Any) -> Callable[[Reply], Reply]:
    return lambda reply: Reply.from_json(reply.status, json.loads(reply.body) | changes)


def refused(code: str) -> Callable[[Reply], Reply]:
    return lambda _: Reply.from_json(400, {"code": code, "message": "No."})


FAILURES: dict[str, tuple[Callable[[Reply], Reply], type[AngusError], str]] = {
    "refused": (refused("no"), AngusRequestError, "refused with status 400: no: No."),
    "unavailable": (lambda _: Reply.from_json(503, {}), AngusUnavailableError, "status 503"),
    "cut": (lambda reply: replace(reply, cut=True), AngusResponseError, "incomplete body"),
    "other total": (changed(total_results=99), AngusResponseError, "total_results: expected 26 as on the page before"),
    "other pages": (changed(nb_of_pages=99), AngusResponseError, "page 5 .*nb_of_pages: expected 13 as on the page"),
    "other page": (changed(page=4), AngusResponseError, "page: expected 5, got int '4'"),
    "empty": (changed(entities={}), AngusResponseError, "expected 26 buckets on 13 pages, got 8 on 5"),
}


@pytest.mark.parametrize(("replacement", "error", "problem"), FAILURES.values(), ids=FAILURES)
def test_pages_failure_is_that_of_sequential_fetching(
    replacement: Any, error: type[AngusError], problem: str, create_fetcher: Any, paged_sandbox: PagedSandbox
) -> None:
    paged_sandbox.replacements = {5: replacement}
    messages = set()
    for concurrency in (1, 4):
        with pytest.raises(error, match=problem) as raised:
            create_fetcher(paged_sandbox, concurrency=concurrency).fetch(HOURS, "by_hour")
        assert type(raised.value) is error
        messages.add(str(raised.value))
    assert len(messages) == 1
    wait_for_page_threads()


def test_pages_first_failure_in_order_wins(create_fetcher: Any, paged_sandbox: PagedSandbox) -> None:
    """Even if a later page fails first."""
    both = threading.Barrier(2)
    paged_sandbox.on_page = lambda page: page in {3, 4} and both.wait(20)
    paged_sandbox.replacements = {3: refused("third"), 4: refused("fourth")}
    with pytest.raises(AngusRequestError, match="third: No"):
        create_fetcher(paged_sandbox).fetch(HOURS, "by_hour")


def test_pages_all_pause_if_one_is_asked_to(create_fetcher: Any, paged_sandbox: PagedSandbox) -> None:
    """An API that asks one request to wait gets no other request meanwhile."""
    refused_at: list[float] = []
    requested: list[tuple[int, float]] = []
    refused, never = threading.Event(), threading.Event()

    def on_page(page: int) -> None:
        requested.append((page, time.monotonic()))
        # This reply makes room for the sixth page during the pause. The client needs a moment to begin the pause.
        if page == 2 and refused.wait(20):
            never.wait(0.2)

    def too_many_requests(reply: Reply) -> Reply:
        if refused_at:
            return reply
        refused_at.append(time.monotonic())
        refused.set()
        return replace(reply, status=429, headers={"Retry-After": "1"})

    paged_sandbox.on_page, paged_sandbox.replacements = on_page, {3: too_many_requests}
    fetcher = create_fetcher(paged_sandbox, retry_policy=RetryPolicy())
    assert len(fetcher.fetch(HOURS, "by_hour")) == 26
    since = [(moment - refused_at[0], page) for page, moment in requested]
    assert {page for seconds, page in since if seconds < 0.9} <= {1, 2, 3, 4, 5}
    assert {page for seconds, page in since if seconds >= 0.9} >= {3, *range(6, 14)}


def test_pages_replace_expired_token_once(create_fetcher: Any, paged_sandbox: PagedSandbox) -> None:
    """All concurrent requests are refused, and one of them gets the new token for all."""
    together, first_requests = threading.Barrier(4), {2, 3, 4, 5}

    def on_page(page: int) -> None:
        if page == 1:
            paged_sandbox.expire_tokens()
        elif page in first_requests:
            first_requests.remove(page)
            together.wait(20)

    paged_sandbox.on_page = on_page
    assert len(create_fetcher(paged_sandbox).fetch(HOURS, "by_hour")) == 26
    assert paged_sandbox.count("token") == 2
    assert [call.status for call in paged_sandbox.calls].count(401) == 4
