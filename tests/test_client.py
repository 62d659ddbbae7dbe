"""The driver for workers, over real HTTP: the sandbox, and a server of a few lines for what no API would send."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import threading
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_angus.answers import Request
from airflow_provider_angus.async_client import AngusAsyncClient
from airflow_provider_angus.client import AngusClient
from airflow_provider_angus.connection import Settings, read_settings
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.retrying import ATTEMPTS
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.sessions import Session
from airflow_provider_angus.tokens import TOKENS, TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_angus.entities import Row

THIRD = datetime(2017, 9, 3, tzinfo=UTC)
DAY = Interval(THIRD, THIRD + timedelta(days=1))

#: The sample of the API's own page; its payload is not JSON.
UNREADABLE = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImF1cmVsaWVuLm1vcmVhdUBhbmd1cy5haSIsIm9yaWdfaWF0IjoxNTA1Mzk4"
    "MDM4LCJleHAiOjE1D8DU0MTYwMzgsImNsaWVudF9pZCI6IjNiZDk1ZjIwLWM2OWYtMTFlNS1hZWVjLTAyNDJhYzExMDAwMiIsInVzZXJfaWQiOjgy"
    "NiwiZW1haWwiOiJhdXJlbGllbi5tb3JlYXVAYW5ndXMuYWkifQ.K70YXQYMAcdeW7dfscFGxUhenoXXGBAQTiWhNv-9cVc"
)


def settings_of(sandbox: Sandbox, **changes: Any) -> Settings:
    given = sandbox.connection()

    class Connection:
        conn_id = "shop"
        login, password, host, port = given["login"], given["password"], given["host"], None
        extra_dejson: Any = None

    return replace(read_settings(Connection(), given["extra"]), **changes)


def rows_of(client: AngusClient, time: str = "by_day", interval: Interval = DAY) -> list[Row]:
    return [row for page in client.read(client.pages("passing_by", interval, time)) for row in page]


@dataclass
class Asker:
    """A client whose clock and waits are the test's own."""

    settings: Settings
    now: float = field(default_factory=lambda: datetime.now(UTC).timestamp())
    waits: list[float] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        cache = TokenCache(now=lambda: self.now)
        self.client = AngusClient(self.settings, tokens=cache, on_token=self.tokens.append, sleep=self.waits.append)

    def ask(self, time: str = "by_day", interval: Interval = DAY) -> list[Row]:
        return rows_of(self.client, time, interval)

    def fail(self, error: type[AngusError]) -> str:
        """Ask, and return what is said of the failure, which shows no secret anywhere."""
        with pytest.raises(error) as raised:
            self.ask()
        cause: BaseException | None = raised.value
        shown = traceback.format_exception(raised.value)
        while cause is not None:
            shown += [str(cause), repr(cause)]
            cause = cause.__cause__ or cause.__context__
        for secret in [self.settings.credentials.access_token, *self.tokens]:
            assert secret not in "".join(shown)
        return str(raised.value)


@pytest.fixture
def asker(sandbox: Sandbox) -> Iterator[Asker]:
    asker = Asker(settings_of(sandbox))
    with asker.client:
        yield asker


# What is asked


def test_an_interval_of_one_page_costs_one_token_and_one_page(asker: Asker, sandbox: Sandbox) -> None:
    (row,) = asker.ask()
    assert row["bucket_start"] == "2017-09-03T00:00:00+00:00"
    assert row["passing_by"] > 0
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]
    assert sandbox.calls[0].path == "/api-token-authstream/"


def test_many_pages_cost_one_token_and_one_call_each_and_add_up_to_one_answer() -> None:
    with Sandbox(page_size=7) as small, Sandbox() as large:
        rows = Asker(settings_of(small)).ask("by_hour")
        assert rows == Asker(settings_of(large)).ask("by_hour")
        assert len(rows) == 24
        asked = [call.query.get("page") for call in small.calls]
        assert (asked[:2], sorted(asked[2:])) == ([None, "1"], ["2", "3", "4"])
        assert (small.count("token"), small.count("entities")) == (1, 4)


