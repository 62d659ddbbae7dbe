"""A console, data API and proxy that echo the secrets of each request, to search what the provider writes for them."""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from http_servers import HttpServer
from secret_search import SecretSearch

from airflow_provider_angus.sandbox import Clock, Incoming
from airflow_provider_angus.sandbox.api import Api
from airflow_provider_angus.sandbox.tokens import TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from http_servers import Exchange

USERNAME = "canary@angus.example"
STREAM = "canary-stream"

#: The stream's access token. Percent-encoding, JSON and HTML escape some of its characters.
ACCESS_TOKEN = 'canary-7c/1+f&"access=token'

#: The proxy's password. Percent-encoding, JSON and HTML escape some of its characters.
PROXY_PASSWORD = 'canary-9b/2+e&"proxy=password'

#: The start of each JWT's signature.
SIGNATURE = "canary-5d_3-jwt-signature"

SECRETS = {"access token": ACCESS_TOKEN, "proxy password": PROXY_PASSWORD, "JWT": SIGNATURE}

#: The interval of all queries, and a time at which its last buckets are missing.
DAY = {"from_date": "2024-11-20", "to_date": "2024-11-21"}
EVENING = datetime(2024, 11, 20, 20, tzinfo=UTC)

#: The prefix of behaviours that apply to the triggerer only.
TRIGGERER = "triggerer_"

_OK = 200
_TIMEOUT = 0.5


def search_secrets() -> SecretSearch:
    """Return a search for the secrets of the echo server."""
    return SecretSearch(SECRETS)


class Echo:
    """The secrets of a request, and texts that contain them.

    :param exchange: the request.
    """

    def __init__(self, exchange: Exchange) -> None:
        headers = [exchange.headers.get(name, "") for name in ("Authorization", "Proxy-Authorization")]
        self.token = headers[0].removeprefix("Bearer ")
        self.secrets = [text for text in headers if text]
        if exchange.body:
            self.secrets.append(json.loads(exchange.body)["access_token"])
        if headers[1]:
            self.secrets += base64.b64decode(headers[1].removeprefix("Basic ")).decode().split(":")
        #: The secrets, plain and percent-encoded.
        self.text = " ".join(f"You sent {secret}, {quote(secret, safe='')}" for secret in self.secrets)
        self.html = f"<html><body>Sorry. {self.text} {exchange.body.decode()}</body></html>"
        self.query = quote_plus(" ".join(self.secrets))


#: Status, body (text is HTML, other values become JSON) and headers; None: no response.
Reply = tuple[int, Any, dict[str, str]] | None
Behaviour = tuple[str, "Callable[[Echo, Any], Reply]"]


def _redirect(echo: Echo, _: Any) -> Reply:
    return 302, echo.html, {"Location": f"https://elsewhere.example/?from={echo.query}&echo={echo.token}"}


def _correct_response(_: Echo, body: Any) -> Reply:
    return 200, body, {}


def _changed_page(change: Callable[[dict[str, Any], str], object]) -> Callable[[Echo, Any], Reply]:
    def reply(echo: Echo, body: Any) -> Reply:
        change(body, echo.text)
        return 200, body, {}

    return reply


def _metric_key(key: str) -> Callable[[dict[str, Any], str], object]:
    return lambda page, echo: [bucket["passing_by"].update({key: echo}) for bucket in page["entities"].values()]


#: By name: the endpoint, and the reply to a request that the API accepts. Other responses are the API's own.
BEHAVIOURS: dict[str, Behaviour] = {
    "correct_response": ("entities", _correct_response),
    "credentials_refused": ("token", lambda echo, _: (400, {"non_field_errors": [echo.text]}, {})),
    "credentials_refused_in_html": ("token", lambda echo, _: (403, echo.html, {})),
    "token_status_503": ("token", lambda echo, _: (503, echo.html, {"Retry-After": "0"})),
    "token_invalid_json": ("token", lambda echo, body: (200, f'{{"token": "{body["token"]}", {echo.text}', {})),
    "token_in_list": ("token", lambda _, body: (200, {"token": [body["token"]]}, {})),
    "token_with_space": ("token", lambda _, body: (200, {"token": body["token"] + " x"}, {})),
    "token_redirect": ("token", _redirect),
    "entities_status_401": ("entities", lambda echo, _: (401, {"code": "invalid_jwt", "message": echo.text}, {})),
    "entities_status_403": ("entities", lambda echo, _: (403, {"code": "forbidden", "message": echo.text}, {})),
    "entities_status_400": ("entities", lambda echo, _: (400, {"code": "invalid_date", "message": echo.text}, {})),
    "entities_status_418": ("entities", lambda echo, _: (418, echo.html, {})),
    "entities_status_500": ("entities", lambda echo, _: (500, echo.html, {"Retry-After": "0"})),
    "entities_invalid_json": ("entities", lambda echo, _: (200, f'{{"entities": {{"{echo.text}', {})),
    "echo_as_bucket": ("entities", _changed_page(lambda page, echo: page["entities"].update({echo: {}}))),
    "echo_as_time": ("entities", _changed_page(lambda page, echo: page.update(time=echo))),
    "echo_as_total": ("entities", _changed_page(lambda page, echo: page.update(total_results=echo))),
    "echo_as_value": ("entities", _changed_page(_metric_key("value"))),
    "echo_as_undocumented_value": ("entities", _changed_page(_metric_key("note"))),
    "entities_redirect": ("entities", _redirect),
    "entities_truncated": ("entities", lambda echo, _: (200, echo.html, {"Content-Length": "100000"})),
    "entities_no_response": ("entities", lambda _echo, _body: None),
    "proxy_correct_response": ("entities", _correct_response),
    "proxy_status_407": ("token", lambda echo, _: (407, echo.html, {"Proxy-Authenticate": f"Basic {echo.query}"})),
    "proxy_status_502": ("token", lambda echo, _: (502, echo.html, {"Retry-After": "0"})),
    "proxy_refuses_tunnel": ("token", _correct_response),
}

