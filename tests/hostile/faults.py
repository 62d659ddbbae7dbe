"""What can happen to an answer: each fault, what it does to the wire, and what may come of it."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wire import Does, Exchange

MIB = 2**20
#: Longer than any time-out here.
FOR_EVER = 60.0


@dataclass(frozen=True)
class Fault:
    """A fault.

    :param does: to an exchange.
    :param ends: the error that must come of it; None: right rows all the same.
    :param on: ``entities`` or ``token``.
    :param page: only on this page.
    :param times: how often; None: always.
    """

    does: Does
    ends: type[AngusError] | None
    on: str = "entities"
    page: int | None = None
    times: int | None = None


def faults() -> dict[str, Fault]:
    """Return all faults by their names."""
    found = {name: Fault(does, ends) for name, (does, ends) in {**WIRE, **ANSWERS}.items()}
    # What can happen to the one request can happen to the other.
    found |= {f"{name} (token)": Fault(does, ends, "token") for name, (does, ends) in {**WIRE, **TOKENS}.items()}
    for status in (429, 500, 502, 503, 504):
        found[f"{status} for ever"] = Fault(answers(status), AngusUnavailableError)
        found[f"{status} for ever (token)"] = Fault(answers(status), AngusUnavailableError, "token")
        found[f"{status} once"] = Fault(answers(status), None, times=1)
    found |= {
        f"429 once, Retry-After {what}": Fault(answers(429, Retry_After=value), None, times=1)
        for what, value in retry_afters()
    }
    found |= {
        "401 once": Fault(answers(401), None, times=1),
        "401 on page 7 of 9": Fault(answers(401), None, page=7, times=1),
        "503 on page 7 of 9": Fault(answers(503), None, page=7, times=1),
        "body cut short on page 7 of 9": Fault(cut_short, None, page=7, times=1),
        "reset on page 7 of 9": Fault(reset_after_half, None, page=7, times=1),
        "keep-alive connections closed when idle": Fault(closes_after_answer, None),
        "a redirect on page 7 of 9": Fault(answers(302, Location="/api/1/entities"), AngusResponseError, page=7),
    }
    return found


# On the wire


def silent(exchange: Exchange) -> None:
    exchange.wait(FOR_EVER)
    exchange.close()


def closes(exchange: Exchange) -> None:
    exchange.close()


def resets(exchange: Exchange) -> None:
    exchange.reset()


def drips(data: Callable[[Exchange], bytes]) -> Does:
    def drip(exchange: Exchange) -> None:
        exchange.close()
        for byte in data(exchange):
            exchange.raw(bytes([byte]))
            if exchange.wait(0.1):
                return

    return drip


def dripped_body(exchange: Exchange) -> None:
    exchange.raw(head(exchange.body))
    drips(lambda exchange: exchange.body)(exchange)


def head(body: bytes, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()


def cut_short(exchange: Exchange) -> None:
    exchange.raw(head(exchange.body) + exchange.body[: len(exchange.body) // 2])
    exchange.close()


def reset_after_half(exchange: Exchange) -> None:
    exchange.raw(head(exchange.body) + exchange.body[: len(exchange.body) // 2])
    exchange.reset()


def closes_after_answer(exchange: Exchange) -> None:
    # Without saying so, as a server does that has waited long enough.
    exchange.send(exchange.body, exchange.status)
    exchange.close()


def length(change: int) -> Does:
    def lie(exchange: Exchange) -> None:
        exchange.send(exchange.body, Content_Length=str(len(exchange.body) + change))
        exchange.close()

    return lie


def chunked(*chunks: bytes) -> Does:
    def send(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks))
        exchange.close()

    return send


def packed(body: bytes, encoding: str) -> Does:
    def send(exchange: Exchange) -> None:
        exchange.raw(head(body, f"Content-Encoding: {encoding}\r\n") + body)

    return send


def bomb(encoding: str, layers: int = 1) -> Does:
    """200 MiB of blanks, which are 200 KB packed once and next to nothing packed twice."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join([packer.compress(b" " * MIB) for _ in range(200)]) + packer.flush()
    for _ in range(layers - 1):
        body = gzip.compress(body)
    return packed(body, ", ".join([encoding] * layers))


def huge(exchange: Exchange) -> None:
    exchange.raw(f"HTTP/1.1 200 OK\r\nContent-Length: {200 * MIB}\r\n\r\n".encode())
    for _ in range(200):
        exchange.raw(b" " * MIB)


def raw(data: bytes) -> Does:
    def send(exchange: Exchange) -> None:
        exchange.raw(data)
        exchange.close()

    return send