def test_the_token_is_used_again_until_a_minute_before_it_ends(asker: Asker, sandbox: Sandbox) -> None:
    asker.now = start = int(asker.now)
    asker.ask()
    asker.now = start + 18_000 - 65
    asker.ask()
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 2)
    asker.now = start + 18_000 - 55
    asker.ask()
    assert (sandbox.count("token"), sandbox.count("entities")) == (2, 3)


def test_every_token_is_handed_out_to_be_masked_before_it_is_used(sandbox: Sandbox) -> None:
    seen: list[tuple[bool, int]] = []
    settings = settings_of(sandbox)
    with AngusClient(
        settings,
        tokens=TokenCache(),
        on_token=lambda token: seen.append((token.count(".") == 2, sandbox.count("entities"))),
    ) as client:
        rows_of(client)
    assert seen == [(True, 0)]


def test_dates_arrive_with_their_offset_and_metrics_without_spaces(asker: Asker, sandbox: Sandbox) -> None:
    asker.ask()
    query = sandbox.calls[-1].query
    assert (query["from_date"], query["to_date"]) == ("2017-09-03T00:00:00+00:00", "2017-09-04T00:00:00+00:00")
    assert query["metrics"] == "passing_by"


def test_clients_that_ask_at_the_same_time_share_one_token() -> None:
    tokens, ready = TokenCache(), threading.Barrier(4)
    rows: list[Row] = []

    def ask() -> None:
        with AngusClient(settings, tokens=tokens) as client:
            ready.wait()
            rows.extend(rows_of(client))

    # An answer that takes a moment, so that all of them find no token.
    with Sandbox(latency=0.1) as sandbox:
        settings = settings_of(sandbox)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(rows), sandbox.count("token")) == (4, 1)


# Tokens that are refused


def test_an_expired_token_is_replaced_and_the_page_asked_for_once_more(asker: Asker, sandbox: Sandbox) -> None:
    asker.ask()
    sandbox.expire_tokens()
    assert len(asker.ask()) == 1
    assert [call.status for call in sandbox.calls] == [200, 200, 401, 200, 200]
    assert len(set(asker.tokens)) == 2


def test_a_token_that_cannot_be_read_is_used_until_it_is_refused(asker: Asker, sandbox: Sandbox) -> None:
    page = {"entities": {}, "total_results": 0, "nb_of_pages": 0}
    sandbox.fail_next(200, on="token", body={"token": UNREADABLE})
    sandbox.fail_next(200, on="entities", body=page, times=2)
    assert [asker.ask(), asker.ask()] == [[], []]
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 2)
    assert len(asker.ask()) == 1
    assert [call.status for call in sandbox.calls[3:]] == [401, 200, 200]
    assert asker.tokens[0] == UNREADABLE


def test_a_fresh_token_that_is_refused_is_an_auth_error_after_one_more_try(asker: Asker, sandbox: Sandbox) -> None:
    sandbox.fail_next(401, on="entities", times=2, body={"code": "invalid_jwt", "message": "Who are you?"})
    assert "also with a new token: invalid_jwt: Who are you?" in asker.fail(AngusAuthError)
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities", "token", "entities"]


# Refusals, as the sandbox gives them


def test_wrong_credentials_are_an_auth_error_and_are_not_tried_again(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox)
    asker = Asker(replace(settings, credentials=replace(settings.credentials, access_token="hunter2-hunter2")))
    assert "Unable to login with provided credentials." in asker.fail(AngusAuthError)
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 0)
    assert asker.waits == []


@pytest.mark.parametrize(
    "code", ["missing_mandatory_param", "unexisting_metric", "unexisting_time", "page_not_existing"]
)
def test_a_refused_request_is_not_tried_again(code: str, asker: Asker, sandbox: Sandbox) -> None:
    sandbox.fail_next(400, on="entities", body={"code": code, "message": "No."})
    assert f"{code}: No." in asker.fail(AngusRequestError)
    assert (sandbox.count("entities"), asker.waits) == (1, [])


