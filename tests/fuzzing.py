"""Whole answers as a fuzzer makes them: a true page, changed; and what must come of them, with both drivers."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st

from airflow_provider_angus.async_client import AngusAsyncClient
from airflow_provider_angus.client import AngusClient
from airflow_provider_angus.connection import Settings
from airflow_provider_angus.exceptions import AngusError
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.protocol import Credentials

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from airflow_provider_angus.entities import Row

START = datetime(2017, 9, 3, tzinfo=UTC)
DAYS = Interval(START, START + timedelta(days=4))
METRICS = ["passing_by", "stop_time", "gender", "satisfaction"]


def true_pages() -> dict[int, dict[str, Any]]:
    """Return two pages of two days each, as the API sends them."""
    return {
        number: {
            "entities": {
                (START + timedelta(days=2 * number - 2 + day)).isoformat(): {
                    "passing_by": {"value": 7},
                    "stop_time": {"value": 4.2},
                    "gender": {"?": 0, "female": 3, "male": 4},
                }
                for day in range(2)
            },
            "time": "by_day",
            "from_date": DAYS.start.isoformat(),
            "to_date": DAYS.end.isoformat(),
            "total_results": 4,
            "nb_of_pages": 2,
            "page": number,
            "next_page": "" if number == 2 else "/api/1/entities?page=2",
        }
        for number in (1, 2)
    }


NAMES = st.sampled_from(
    ["entities", "page", "value", "?", "female", "global", "2017-09-05T00:00:00Z", "2017-09-09T00:00:00+00:00", "code"]
) | st.text(max_size=8)
NUMBERS = st.integers(-3, 9) | st.integers() | st.floats() | st.sampled_from([10**400, -0.0, 1e308])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
STATUSES = st.sampled_from([200] * 12 + [201, 204, 301, 400, 401, 403, 404, 408, 429, 500, 503])
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Encoding", "Content-Type", "Location", "Retry-After", "X-Any"]),
    st.sampled_from(["gzip", "identity", "br", "text/html", "/elsewhere", "0", "-1", "never", ""]),
    max_size=1,
)


@st.composite
def answers(draw: DrawFn) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer: a true page with some changes, first in its JSON, then in bytes."""
    page = true_pages()[draw(st.sampled_from([1, 2]))]
    for _ in range(draw(st.integers(0, 3))):
        change(draw, page)
    body = json.dumps(page).encode(errors="surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        start = draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.binary(max_size=6)) + body[start + draw(st.integers(0, 9)) :]
    return draw(STATUSES), draw(HEADERS), body


def change(draw: DrawFn, page: dict[str, Any]) -> None:
    """Put something else somewhere into a page, take something away, or add something."""
    place: Any = page
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    what = draw(st.sampled_from(["put", "drop", "add"]))
    if what == "drop":
        del place[key]
    elif what == "add" and isinstance(place, dict):
        place[draw(NAMES)] = draw(VALUES)
    else:
        place[key] = draw(VALUES)


class Parrot:
    """A server that gives a token to anybody, and for each page what it has been told to say.

    True pages where it has been told nothing; both clients ask it over connections that are kept.
    """

    def __init__(self) -> None:
        self.says: dict[int, tuple[int, dict[str, str], bytes]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._settings = Settings(Credentials("me", "shop", "access-token"), url, url, timeout=20)
        self._client = AngusClient(self._settings, sleep=lambda _: None)
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._loop.close()
        self._server.shutdown()
        self._server.server_close()

    def ask(self) -> list[Row] | AngusError:
        """Ask from a worker; return the rows, or the error of our tree."""
        try:
            pages = self._client.pages(METRICS, DAYS, "by_day")
            return [row for page in self._client.read(pages) for row in page]
        except AngusError as error:
            return error

    def ask_from_a_loop(self) -> list[Row] | AngusError:
        """Ask from an event loop, the same."""
        client = AngusAsyncClient(self._settings)
        try:
            return self._loop.run_until_complete(client.get_entities(METRICS, DAYS, "by_day"))
        except AngusError as error:
            return error

    def check(self, first: Any, second: Any) -> str:
        """Let both drivers meet two answers, hold what comes of it against the rule, and name it."""
        self.says = {number: says for number, says in ((1, first), (2, second)) if says}
        worker, triggerer = self.ask(), self.ask_from_a_loop()
        if isinstance(worker, AngusError):
            assert type(triggerer) is type(worker)
            assert str(triggerer) == str(worker)
            assert len(str(worker)) < 1500
            assert str(worker).isprintable()
            return type(worker).__name__
        assert worker == triggerer
        starts = [row["bucket_start"] for row in worker]
        assert len(set(starts)) == len(starts)
        assert all(DAYS.start.isoformat() <= start < DAYS.end.isoformat() for start in starts)
        assert all(row["passing_by"] is None or row["passing_by"] >= 0 for row in worker)
        json.dumps(worker, allow_nan=False)
        return "rows"


def _handler(parrot: Parrot) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 2**16

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(200, {}, b'{"token": "abc.def.ghijklmnop"}')

        def do_GET(self) -> None:
            page = int(parse_qs(urlsplit(self.path).query)["page"][0])
            true = true_pages().get(page)
            self.say(*parrot.says.get(page, (200, {}, json.dumps(true).encode())))

        def say(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    return Handler
