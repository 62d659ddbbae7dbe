"""Faults of the JSON of pages and tokens."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.exceptions import AngusAuthError, AngusRequestError, AngusResponseError
from faults.transport import send_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from http_servers import Exchange

    from airflow_provider_angus.exceptions import AngusError
    from faults.proxy import Original, Send


def change(function: Callable[[dict[str, Any]], object]) -> Send:
    """Return a fault that changes a page."""

    def send(exchange: Exchange, original: Original) -> None:
        page = original.json
        function(page)
        exchange.send(page)

    return send


def set_fields(**fields: object) -> Send:
    return change(lambda page: page.update(fields))


def replace_bucket(value: object) -> Send:
    return change(lambda page: page["entities"].update({next(iter(page["entities"])): value}))


def replace_metric(value: object) -> Send:
    return change(lambda page: next(iter(page["entities"].values())).update(passing_by=value))


def replace_number(text: str) -> Send:
    """Return a fault that replaces a number by text, which need not be valid JSON."""

    def send(exchange: Exchange, original: Original) -> None:
        page = original.json
        next(iter(page["entities"].values()))["passing_by"]["value"] = "PLACEHOLDER"
        exchange.send(json.dumps(page).replace('"PLACEHOLDER"', text).encode())

    return send


def rename_bucket(new_name: Callable[[str], str]) -> Send:
    def rename(page: dict[str, Any]) -> None:
        first, *others = page["entities"].items()
        page["entities"] = dict([(new_name(first[0]), first[1]), *others])

    return change(rename)


def move_bucket(days: int) -> Send:
    return rename_bucket(lambda name: (datetime.fromisoformat(name) + timedelta(days=days)).isoformat())


def repeat_bucket(page: dict[str, Any]) -> None:
    page["entities"][next(iter(page["entities"])).replace("+00:00", "Z")] = {}


def repeat_first_page() -> Send:
    first: dict[str, Any] = {}

    def send(exchange: Exchange, original: Original) -> None:
        page = original.json
        if page["page"] == 1:
            first.update(page["entities"])
        exchange.send(page | {"entities": first})

    return send


def grow_while_paging(page: dict[str, Any]) -> None:
    """Add a bucket to the total after the first page, as if an hour ended between two requests."""
    page["total_results"] += page["page"] > 1


#: By name: the fault of a page and the error that must follow.
CONTENT: dict[str, tuple[Send, type[AngusError]]] = {
    "400": (send_response(400, {"code": "unexisting_metric", "message": "No such metric."}), AngusRequestError),
    "401 always": (send_response(401), AngusAuthError),
    "401 without a body": (send_response(401, b""), AngusAuthError),
    "403": (send_response(403), AngusAuthError),
    "entities: list": (set_fields(entities=[]), AngusResponseError),
    "entities: null": (set_fields(entities=None), AngusResponseError),
    "bucket: number": (replace_bucket(1), AngusResponseError),
    "bucket: null": (replace_bucket(None), AngusResponseError),
    "metric: number": (replace_metric(1), AngusResponseError),
    "metric: list": (replace_metric([1]), AngusResponseError),
    "count: text": (replace_number('"7"'), AngusResponseError),
    "count: true": (replace_number("true"), AngusResponseError),
    "count: object": (replace_number('{"value": 1}'), AngusResponseError),
    "count: NaN": (replace_number("NaN"), AngusResponseError),
    "count: -Infinity": (replace_number("-Infinity"), AngusResponseError),
    "count: 1e999": (replace_number("1e999"), AngusResponseError),
    "count: negative": (replace_number("-1"), AngusResponseError),
    "duplicate bucket": (change(repeat_bucket), AngusResponseError),
    "bucket without a date": (rename_bucket(lambda _: "yesterday"), AngusResponseError),
    "bucket without an offset": (rename_bucket(lambda name: name[:19]), AngusResponseError),
    "bucket at half past": (rename_bucket(lambda name: name.replace(":00:00+", ":30:00+")), AngusResponseError),
    "bucket of another year": (move_bucket(365), AngusResponseError),
    "bucket of the day before": (move_bucket(-1), AngusResponseError),
    "time: another": (set_fields(time="by_day"), AngusResponseError),
    "page: another": (set_fields(page=99), AngusResponseError),
    "all pages repeat the first": (repeat_first_page(), AngusResponseError),
    "total changes while paging": (change(grow_while_paging), AngusResponseError),
    "missing bucket": (change(lambda page: page["entities"].popitem()), AngusResponseError),
    "total_results: too large": (set_fields(total_results=1_000), AngusResponseError),
    "total_results: too small": (set_fields(total_results=2), AngusResponseError),
    "total_results: text": (set_fields(total_results="25"), AngusResponseError),
    "total_results: negative": (set_fields(total_results=-1), AngusResponseError),
    "nb_of_pages: a million": (set_fields(nb_of_pages=1_000_000), AngusResponseError),
    "both totals: a million": (set_fields(nb_of_pages=1_000_000, total_results=10**6), AngusResponseError),
    "nb_of_pages: 0": (set_fields(nb_of_pages=0), AngusResponseError),
}

#: Faults of several pages, or of buckets with a date.
BY_HOUR_ONLY = {
    "total changes while paging",
    "all pages repeat the first",
    "duplicate bucket",
    "bucket without an offset",
    "bucket at half past",
    "bucket of another year",
    "bucket of the day before",
}

#: By name: the fault of a token response and the error that must follow.
TOKENS: dict[str, tuple[Send, type[AngusError]]] = {
    "400": (send_response(400, {"non_field_errors": ["No such stream."]}), AngusAuthError),
    "401": (send_response(401), AngusAuthError),
    "403": (send_response(403), AngusAuthError),
    "token: null": (send_response(200, {"token": None}), AngusResponseError),
    "token: two lines": (send_response(200, {"token": "one\r\nX-Two: 2"}), AngusResponseError),
    "token: refused by the API": (send_response(200, {"token": "abcdefgh"}), AngusAuthError),
}