# Trying again


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize(
    "trouble", [{"status": 503}, {"status": 500}, {"status": 429}, {"status": 0}, {"status": 200, "cut": True}]
)
def test_trouble_that_passes_is_waited_out(
    trouble: dict[str, Any], endpoint: Any, asker: Asker, sandbox: Sandbox
) -> None:
    sandbox.fail_next(**trouble, times=2, on=endpoint)
    assert len(asker.ask()) == 1
    assert sandbox.count(endpoint) == 3
    assert len(asker.waits) == 2
    assert all(0 < wait <= 11 for wait in asker.waits)


@pytest.mark.parametrize(
    ("trouble", "error", "words"),
    [
        ({"status": 503}, AngusUnavailableError, "was answered 503: "),
        ({"status": 429}, AngusUnavailableError, "was answered 429: "),
        ({"status": 0}, AngusUnavailableError, "got no answer: "),
        ({"status": 200, "cut": True}, AngusResponseError, "the answer broke off: "),
    ],
)
def test_trouble_that_stays_is_the_callers_after_four_attempts(
    trouble: dict[str, Any], error: type[AngusError], words: str, asker: Asker, sandbox: Sandbox
) -> None:
    sandbox.fail_next(**trouble, times=10, on="entities")
    message = asker.fail(error)
    assert message.startswith(f"GET {sandbox.url}/api/1/entities")
    assert words in message
    assert (sandbox.count("entities"), len(asker.waits)) == (ATTEMPTS, 3) == (4, 3)


@pytest.mark.parametrize(("value", "wait"), [("0", 0), ("7", 7), ("60", 60), ("61", 60), ("9" * 40, 60)])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for_but_no_longer_than_a_minute(
    status: int, value: str, wait: float, asker: Asker, sandbox: Sandbox
) -> None:
    sandbox.fail_next(status, on="entities", headers={"Retry-After": value})
    asker.ask()
    assert asker.waits == [wait]


def test_retry_after_may_be_a_date(asker: Asker, sandbox: Sandbox) -> None:
    for ahead in (timedelta(seconds=40), timedelta(days=400), timedelta(days=-1)):
        date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        sandbox.fail_next(503, on="entities", headers={"Retry-After": date})
        asker.ask()
    assert 0 < asker.waits[0] <= 40
    assert asker.waits[1:] == [60, 0]


@pytest.mark.parametrize("value", ["-5", "soon", "", f"Wed, 21 Oct 2015 07:28:00 +{'9' * 20}"])
def test_a_retry_after_that_says_nothing_is_like_none(value: str, asker: Asker, sandbox: Sandbox) -> None:
    sandbox.fail_next(503, on="entities", headers={"Retry-After": value})
    assert len(asker.ask()) == 1
    assert 0 < asker.waits[0] <= 1


@pytest.mark.parametrize("endpoint", ["token", "entities"])
def test_a_body_that_drips_ends_at_the_timeout(endpoint: Any, sandbox: Sandbox) -> None:
    sandbox.fail_next(200, drip=0.05, times=4, on=endpoint)
    asker = Asker(settings_of(sandbox, timeout=0.2))
    assert "was not answered within 0.2 s" in asker.fail(AngusUnavailableError)
    assert sandbox.count(endpoint) == 4


def test_an_answer_that_does_not_come_ends_at_the_timeout() -> None:
    with Sandbox(latency=60) as sandbox:
        message = Asker(settings_of(sandbox, timeout=0.1)).fail(AngusUnavailableError)
        assert message == f"POST {sandbox.url}/api-token-authstream/ was not answered within 0.1 s."


def test_a_host_that_is_not_there_is_an_unavailable_error_that_says_why(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox)
    sandbox.close()
    assert "Connection refused" in Asker(settings).fail(AngusUnavailableError)