def answers(status: int, body: object = None, **headers: str) -> Does:
    said = {"code": "no", "message": "Not now."} if body is None else body
    return lambda exchange: exchange.send(said, status, **headers)


def redirects(exchange: Exchange) -> None:
    # To itself: whoever follows goes round a hundred times.
    exchange.send(b"", 302, Location=exchange.handler.path)


#: On any request: what it does, and what comes of it.
WIRE: dict[str, tuple[Does, type[AngusError]]] = {
    "silence after the request": (silent, AngusUnavailableError),
    "closed without an answer": (closes, AngusUnavailableError),
    "reset instead of an answer": (resets, AngusUnavailableError),
    "a byte now and then": (dripped_body, AngusUnavailableError),
    "a byte of the headers now and then": (
        drips(lambda exchange: head(exchange.body, "X: x\r\n" * 50)),
        AngusUnavailableError,
    ),
    "body cut short": (cut_short, AngusResponseError),
    "reset in the middle of the body": (reset_after_half, AngusResponseError),
    "Content-Length too long": (length(+10), AngusResponseError),
    "Content-Length too short": (length(-10), AngusResponseError),
    "Content-Length that is no number": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{"), AngusResponseError),
    "chunks that are none": (chunked(b"zz\r\n{}\r\n"), AngusResponseError),
    "chunks without an end": (chunked(b"2\r\n{}\r\n"), AngusResponseError),
    "a chunk longer than it says": (chunked(b"1\r\n{}\r\n0\r\n\r\n"), AngusResponseError),
    "gzip that is none": (packed(b"no gzip at all", "gzip"), AngusResponseError),
    "a gzip bomb": (bomb("gzip"), AngusResponseError),
    "a gzip bomb in a gzip bomb": (bomb("gzip", 2), AngusResponseError),
    "a body of 200 MB": (huge, AngusResponseError),
    "no HTTP at all": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), AngusUnavailableError),
    "words that would forge a log": (
        answers(500, b"no\r\n2026-11-20 [info] All is well.\x1b[2J\xe2\x80\xa8"),
        AngusUnavailableError,
    ),
    "headers without an end": (raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 20_000), AngusUnavailableError),
    "a hundred redirects": (redirects, AngusResponseError),
    "a redirect to http": (answers(302, Location="http://127.0.0.1:9/"), AngusResponseError),
    "204 No Content": (answers(204, b""), AngusResponseError),
    "404": (answers(404), AngusResponseError),
    "408": (answers(408), AngusUnavailableError),
    "HTML": (answers(200, b"<html><body>Welcome!</body></html>"), AngusResponseError),
    "an empty body": (answers(200, b""), AngusResponseError),
    "bytes that are no UTF-8": (answers(200, b"\xff\xfe{}"), AngusResponseError),
    "JSON so deep that it hurts": (answers(200, b"[" * 100_000 + b"]" * 100_000), AngusResponseError),
    "a number of a million digits": (answers(200, b'{"token": ' + b"9" * 1_000_000 + b"}"), AngusResponseError),
    "JSON: a list": (answers(200, []), AngusResponseError),
    "JSON: a text": (answers(200, "text"), AngusResponseError),
    "JSON: a number": (answers(200, 1), AngusResponseError),
    "JSON: null": (answers(200, b"null"), AngusResponseError),
    "JSON: {}": (answers(200, {}), AngusResponseError),
    "JSON: a key twice": (
        answers(200, b'{"token": "a", "token": "b", "entities": {}, "entities": {}}'),
        AngusResponseError,
    ),
}

TOKENS: dict[str, tuple[Does, type[AngusError]]] = {
    "400": (answers(400, {"non_field_errors": ["No such stream."]}), AngusAuthError),
    "401": (answers(401), AngusAuthError),
    "403": (answers(403), AngusAuthError),
    "a token that is null": (answers(200, {"token": None}), AngusResponseError),
    "a token of two lines": (answers(200, {"token": "one\r\nX-Two: 2"}), AngusResponseError),
    "a token that no server takes": (answers(200, {"token": "abcdefgh"}), AngusAuthError),
}


