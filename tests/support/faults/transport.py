"""Faults of connections, HTTP messages and bodies, of any endpoint."""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from airflow_provider_angus.exceptions import AngusResponseError, AngusUnavailableError

if TYPE_CHECKING:
    from http_servers import Exchange

    from airflow_provider_angus.exceptions import AngusError
    from faults.proxy import Original, Send

MIB = 2**20

#: Seconds. Longer than all time-outs.
FOREVER = 60.0

#: Seconds between two bytes of a slow response. Shorter than all time-outs.
SLOW = 0.1


def head(body: bytes, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()


def send_nothing(exchange: Exchange, _: Original) -> None:
    exchange.wait(FOREVER)
    exchange.close()


def close(exchange: Exchange, _: Original) -> None:
    exchange.close()


def reset(exchange: Exchange, _: Original) -> None:
    exchange.reset()


def send_slowly(exchange: Exchange, data: bytes) -> None:
    exchange.close()
    for byte in data:
        exchange.raw(bytes([byte]))
        if exchange.wait(SLOW):
            return


def slow_body(exchange: Exchange, original: Original) -> None:
    exchange.raw(head(original.body))
    send_slowly(exchange, original.body)


def slow_headers(exchange: Exchange, original: Original) -> None:
    """Send the last eight bytes slowly, which takes longer than the time-out of a response."""
    data = head(original.body)
    exchange.raw(data[:-8])
    send_slowly(exchange, data[-8:])
    exchange.raw(original.body)


def pause_within_headers(exchange: Exchange, original: Original) -> None:
    exchange.raw(head(original.body)[:20])
    exchange.wait(FOREVER)
    exchange.close()


def truncate(exchange: Exchange, original: Original) -> None:
    exchange.raw(head(original.body) + original.body[: len(original.body) // 2])
    exchange.close()


def reset_within_body(exchange: Exchange, original: Original) -> None:
    exchange.raw(head(original.body) + original.body[: len(original.body) // 2])
    exchange.reset()


def close_after_response(exchange: Exchange, original: Original) -> None:
    """Close the connection without ``Connection: close``, as servers close idle connections."""
    exchange.send(original.body, original.status)
    exchange.close()


def wrong_length(difference: int) -> Send:
    def send(exchange: Exchange, original: Original) -> None:
        exchange.send(original.body, Content_Length=str(len(original.body) + difference))
        exchange.close()

    return send


def chunked(chunks: bytes) -> Send:
    return raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)


def raw(data: bytes) -> Send:
    def send(exchange: Exchange, _: Original) -> None:
        exchange.raw(data)
        exchange.close()

    return send


def invalid_gzip(exchange: Exchange, _: Original) -> None:
    body = b"not gzip"
    exchange.raw(head(body, "Content-Encoding: gzip\r\n") + body)


def gzip_bomb(layers: int) -> Send:
    """Return a fault that sends 200 MiB of spaces: 200 kB compressed once, much less compressed twice."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join([compressor.compress(b" " * MIB) for _ in range(200)]) + compressor.flush()
    for _ in range(layers - 1):
        body = gzip.compress(body)

    def send(exchange: Exchange, _: Original) -> None:
        exchange.raw(head(body, f"Content-Encoding: {', '.join(['gzip'] * layers)}\r\n") + body)

    return send


def large_body(exchange: Exchange, _: Original) -> None:
    exchange.raw(f"HTTP/1.1 200 OK\r\nContent-Length: {200 * MIB}\r\n\r\n".encode())
    for _ in range(200):
        exchange.raw(b" " * MIB)


def send_response(status: int, body: object = None, **headers: str) -> Send:
    """Return a fault that sends a complete response, by default with a message of the API."""
    content = {"code": "no", "message": "Not now."} if body is None else body
    return lambda exchange, _: exchange.send(content, status, **headers)


def redirect_to_itself(exchange: Exchange, _: Original) -> None:
    exchange.send(b"", 302, Location=exchange.target)


#: By name: the fault and the error that must follow, for any endpoint.
TRANSPORT: dict[str, tuple[Send, type[AngusError]]] = {
    "no response": (send_nothing, AngusUnavailableError),
    "closed without a response": (close, AngusUnavailableError),
    "reset without a response": (reset, AngusUnavailableError),
    "slow body": (slow_body, AngusUnavailableError),
    "slow headers": (slow_headers, AngusUnavailableError),
    "pause within the headers": (pause_within_headers, AngusUnavailableError),
    "truncated body": (truncate, AngusResponseError),
    "reset within the body": (reset_within_body, AngusResponseError),
    "Content-Length too long": (wrong_length(+10), AngusResponseError),
    "Content-Length too short": (wrong_length(-10), AngusResponseError),
    "invalid Content-Length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{"), AngusResponseError),
    "invalid chunk size": (chunked(b"zz\r\n{}\r\n"), AngusResponseError),
    "missing last chunk": (chunked(b"2\r\n{}\r\n"), AngusResponseError),
    "chunk longer than its size": (chunked(b"1\r\n{}\r\n0\r\n\r\n"), AngusResponseError),
    "invalid gzip": (invalid_gzip, AngusResponseError),
    "gzip bomb": (gzip_bomb(1), AngusResponseError),
    "nested gzip bomb": (gzip_bomb(2), AngusResponseError),
    "body of 200 MiB": (large_body, AngusResponseError),
    "SSH banner": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), AngusUnavailableError),
    "control characters in a text": (
        send_response(500, b"no\r2026-11-20 [info] Success.\x1b[2J\xe2\x80\xa8\r\n2026-11-20 [info] Success."),
        AngusUnavailableError,
    ),
    "control characters in a message": (
        send_response(500, {"message": "no\r\n2026-11-20 [info] Success.\x1b[2J\u2028"}),
        AngusUnavailableError,
    ),
    "too many headers": (raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 20_000), AngusUnavailableError),
    "redirect loop": (redirect_to_itself, AngusResponseError),
    "redirect to http": (send_response(302, Location="http://127.0.0.1:9/"), AngusResponseError),
    "204": (send_response(204, b""), AngusResponseError),
    "404": (send_response(404), AngusResponseError),
    "408": (send_response(408), AngusUnavailableError),
    "HTML": (send_response(200, b"<html><body>Welcome!</body></html>"), AngusResponseError),
    "empty body": (send_response(200, b""), AngusResponseError),
    "invalid UTF-8": (send_response(200, b"\xff\xfe{}"), AngusResponseError),
    "deeply nested JSON": (send_response(200, b"[" * 100_000 + b"]" * 100_000), AngusResponseError),
    "number of a million digits": (send_response(200, b'{"token": ' + b"9" * 1_000_000 + b"}"), AngusResponseError),
    "JSON list": (send_response(200, []), AngusResponseError),
    "JSON text": (send_response(200, "text"), AngusResponseError),
    "JSON number": (send_response(200, 1), AngusResponseError),
    "JSON null": (send_response(200, b"null"), AngusResponseError),
    "empty JSON object": (send_response(200, {}), AngusResponseError),
    "duplicate JSON keys": (
        send_response(200, b'{"token": "a", "token": "b", "entities": {}, "entities": {}}'),
        AngusResponseError,
    ),
}

#: Values of the header ``Retry-After`` for which a client waits, at most a minute.
RETRY_AFTER = {
    "0": "0",
    "of a date": format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True),
    "of a past date": format_datetime(datetime(1999, 12, 31, tzinfo=UTC), usegmt=True),
    "negative": "-5",
    "without a number": "soon",
}

#: Longer values of the header ``Retry-After``.
LONG_RETRY_AFTER = {"of the year 9999": "Fri, 31 Dec 9999 23:59:59 GMT", "too large": "9" * 30}