# Answers that are not what the API documents


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<html>Log in</html>", "not JSON"),
        ("[]", "not an object"),
        ("null", "with null, not an object"),
        ('{"a": NaN}', "NaN is no JSON number"),
        (b"\xff\xfe\xfd", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ({"entities": {}}, "total_results is null"),
    ],
)
def test_a_200_that_is_not_a_page_is_a_response_error_and_is_not_tried_again(
    body: Any, words: str, asker: Asker, sandbox: Sandbox
) -> None:
    sandbox.fail_next(200, on="entities", body=body)
    assert words in asker.fail(AngusResponseError)
    assert sandbox.count("entities") == 1


def test_a_second_page_that_does_not_go_with_the_first_is_a_response_error() -> None:
    with Sandbox(page_size=1) as sandbox:
        sandbox.change_next(dict, on="entities")
        sandbox.change_next(lambda page: page | {"total_results": 9}, on="entities")
        assert "total_results was 2 before and is 9 now" in Asker(settings_of(sandbox)).fail(AngusResponseError)


# Where the secrets go


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize("status", [200, 400, 401, 404, 503])
@pytest.mark.parametrize("form", ["{}", '{{"message": "{}"}}', '["{}"]', '{{"time": "{}", "entities": {{}}}}'])
def test_a_server_that_echoes_a_secret_does_not_bring_it_into_an_error(
    form: str, status: int, endpoint: Any, asker: Asker, sandbox: Sandbox
) -> None:
    asker.ask()
    secret = asker.settings.credentials.access_token if endpoint == "token" else asker.tokens[0]
    asker.now += 18_000 if endpoint == "token" else 0
    sandbox.fail_next(status, on=endpoint, body=form.format(secret), times=ATTEMPTS)
    asker.fail(AngusError)


@pytest.mark.parametrize("escaped", ["{0}\\u00{1:02x}{2}", "{0}\\u00{1:02X}{2}"])
def test_a_secret_that_json_writes_in_another_way_is_hidden_too(escaped: str, asker: Asker, sandbox: Sandbox) -> None:
    asker.ask()
    token = asker.tokens[0]
    body = f'{{"message": "You sent {escaped.format(token[:-1], ord(token[-1]), "")}"}}'
    sandbox.fail_next(404, on="entities", body=body)
    assert "You sent ***" in asker.fail(AngusResponseError)


