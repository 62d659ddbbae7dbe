"""A web page of another origin uses the sandbox from a browser, as the vendor's dashboard uses the API."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import open_browser, serve_folder
from playwright.sync_api import Error

from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.sandbox.traffic import count_people

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

START, END = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
#: 48 buckets.
QUERY = {
    "metrics": "passing_by,interested",
    "time": "by_hour",
    "from_date": START.isoformat(),
    "to_date": END.isoformat(),
}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with serve_folder(Path(__file__).parent / "pages") as url, open_browser() as context:
        page = context.new_page()
        page.goto(f"{url}/sum_up.html")
        yield page


@pytest.fixture
def angus() -> Iterator[Sandbox]:
    with Sandbox(page_size=10) as sandbox:
        yield sandbox


def log_in(page: Page, angus: Sandbox, **changes: str) -> str:
    client_id, access_token = next(iter(angus.streams.items()))
    credentials = {"username": angus.username, "client_id": client_id, "access_token": access_token} | changes
    response: dict[str, str] = page.evaluate("arguments => logIn(...arguments)", [angus.url, credentials])
    return response["token"]


def sum_up(page: Page, angus: Sandbox, token: str) -> Any:
    return page.evaluate("arguments => sumUp(...arguments)", [angus.url, token, QUERY])


def test_page_logs_in_follows_next_page_and_sums_up(page: Page, angus: Sandbox) -> None:
    assert not page.url.startswith(angus.url)
    people = sum_up(page, angus, log_in(page, angus))
    assert people == count_people(next(iter(angus.streams)), START, END)["passing_by"] > 1000
    # The browser's preflights are not among the calls.
    assert [(call.method, call.query.get("page")) for call in angus.calls] == [
        ("POST", None),
        ("GET", None),
        *(("GET", str(number)) for number in range(2, 6)),
    ]


def test_page_reads_why_credentials_are_refused(page: Page, angus: Sandbox) -> None:
    with pytest.raises(Error, match=r"400 .*Unable to login with provided credentials"):
        log_in(page, angus, access_token="wrong")


def test_page_reads_that_its_token_has_expired(page: Page, angus: Sandbox) -> None:
    """The dashboard gets a new token when it reads this code."""
    token = log_in(page, angus)
    angus.expire_tokens()
    with pytest.raises(Error, match="401 .*expired_jwt"):
        sum_up(page, angus, token)


def test_page_reads_simulated_failure(page: Page, angus: Sandbox) -> None:
    token = log_in(page, angus)
    angus.fail_next(429, on="entities")
    with pytest.raises(Error, match="429 .*simulated"):
        sum_up(page, angus, token)
