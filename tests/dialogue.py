"""What tests of the pure protocol say to it: answers as Angus would give them, and a driver without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt

from airflow_provider_angus.answers import Answer, Request
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.protocol import Alone, Credentials, Pages, Stream
from airflow_provider_angus.tokens import TokenCache

if TYPE_CHECKING:
    from airflow_provider_angus.protocol import Flow

SECRET = "543eb007-1bfe-89d7-b092-e127a78fe91c"
THIRD = datetime(2017, 9, 3, tzinfo=UTC)
DAY = Interval(THIRD, THIRD + timedelta(days=1))
TWO_DAYS = Interval(THIRD, THIRD + timedelta(days=2))
CREDENTIALS = Credentials("shop@example.com", "3bd15f50", SECRET)

#: The sample of the API's own page; its payload is not JSON.
UNREADABLE = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImF1cmVsaWVuLm1vcmVhdUBhbmd1cy5haSIsIm9yaWdfaWF0IjoxNTA1Mzk4"
    "MDM4LCJleHAiOjE1D8DU0MTYwMzgsImNsaWVudF9pZCI6IjNiZDk1ZjIwLWM2OWYtMTFlNS1hZWVjLTAyNDJhYzExMDAwMiIsInVzZXJfaWQiOjgy"
    "NiwiZW1haWwiOiJhdXJlbGllbi5tb3JlYXVAYW5ndXMuYWkifQ.K70YXQYMAcdeW7dfscFGxUhenoXXGBAQTiWhNv-9cVc"
)
EXPIRED = {"code": "expired_jwt", "message": "The token is expired."}


def stream(tokens: TokenCache | None = None) -> Stream:
    return Stream(CREDENTIALS, "https://console.example", "https://data.example", tokens or TokenCache())


def pages(time: str = "by_day", interval: Interval = DAY, tokens: TokenCache | None = None) -> Pages:
    return Pages(stream(tokens), "passing_by", interval, time)


def answer(status: int, body: object = b"", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def token(exp: object = 2_000_000_000) -> str:
    return jwt.encode({"exp": exp} if exp is not None else {}, "k" * 32)


def page(*days: str, total: int | None = None, of: int = 1, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a page as the API documents it, with the buckets of these days and whatever is changed of it."""
    return {
        "entities": {day if "T" in day else f"{day}T00:00:00+00:00": {"passing_by": {"value": 3}} for day in days},
        "time": "by_day",
        "total_results": len(days) if total is None else total,
        "nb_of_pages": of,
        "page": number,
        "next_page": "https://elsewhere.example/steal" if number < of else "",
        **changes,
    }


PAGE = page("2017-09-03")


def drive(flow: Flow[Any], *answers: Answer, asked: list[Request] | None = None) -> Any:
    """Run a flow against these answers, all of which must be used up; ``asked`` collects its requests."""
    waiting = list(answers)

    def run(flow: Flow[Any]) -> Any:
        sent: Any = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                return end.value
            if isinstance(step, Alone):
                sent = run(step.flow)
                continue
            if asked is not None:
                asked.append(step)
            sent = waiting.pop(0)

    try:
        return run(flow)
    finally:
        assert not waiting


def next_page(pages: Pages) -> Flow[list[dict[str, Any]]]:
    """Ask for the next page and hand its answer in, as who reads one after the other does."""
    flow = pages.ask()
    assert flow is not None
    return pages.take((yield from flow))


def drive_all(pages: Pages, *answers: Answer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    waiting = list(answers)
    while not pages.finished:
        rows += drive(next_page(pages), waiting.pop(0))
    assert not waiting
    return rows
