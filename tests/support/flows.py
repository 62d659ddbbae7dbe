"""Run flows without a network: sample responses and pages, and a driver."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from samples import CREDENTIALS, DAY, token

from airflow_provider_angus.api.auth import Authenticator, TokenCache
from airflow_provider_angus.api.messages import Response, SingleFlight
from airflow_provider_angus.api.pagination import EntityPages

if TYPE_CHECKING:
    from airflow_provider_angus.api.messages import Flow, Request
    from airflow_provider_angus.api.settings import Credentials
    from airflow_provider_angus.model.entities import Row
    from airflow_provider_angus.model.intervals import Interval

CONSOLE_URL = "https://console.example"
DATA_URL = "https://data.example"

#: The body of the API's 401 response to an expired token.
EXPIRED = {"code": "expired_jwt", "message": "The token is expired."}


def authenticator(tokens: TokenCache | None = None, credentials: Credentials = CREDENTIALS) -> Authenticator:
    return Authenticator(credentials, CONSOLE_URL, tokens or TokenCache())


def pages(
    time: str = "by_day", interval: Interval = DAY, tokens: TokenCache | None = None, **arguments: Any
) -> EntityPages:
    """Return the pages of a query for ``passing_by``."""
    return EntityPages(authenticator(tokens), DATA_URL, "passing_by", interval, time, **arguments)


def response(status: int, body: object = b"", **headers: str) -> Response:
    """Return a response; a body that is not bytes becomes JSON, ``Retry_After`` becomes ``Retry-After``."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


def token_response(value: object = "token") -> Response:
    return response(200, {"token": value})


def page(*days: str, total: int | None = None, of: int = 1, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a page as the API documents it, with the buckets of these days and some fields changed."""
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


def drive(flow: Flow[Any], *responses: Response, requests: list[Request] | None = None) -> Any:
    """Run a flow against these responses, which must all be used; ``requests`` collects its requests."""
    waiting = list(responses)

    def run(flow: Flow[Any]) -> Any:
        sent: Any = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                return end.value
            if isinstance(step, SingleFlight):
                sent = run(step.flow)
                continue
            if requests is not None:
                requests.append(step)
            sent = waiting.pop(0)
            sent = replace(sent, secrets=[*sent.secrets, *step.secrets])

    try:
        return run(flow)
    finally:
        assert not waiting


def read_page(pages: EntityPages) -> Flow[list[Row]]:
    """Fetch and accept the next page, like a driver without concurrency."""
    flow = pages.next_page()
    assert flow is not None
    return pages.accept((yield from flow))


def read_all(pages: EntityPages, *responses: Response) -> list[Row]:
    """Fetch and accept all pages, one response per page."""
    rows: list[Row] = []
    waiting = list(responses)
    while not pages.finished:
        rows += drive(read_page(pages), waiting.pop(0))
    assert not waiting
    return rows


def cache_with_token() -> TokenCache:
    """Return a cache that has the token of the sample credentials."""
    tokens = TokenCache()
    drive(read_page(pages(tokens=tokens)), token_response(token()), response(200, PAGE))
    return tokens
