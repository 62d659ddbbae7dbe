"""Which error the clients raise for responses that the API does not document and for broken HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from http_servers import HttpServer, SocketServer, raw_response

from airflow_provider_angus.exceptions import AngusError, AngusResponseError, AngusUnavailableError
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from clients import ClientKind, Fetcher
    from http_servers import Exchange

UNAVAILABLE, RESPONSE = AngusUnavailableError, AngusResponseError


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<html>Log in</html>", "expected JSON"),
        ("[]", "expected a JSON object"),
        ("null", "expected a JSON object, got null"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        (b"\xff\xfe\xfd", "invalid UTF-8"),
        ("[" * 100_000, "expected JSON"),
        ({"entities": {}}, "total_results: expected a count, got null"),
    ],
    ids=["html", "list", "null", "nan", "utf-8", "deep", "no total"],
)
def test_client_raises_response_error_without_retry(
    body: Any, problem: str, fetcher: Fetcher, sandbox: Sandbox
) -> None:
    sandbox.fail_next(200, on="entities", body=body)
    assert problem in fetcher.fail(AngusResponseError)
    assert (sandbox.count("entities"), fetcher.waits) == (1, [])


def test_client_raises_response_error_if_pages_contradict(create_fetcher: Any) -> None:
    with Sandbox(page_size=1) as sandbox:
        sandbox.change_next(dict, on="entities")
        sandbox.change_next(lambda page: page | {"total_results": 9}, on="entities")
        message = create_fetcher(sandbox).fail(AngusResponseError)
        assert "total_results: expected 2 as on the page before, got 9" in message


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize("location", ["http://[bad", "http://\xff\xfe", "/elsewhere", "{elsewhere}/steal"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_client_never_follows_a_redirect(
    status: int, location: str, endpoint: Any, fetcher: Fetcher, sandbox: Sandbox
) -> None:
    with Sandbox() as elsewhere:
        headers = {"Location": location.format(elsewhere=elsewhere.url)}
        sandbox.fail_next(status, on=endpoint, body="Moved!", headers=headers)
        message = fetcher.fail(AngusResponseError)
        assert f"unexpected status {status} (redirect to {headers['Location']}): text/html: Moved!" in message
        assert (sandbox.count(endpoint), elsewhere.count()) == (1, 0)


OK = b"HTTP/1.1 200 OK\r\n"
#: Raw responses, and the error of the synchronous and of the asynchronous client.
BROKEN_HTTP: dict[str, tuple[bytes, type[AngusError], type[AngusError]]] = {
    "not HTTP": (b"nonsense\r\n\r\n", UNAVAILABLE, UNAVAILABLE),
    "informational only": (b"HTTP/1.1 100 Continue\r\n\r\n", UNAVAILABLE, UNAVAILABLE),
    # http.client accepts at most 100 headers.
    "200 headers": (OK + b"X-Many: 1\r\n" * 200 + b"\r\n", UNAVAILABLE, RESPONSE),
    "two lengths": (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", UNAVAILABLE, UNAVAILABLE),
    "body too short": (OK + b"Content-Length: 99\r\n\r\n{}", RESPONSE, RESPONSE),
    "chunk too short": (OK + b"Transfer-Encoding: chunked\r\n\r\n99\r\n{}", RESPONSE, RESPONSE),
    "chunk without size": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", RESPONSE, RESPONSE),
    "not gzip": (OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", RESPONSE, RESPONSE),
    "brotli": (OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", RESPONSE, RESPONSE),
    "body without end": (OK + b"\r\n{", RESPONSE, RESPONSE),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", RESPONSE, RESPONSE),
}


@pytest.mark.parametrize(("data", "sync_error", "async_error"), BROKEN_HTTP.values(), ids=BROKEN_HTTP)
def test_client_raises_its_own_error_for_broken_http(
    data: bytes,
    sync_error: type[AngusError],
    async_error: type[AngusError],
    client_kind: ClientKind,
    create_fetcher: Any,
    sandbox: Sandbox,
) -> None:
    with HttpServer(raw_response(data)) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url)
        message = fetcher.fail(sync_error if client_kind == "sync" else async_error)
        assert message.startswith(f"POST {server.url}/api-token-authstream/: ")


@pytest.mark.parametrize("handle", [lambda _: None, lambda connection: connection.recv(1 << 16)], ids=["early", "late"])
def test_client_raises_unavailable_for_closed_connection(handle: Any, create_fetcher: Any, sandbox: Sandbox) -> None:
    with SocketServer(handle) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url)
        assert "no response: " in fetcher.fail(AngusUnavailableError)
        assert server.accepted == 4


def test_client_retries_after_reset_in_body(create_fetcher: Any, sandbox: Sandbox) -> None:
    """The reset may also drop the headers, if the client has not read them."""

    def respond(exchange: Exchange) -> None:
        exchange.raw(OK + b"Content-Length: 99\r\n\r\n{")
        exchange.reset()

    with HttpServer(respond) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url)
        with pytest.raises((AngusResponseError, AngusUnavailableError)):
            fetcher.fetch()
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("begin", "error"),
    [(b"", AngusUnavailableError), (OK + b"Content-Length: 99\r\n\r\n{", AngusResponseError)],
    ids=["before the response", "in the body"],
)
def test_client_raises_its_own_error_for_broken_tls(
    begin: bytes, error: type[AngusError], certificate: Path, create_fetcher: Any, sandbox: Sandbox
) -> None:
    """httpx does not translate errors of TLS after the handshake."""

    def respond(exchange: Exchange) -> None:
        exchange.raw(begin)
        exchange.raw_below_tls(b"not TLS" * 10)
        exchange.close()

    with HttpServer(respond, certificate=certificate) as server:
        fetcher = create_fetcher(sandbox, console_url=server.url, verify=str(certificate))
        assert "[SSL: " in fetcher.fail(error)
        assert len(server.requests) == 4
