"""Pagination of the entities endpoint."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox_client import SandboxClient

#: 24 hours.
QUERY = {"from_date": "2017-09-03T00:00:00+02:00", "to_date": "2017-09-03T23:30:00+02:00", "time": "by_hour"}


def test_pages_contain_all_buckets_in_order(start: Callable[..., SandboxClient]) -> None:
    client = start(page_size=10)
    pages = [client.page(**QUERY, page=page) for page in (1, 2, 3)]
    assert [len(page["entities"]) for page in pages] == [10, 10, 4]
    assert {(page["total_results"], page["nb_of_pages"]) for page in pages} == {(24, 3)}
    assert [page["page"] for page in pages] == [1, 2, 3]
    keys = [datetime.fromisoformat(key) for page in pages for key in page["entities"]]
    assert keys == [datetime(2017, 9, 2, 22, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24)]
    unpaged = start().page(**QUERY)["entities"]
    assert unpaged == {key: values for page in pages for key, values in page["entities"].items()}


def test_next_page_is_the_path_of_the_next_page(start: Callable[..., SandboxClient]) -> None:
    client = start(page_size=10)
    first, second, third = (client.page(**QUERY, page=page) for page in (1, 2, 3))
    assert first["next_page"].startswith("/api/1/entities?")
    headers = {"Authorization": f"Bearer {client.token()}"}
    url = client.sandbox.url
    assert requests.get(url + first["next_page"], headers=headers, timeout=5).json() == second
    assert requests.get(url + second["next_page"], headers=headers, timeout=5).json() == third
    assert third["next_page"] == ""


def test_full_last_page_has_no_next_page(start: Callable[..., SandboxClient]) -> None:
    client = start(page_size=12)
    page = client.page("2017-09-03T00:00:00Z", "2017-09-03T23:30:00Z", time="by_hour", page=2)
    assert (page["nb_of_pages"], len(page["entities"]), page["next_page"]) == (2, 12, "")


def test_page_of_ten_years_takes_under_half_a_second(start: Callable[..., SandboxClient]) -> None:
    client = start(page_size=1000)
    started = time.monotonic()
    page = client.page("2007-01-01T00:00:00Z", "2016-12-31T23:30:00Z", time="by_hour", page=88)
    assert (page["total_results"], page["nb_of_pages"], len(page["entities"])) == (87_672, 88, 672)
    assert time.monotonic() - started < 0.5
