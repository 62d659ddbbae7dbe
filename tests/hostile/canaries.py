"""Secrets that can be found again wherever they come to, and a server that does all it can to spread them."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from secret_search import writings

from airflow_provider_angus.sandbox import Clock
from airflow_provider_angus.sandbox.api import TOKEN_PATH, Api, Request
from airflow_provider_angus.sandbox.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Begins the stream's access token, the password of the proxy, and the signature of each JWT. What is written
#: otherwise in a URL, in JSON and in HTML is among it.
ACCESS_TOKEN = 'canary-7c/1+f&"access=token'
PROXY_PASSWORD = 'canary-9b/2+e&"proxy=password'
SIGNATURE = "canary-5d_3-jwt-signature"

USERNAME = "canary@angus.example"
CLIENT_ID = "canary-stream"

#: A day that is asked for, and an instant at which its last hours are not there yet.
DAYS = {"from_date": "2024-11-20", "to_date": "2024-11-21"}
EVENING = datetime(2024, 11, 20, 20, tzinfo=UTC)


#: What must not be found, and whose it is.
NEEDLES = {
    writing.encode(): name
    for name, secret in (("access token", ACCESS_TOKEN), ("proxy password", PROXY_PASSWORD), ("JWT", SIGNATURE))
    for writing in writings(secret)
}


class Search:
    """What has been searched for canaries: how many bytes, and where some were."""

    def __init__(self) -> None:
        self.size = 0
        self.found: Counter[str] = Counter()
        self.filled_tables: set[str] = set()

    def text(self, where: str, what: object) -> Self:
        """Search a text, or bytes."""
        raw = what if isinstance(what, bytes) else str(what).encode(errors="surrogatepass")
        self.size += len(raw)
        for needle, name in NEEDLES.items():
            if times := raw.count(needle):
                at = raw.index(needle)
                print(f"{name} in {where}: {raw[max(at - 300, 0) : at + 120]!r}")
                self.found[f"{name} in {where}"] += times
        return self

    def folder(self, folder: Path) -> Self:
        """Search all files in a folder, and all values in those that are SQLite databases."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                raw = path.read_bytes()
                self.text(str(path.relative_to(folder)), raw)
                if raw.startswith(b"SQLite format 3"):
                    self._database(path)
        return self

    def _database(self, path: Path) -> None:
        """Search each value by itself: in the file a long one lies in pieces."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 (its own name)
                    self.filled_tables.add(table)
                    for value in row:
                        if isinstance(value, str | bytes):
                            self.text(f"table {table}", value)


class _CanaryTokens(Tokens):
    """Tokens as the sandbox makes them, each with the canary in its signature."""

    def _signature(self, signed: str) -> str:
        return SIGNATURE + super()._signature(signed)


class Echo:
    """A console, data API and proxy that say back what they were told: what each does is in the connection's URL.

    With ``later_`` before it, only a triggerer is treated so; workers are told that the data is not there yet, and
    after the triggerer's first request that it is.
    """

    def __init__(self) -> None:
        tokens = _CanaryTokens(USERNAME, 18_000)
        streams = {CLIENT_ID: ACCESS_TOKEN}
        before = Clock()
        before.set(EVENING)
        self.api = Api(USERNAME, streams, tokens, Clock(), 10, timedelta(minutes=1))
        self.api_before = Api(USERNAME, streams, tokens, before, 10, timedelta(minutes=1))
        self.asked: Counter[str] = Counter()
        self.triggered: set[str] = set()
        self.stopping = Event()
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def connection_json(self, behaviour: str) -> str:
        """Return an Airflow connection to it: one of :data:`BEHAVIOURS`, with ``later_`` before it or not."""
        url = f"http://127.0.0.1:{self.port}/{behaviour}"
        extra: dict[str, Any] = {"client_id": CLIENT_ID, "console_url": url, "timeout": 0.5}
        name = behaviour.removeprefix("later_")
        if name.startswith("proxy"):
            extra["proxy"] = f"http://canary:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{self.port}"
        if name == "proxy_refuses_a_tunnel":
            # Nothing is there, and nobody gets so far.
            extra["console_url"] = url = "https://127.0.0.1:9"
        return json.dumps(
            {"conn_type": "angus", "login": USERNAME, "password": ACCESS_TOKEN, "host": url, "extra": extra}
        )


class Told:
    """What a request told the server, and how the server says it back."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        given = [handler.headers.get("Authorization", ""), handler.headers.get("Proxy-Authorization", "")]
        self.jwt = given[0].removeprefix("Bearer ")
        if body:
            given.append(json.loads(body)["access_token"])
        self.secrets = [text for text in given if text]
        if given[1]:
            self.secrets += base64.b64decode(given[1].removeprefix("Basic ")).decode().split(":")
        #: As it came, as a URL would have it, as base64.
        self.echo = " ".join(
            f"You sent {text}, {quote(text, safe='')}, {base64.b64encode(text.encode()).decode()}"
            for text in self.secrets
        )
        self.page = f"<html><body>Sorry. {self.echo} {html.escape(self.echo)} {body.decode()}</body></html>"
        self.query = quote_plus(" ".join(self.secrets))


#: Status, body (a text as HTML), and headers; None: the true answer.
Reply = tuple[int, Any, dict[str, str]]


def _moved(told: Told, _: Any) -> Reply:
    return 302, told.page, {"Location": f"https://elsewhere.example/?from={told.query}&echo={told.jwt}"}


