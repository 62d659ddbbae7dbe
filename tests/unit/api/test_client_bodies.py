"""How the clients read bodies: chunked, compressed, limited in size and time."""

from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from http_servers import EMPTY_PAGE, HttpServer
from samples import DAY

from airflow_provider_angus.api.bodies import MAX_BODY_BYTES
from airflow_provider_angus.exceptions import AngusResponseError

if TYPE_CHECKING:
    from http_servers import Exchange

    from airflow_provider_angus.sandbox import Sandbox

BODY = json.dumps(EMPTY_PAGE).encode()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_client_reads_chunked_body_to_its_end(create_fetcher: Any, sandbox: Sandbox) -> None:
    """The connection stays open, so the end of the last chunk is the end of the body."""
    received = threading.Event()

    def respond(exchange: Exchange) -> None:
        exchange.raw(CHUNKED + chunk(BODY[:10])[:-5])
        # The rest of the chunk is a packet of its own.
        received.wait(0.05)
        exchange.raw(chunk(BODY[:10])[-5:] + chunk(BODY[10:]) + chunk(b""))

    with HttpServer(respond) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url, data_url=server.url, timeout=5.0)
        assert fetcher.fetch() == []
        assert fetcher.waits == []


@pytest.mark.parametrize("packets", [1, 3])
def test_client_decodes_gzip(packets: int, create_fetcher: Any, sandbox: Sandbox) -> None:
    compressed = gzip.compress(BODY)

    def respond(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(compressed))
        size = -(-len(compressed) // packets)
        for start in range(0, len(compressed), size):
            exchange.raw(compressed[start : start + size])

    with HttpServer(respond) as server:
        assert create_fetcher(sandbox, console_url=server.url, data_url=server.url).fetch() == []


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_client_stops_at_the_largest_body(encoding: str, create_fetcher: Any, sandbox: Sandbox) -> None:
    """It does not read the rest, nor decompress it."""
    data = b" " * (MAX_BODY_BYTES + 1)
    data = gzip.compress(data, 1) if encoding == "gzip" else data

    with HttpServer(lambda exchange: exchange.send(data, Content_Encoding=encoding)) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url)
        assert fetcher.fail(AngusResponseError).endswith(": unreadable body: larger than 64 MiB.")
        assert len(server.requests) == 1


def test_client_closes_connection_after_unreadable_body(create_fetcher: Any, sandbox: Sandbox) -> None:
    with HttpServer(lambda exchange: exchange.send(BODY, Content_Encoding="br")) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url)
        message = fetcher.fail(AngusResponseError, DAY)
        assert "unreadable body: Content-Encoding: expected gzip or none." in message
        assert server.wait_until_closed()