@pytest.mark.parametrize(
    "raw",
    [
        "SSH {}\r\n\r\n",
        "HTTP/1.1 200 {}\r\nContent-Length: 9\r\n\r\n{{}}",
        "HTTP/1.1 200 OK\r\nContent-Encoding: {}\r\n\r\n",
    ],
)
def test_what_is_hardly_http_shows_no_secret_either(raw: str, sandbox: Sandbox) -> None:
    secret = sandbox.connection()["password"]
    with serving(raw.format(secret).encode()) as (_, url):
        Asker(settings_of(sandbox, console_url=url)).fail(AngusError)


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize("location", ["http://[bad", "http://\xff\xfe", "/elsewhere", "{elsewhere}/steal"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(
    status: int, location: str, endpoint: Any, asker: Asker, sandbox: Sandbox
) -> None:
    with Sandbox() as elsewhere:
        headers = {"Location": location.format(elsewhere=elsewhere.url)}
        sandbox.fail_next(status, on=endpoint, body="Moved!", headers=headers)
        message = asker.fail(AngusResponseError)
        assert f"was answered {status} to {headers['Location']}: Moved!" in message
        assert (sandbox.count(endpoint), elsewhere.count()) == (1, 0)


def test_a_next_page_that_points_elsewhere_is_never_followed() -> None:
    with Sandbox() as elsewhere, Sandbox(page_size=1) as sandbox:
        sandbox.change_next(lambda page: page | {"next_page": f"{elsewhere.url}/api/1/entities?page=2"}, on="entities")
        assert len(Asker(settings_of(sandbox)).ask()) == 1
        assert (sandbox.count("entities"), elsewhere.count()) == (2, 0)


def test_a_netrc_entry_does_not_take_the_place_of_the_token(
    asker: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert len(asker.ask()) == 1


def test_the_connections_proxy_is_used_whatever_the_environment_says(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    settings = settings_of(sandbox, proxy=sandbox.url, console_url="http://console.invalid")
    assert "was answered 404" in Asker(settings).fail(AngusResponseError)
    assert [call.path for call in sandbox.calls] == ["http://console.invalid/api-token-authstream/"]


def test_a_proxy_that_echoes_its_password_does_not_bring_it_into_an_error(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox, proxy=sandbox.url.replace("//", "//me:p%2Fassword@"))
    sandbox.fail_next(407, body=f"Not p/assword, {base64.b64encode(b'me:p/assword').decode()}!")
    message = Asker(settings).fail(AngusResponseError)
    assert "was answered 407: Not ***, bWU6***!" in message


def test_the_environments_proxy_is_used_where_the_connection_has_none(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", sandbox.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    Asker(settings_of(sandbox, console_url="http://console.invalid")).fail(AngusResponseError)
    assert [call.path for call in sandbox.calls] == ["http://console.invalid/api-token-authstream/"]


@pytest.mark.parametrize(
    "changes",
    [
        {"console_url": "https://console..example"},
        {"console_url": f"https://{'a' * 64}.example"},
        {"proxy": "http://[proxy"},
        {"proxy": "ftp://127.0.0.1"},
        {"proxy": "gopher9://127.0.0.1"},
        {"console_url": "https://127.0.0.1:1", "verify": "/not/there.pem"},
    ],
)
def test_a_request_that_cannot_be_sent_is_an_auth_error_and_is_not_tried_again(
    changes: dict[str, Any], sandbox: Sandbox
) -> None:
    asker = Asker(settings_of(sandbox, **changes))
    assert "cannot be sent, check the connection's " in asker.fail(AngusAuthError)
    assert (asker.waits, sandbox.count()) == ([], 0)


# What no API would send: a server of a few lines


class Server(ThreadingHTTPServer):
    """Answers every request with the same bytes, or with a token and an empty page, and counts its connections.

    ``before`` is called when a request has come.
    """

    daemon_threads = True
    raw = b""
    connections = 0
    before: Callable[[], object] = staticmethod(bool)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent where a client hangs up."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.before()
        body = json.dumps({"token": "T", "entities": {}, "total_results": 0, "nb_of_pages": 0}).encode()
        self.wfile.write(self.server.raw or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        self.close_connection = bool(self.server.raw)

    do_GET = do_POST = handle_any  # noqa: N815 (the base class's names)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serving(raw: bytes = b"", certificate: Path | None = None) -> Iterator[tuple[Server, str]]:
    server = Server(("127.0.0.1", 0), Handler)
    server.raw = raw
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield server, f"http{'s' * bool(certificate)}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_calls_that_follow_each_other_use_one_connection(sandbox: Sandbox) -> None:
    with serving() as (server, url):
        asker = Asker(settings_of(sandbox, console_url=url, data_url=url))
        with asker.client:
            assert [asker.ask() for _ in range(5)] == [[]] * 5
        assert server.connections == 1


def test_a_chunked_answer_ends_when_all_of_it_has_come(sandbox: Sandbox) -> None:
    more, enough = threading.Event(), threading.Event()

    def answer_in_two_parts(listener: socket.socket) -> None:
        connection = listener.accept()[0]
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n96\r\n" + b"x" * 100)
            more.wait(30)
            connection.sendall(b"x" * 50 + b"\r\n0\r\n\r\n")
            # Kept alive.
            enough.wait(30)

    session = Session()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer_in_two_parts, args=(listener,))
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with session.ask(Request("GET", url), {}, settings_of(sandbox, timeout=5)) as answer:
                assert answer.raw.read1(1 << 16, decode_content=False) == b"x" * 100
                more.set()
                assert answer.raw.read1(1 << 16, decode_content=False) == b"x" * 50
                assert answer.raw.read1(1 << 16, decode_content=False) == b""
        finally:
            more.set()
            enough.set()
            server.join()
    session.close()


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"nonsense\r\n\r\n", AngusUnavailableError),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n", AngusUnavailableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", AngusResponseError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n99\r\n{}", AngusResponseError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", AngusResponseError),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            AngusResponseError,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n{", AngusResponseError),
        (b"HTTP/1.1 204 No Content\r\n\r\n", AngusResponseError),
    ],
)
def test_what_is_hardly_http_is_an_error_of_ours(raw: bytes, error: type[AngusError], sandbox: Sandbox) -> None:
    with serving(raw) as (_, url):
        assert f"POST {url}/api-token-authstream/" in Asker(settings_of(sandbox, console_url=url)).fail(error)


@pytest.mark.filterwarnings("ignore:Unverified")
@pytest.mark.parametrize("environment", ["", "/not/there.pem"])
@pytest.mark.parametrize("verify", [False, "the certificate"])
def test_the_connections_verify_is_used_whatever_the_environment_says(
    verify: Any, environment: str, certificate: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", environment)
    with serving(certificate=certificate) as (_, url):
        verify = verify and str(certificate)
        assert Asker(settings_of(sandbox, console_url=url, data_url=url, verify=verify)).ask() == []


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path, sandbox: Sandbox) -> None:
    with serving(certificate=certificate) as (_, url):
        message = Asker(settings_of(sandbox, console_url=url, verify=True)).fail(AngusUnavailableError)
        assert "CERTIFICATE_VERIFY_FAILED" in message


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("raw", [b"\x1b[31mred\r\rAll is well\r\n\r\n", b"X" * 5000 + b"\r\n\r\n"])
def test_what_is_hardly_http_brings_no_control_characters_into_a_log_and_not_much(raw: bytes, sandbox: Sandbox) -> None:
    def ask_from_a_loop(settings: Settings) -> object:
        return asyncio.run(AngusAsyncClient(settings).get_entities("passing_by", DAY, "by_day"))

    for ask in (lambda settings: Asker(settings).ask(), ask_from_a_loop):
        TOKENS.clear()
        with serving(raw) as (_, url), pytest.raises(AngusError) as raised:
            ask(settings_of(sandbox, console_url=url))
        assert len(str(raised.value)) < 600
        told = "".join(traceback.format_exception(raised.value))
        assert {char for char in told if not char.isprintable()} == {"\n"}
        assert "X" * 1000 not in told


def test_a_read_over_tls_ends_at_once_when_another_thread_closes_the_client(
    certificate: Path, sandbox: Sandbox
) -> None:
    with serving(certificate=certificate) as (server, url):
        told, release, answered = threading.Event(), threading.Event(), threading.Event()
        server.before = lambda: told.set() or release.wait(60) or answered.set()
        settings = settings_of(sandbox, console_url=url, data_url=url, verify=str(certificate), timeout=600)
        client = AngusClient(settings, tokens=TokenCache())
        closer = threading.Thread(target=lambda: told.wait(30) and client.close())
        closer.start()
        try:
            with pytest.raises(AngusError, match="Given up"):
                list(client.read(client.pages("passing_by", DAY, "global")))
            assert not answered.is_set()
        finally:
            release.set()
            closer.join()


def test_what_is_sent_over_tls_after_it_was_broken_off_would_still_be_encrypted(
    certificate: Path, sandbox: Sandbox
) -> None:
    session = Session()
    with serving(certificate=certificate) as (_, url):
        settings = settings_of(sandbox, data_url=url, verify=str(certificate))
        with session.ask(Request("GET", f"{url}/api/1/entities"), {}, settings) as answer:
            connected = answer.raw.connection.sock
            session.break_off()
            # A socket of TLS that is shut down in its own way knows no version any more, and sends as it is.
            assert connected.version() == "TLSv1.3"
            with pytest.raises(OSError, match="Broken pipe|EOF occurred"):
                connected.sendall(b"x")
    session.close()