def _entities(change: Callable[[dict[str, Any], str], object]) -> Callable[[Told, Any], Reply]:
    def changed(told: Told, true: Any) -> Reply:
        change(true, told.echo)
        return 200, true, {}

    return changed


#: What the server does, by the endpoint at which it does so; everywhere else its answers are true.
BEHAVIOURS: dict[str, tuple[str, Callable[[Told, Any], Reply | None]]] = {
    "well": ("entities", lambda _told, true: (200, true, {})),
    "token_is_refused": ("token", lambda told, _: (400, {"non_field_errors": [told.echo]}, {})),
    "token_is_refused_in_html": ("token", lambda told, _: (403, told.page, {})),
    "token_meets_503": ("token", lambda told, _: (503, told.page, {"Retry-After": "0"})),
    "token_is_no_json": ("token", lambda told, true: (200, f'{{"token": "{true["token"]}", {told.echo}', {})),
    "token_is_a_list": ("token", lambda _, true: (200, {"token": [true["token"]]}, {})),
    "token_has_a_blank": ("token", lambda _, true: (200, {"token": true["token"] + " x"}, {})),
    "token_is_elsewhere": ("token", _moved),
    "jwt_meets_401": ("entities", lambda told, _: (401, {"code": "invalid_jwt", "message": told.echo}, {})),
    "jwt_meets_403": ("entities", lambda told, _: (403, {"code": "forbidden", "message": told.echo}, {})),
    "jwt_meets_400": ("entities", lambda told, _: (400, {"code": "invalid_date", "message": told.echo}, {})),
    "jwt_meets_418": ("entities", lambda told, _: (418, told.page, {})),
    "jwt_meets_500": ("entities", lambda told, _: (500, told.page, {"Retry-After": "0"})),
    "jwt_is_in_no_json": ("entities", lambda told, _: (200, f'{{"entities": {{"{told.echo}', {})),
    "jwt_is_a_bucket": ("entities", _entities(lambda true, echo: true["entities"].update({echo: {}}))),
    "jwt_is_the_time": ("entities", _entities(lambda true, echo: true.update(time=echo))),
    "jwt_is_the_count": ("entities", _entities(lambda true, echo: true.update(total_results=echo))),
    "jwt_is_a_value": (
        "entities",
        _entities(lambda true, echo: [each["passing_by"].update(value=echo) for each in true["entities"].values()]),
    ),
    "jwt_is_news": (
        "entities",
        _entities(lambda true, echo: [each["passing_by"].update(note=echo) for each in true["entities"].values()]),
    ),
    "jwt_is_elsewhere": ("entities", _moved),
    "jwt_is_cut_off": ("entities", lambda told, _: (200, told.page, {"Content-Length": "100000"})),
    "jwt_meets_silence": ("entities", lambda _told, _true: None),
    "proxy_does_well": ("entities", lambda _told, true: (200, true, {})),
    "proxy_refuses": ("token", lambda told, _: (407, told.page, {"Proxy-Authenticate": f"Basic {told.query}"})),
    "proxy_meets_502": ("token", lambda told, _: (502, told.page, {"Retry-After": "0"})),
    "proxy_refuses_a_tunnel": ("token", lambda _told, true: (200, true, {})),
}

#: With these a task ends well.
HARMLESS = {"well", "proxy_does_well", "jwt_is_news"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, owner: Echo) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who goes away is not the test's business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        _, behaviour, path = parts.path.split("/", 2)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = Told(self, body)
        asked = Request(self.command, f"/{path}", dict(parse_qsl(parts.query)), self.headers.get("Authorization"), body)
        self.server.owner.asked[behaviour] += 1
        api = self.server.owner.api
        if behaviour.startswith("later_") and "httpx" not in self.headers["User-Agent"]:
            api = api if behaviour in self.server.owner.triggered else self.server.owner.api_before
            behaviour = "well"
        elif behaviour.startswith("later_"):
            self.server.owner.triggered.add(behaviour)
        endpoint, reply = BEHAVIOURS[behaviour.removeprefix("later_")]
        answer = api.answer(asked)
        true = json.loads(answer.body)
        if answer.status == 200 and endpoint == ("token" if asked.path == TOKEN_PATH else "entities"):
            self._send(told, reply(told, true))
        else:
            self._send(told, (answer.status, true, {}))

    do_GET = do_POST = _handle  # noqa: N815 (the base class's names)

    def do_CONNECT(self) -> None:
        told = Told(self, b"")
        self.close_connection = True
        self.send_response(407, f"No. {told.echo}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, told: Told, reply: Reply | None) -> None:
        if reply is None:
            self.server.owner.stopping.wait(3)
            self.close_connection = True
            return
        status, said, headers = reply
        body = (said if isinstance(said, str) else json.dumps(said)).encode()
        kind = "text/html" if isinstance(said, str) else "application/json"
        self.send_response(status)
        # As a cookie would, these say it in plain text on each answer.
        given = {"Content-Length": str(len(body)), "Content-Type": kind} | headers
        for name, value in given.items():
            self.send_header(name, value)
        for secret in told.secrets:
            self.send_header("X-Echo", secret)
        self.end_headers()
        self.wfile.write(body)
        if "Content-Length" in headers:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def connections(echo: Echo, names: Iterator[str] | list[str]) -> dict[str, str]:
    """Return environment variables with an Airflow connection of the same name for each behaviour."""
    return {f"AIRFLOW_CONN_{name.upper()}": echo.connection_json(name) for name in names}