def retry_afters() -> Iterator[tuple[str, str]]:
    """Yield what Retry-After may say."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    past = format_datetime(datetime(1999, 12, 31, tzinfo=UTC), usegmt=True)
    yield from {"0": "0", "a date": soon, "a date long past": past, "negative": "-5"}.items()
    yield from {"absurd": "9" * 30, "a date in the year 9999": "Fri, 31 Dec 9999 23:59:59 GMT", "words": "soon"}.items()


# In the JSON


def changes(change: Callable[[dict[str, Any]], object]) -> Does:
    """Send a true page with something changed in it."""

    def send(exchange: Exchange) -> None:
        page = exchange.json
        change(page)
        exchange.send(page)

    return send


def first_bucket(value: object) -> Does:
    def put(page: dict[str, Any]) -> None:
        page["entities"][next(iter(page["entities"]))] = value

    return changes(put)


def first_metric(value: object) -> Does:
    def put(page: dict[str, Any]) -> None:
        next(iter(page["entities"].values()))["passing_by"] = value

    return changes(put)


def first_number(text: str) -> Does:
    """Put what Python's json would not write, too."""

    def send(exchange: Exchange) -> None:
        page = exchange.json
        next(iter(page["entities"].values()))["passing_by"]["value"] = "HERE"
        exchange.send(json.dumps(page).replace('"HERE"', text).encode())

    return send


def first_key(key: Callable[[str], str]) -> Does:
    def rename(page: dict[str, Any]) -> None:
        names = list(page["entities"])
        page["entities"] = {key(name) if name == names[0] else name: page["entities"][name] for name in names}

    return changes(rename)


def repeats_first_page(exchange: Exchange) -> None:
    page = exchange.json
    if page["page"] == 1:
        exchange.handler.server.first = page["entities"]  # type: ignore[attr-defined]
    else:
        page["entities"] = getattr(exchange.handler.server, "first", {})
    exchange.send(page)


def shifts(exchange: Exchange) -> None:
    """As if an hour had come to an end between two pages."""
    page = exchange.json
    page["total_results"] += page["page"] > 1
    exchange.send(page)


def drops(page: dict[str, Any]) -> None:
    page["entities"].popitem()


def lies(**counts: object) -> Does:
    return changes(lambda page: page.update(counts))


def later(days: int) -> Callable[[str], str]:
    return lambda key: (datetime.fromisoformat(key) + timedelta(days=days)).isoformat()


#: On pages of entities.
ANSWERS: dict[str, tuple[Does, type[AngusError]]] = {
    "400": (answers(400, {"code": "unexisting_metric", "message": "No such metric."}), AngusRequestError),
    "401 for ever": (answers(401), AngusAuthError),
    "401 without a body": (answers(401, b""), AngusAuthError),
    "403": (answers(403), AngusAuthError),
    "entities: a list": (lies(entities=[]), AngusResponseError),
    "entities: null": (lies(entities=None), AngusResponseError),
    "a bucket that is a number": (first_bucket(1), AngusResponseError),
    "a bucket that is null": (first_bucket(None), AngusResponseError),
    "a metric that is a number": (first_metric(1), AngusResponseError),
    "a metric that is a list": (first_metric([1]), AngusResponseError),
    "a count as text": (first_number('"7"'), AngusResponseError),
    "a count that is true": (first_number("true"), AngusResponseError),
    "a count that is an object": (first_number('{"value": 1}'), AngusResponseError),
    "a count that is NaN": (first_number("NaN"), AngusResponseError),
    "a count that is Infinity": (first_number("-Infinity"), AngusResponseError),
    "a count of 1e999": (first_number("1e999"), AngusResponseError),
    "a negative count": (first_number("-1"), AngusResponseError),
    "a bucket twice": (
        changes(lambda page: page["entities"].update({next(iter(page["entities"])).replace("+00:00", "Z"): {}})),
        AngusResponseError,
    ),
    "a bucket that is no date": (first_key(lambda _: "yesterday"), AngusResponseError),
    "a bucket without an offset": (first_key(lambda key: key[:19]), AngusResponseError),
    "a bucket at half past": (first_key(lambda key: key.replace(":00:00+", ":30:00+")), AngusResponseError),
    "a bucket of another year": (first_key(later(365)), AngusResponseError),
    "a bucket of the day before": (first_key(later(-1)), AngusResponseError),
    "buckets of another size": (lies(time="by_day"), AngusResponseError),
    "another page than asked for": (lies(page=99), AngusResponseError),
    "pages that repeat the first": (repeats_first_page, AngusResponseError),
    "pages that shift under us": (shifts, AngusResponseError),
    "a bucket left out": (changes(drops), AngusResponseError),
    "a total that is too large": (lies(total_results=1_000), AngusResponseError),
    "a total that is too small": (lies(total_results=2), AngusResponseError),
    "a total that is text": (lies(total_results="25"), AngusResponseError),
    "a total below zero": (lies(total_results=-1), AngusResponseError),
    "a million pages": (lies(nb_of_pages=1_000_000), AngusResponseError),
    "a million pages of a million buckets": (lies(nb_of_pages=1_000_000, total_results=10**6), AngusResponseError),
    "no page of 25 buckets": (lies(nb_of_pages=0), AngusResponseError),
}