#: Behaviours with which a task succeeds.
SUCCESSFUL = {"correct_response", "proxy_correct_response"}


class _CanaryTokens(TokenIssuer):
    """Issues tokens whose signatures start with :data:`SIGNATURE`."""

    def issue(self, client_id: str) -> str:
        head, _, signature = super().issue(client_id).rpartition(".")
        return f"{head}.{SIGNATURE}{signature}"

    def verify(self, authorization: str | None) -> str:
        return super().verify((authorization or "").replace(SIGNATURE, ""))


class EchoServer(HttpServer):
    """The first segment of a URL's path selects one of :data:`BEHAVIOURS`.

    With the prefix :data:`TRIGGERER`, workers get correct responses: without the last buckets until the triggerer's
    first request, then with all buckets.
    """

    def __init__(self) -> None:
        tokens, streams, evening = _CanaryTokens(USERNAME, 18_000), {STREAM: ACCESS_TOKEN}, Clock()
        evening.set(EVENING)
        self._api, self._evening_api = (
            Api(USERNAME, streams, tokens, clock, 10, timedelta(minutes=1)) for clock in (Clock(), evening)
        )
        #: The number of requests by behaviour.
        self.counts: Counter[str] = Counter()
        self._met_by_triggerer: set[str] = set()
        super().__init__(self._respond)

    def environment(self, behaviours: Iterable[str]) -> dict[str, str]:
        """Return environment variables with a connection for each behaviour. Its ID is the behaviour's name."""
        return {f"AIRFLOW_CONN_{name.upper()}": self._connection_json(name) for name in behaviours}

    def _connection_json(self, name: str) -> str:
        url = f"{self.url}/{name}"
        extra: dict[str, Any] = {"client_id": STREAM, "console_url": url, "timeout": _TIMEOUT}
        behaviour = name.removeprefix(TRIGGERER)
        if behaviour.startswith("proxy"):
            extra["proxy"] = f"http://canary:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{self.port}"
        if behaviour == "proxy_refuses_tunnel":
            # No server listens on this port. The proxy refuses earlier.
            extra["console_url"] = url = "https://127.0.0.1:9"
        return json.dumps(
            {"conn_type": "angus", "login": USERNAME, "password": ACCESS_TOKEN, "host": url, "extra": extra}
        )

    def _respond(self, exchange: Exchange) -> None:
        echo = Echo(exchange)
        if exchange.method == "CONNECT":
            exchange.close()
            exchange.raw(f"HTTP/1.1 407 No. {echo.text}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        # The target of a proxy request is a complete URL.
        _, name, path = urlsplit(exchange.target).path.split("/", 2)
        self.counts[name] += 1
        behaviour, api = name, self._api
        if name.startswith(TRIGGERER):
            if "httpx" in exchange.headers["User-Agent"]:
                behaviour = name.removeprefix(TRIGGERER)
                self._met_by_triggerer.add(name)
            else:
                behaviour = "correct_response"
                api = self._api if name in self._met_by_triggerer else self._evening_api
        headers = {header.title(): value for header, value in exchange.headers.items()}
        incoming = Incoming(exchange.method, f"/{path}", exchange.query, headers, exchange.body)
        response = api.respond(incoming)
        body = json.loads(response.body)
        endpoint, reply = BEHAVIOURS[behaviour]
        if response.status == _OK and endpoint == incoming.endpoint:
            self._send(exchange, echo, reply(echo, body))
        else:
            self._send(exchange, echo, (response.status, body, {}))

    @staticmethod
    def _send(exchange: Exchange, echo: Echo, reply: Reply) -> None:
        if reply is None:
            exchange.wait(3)
            exchange.close()
            return
        status, body, headers = reply
        if "Content-Length" in headers:
            exchange.close()
        content_type = "text/html" if isinstance(body, str) else "application/json"
        # Headers echo the secrets, too, like cookies.
        echoes = {f"X-Echo-{number}": secret for number, secret in enumerate(echo.secrets)}
        data = body.encode() if isinstance(body, str) else body
        exchange.send(data, status, **{"Content-Type": content_type} | headers | echoes)
