"""Get tokens, cache them, and send requests with them. Pure: no HTTP library.

The token URL ends with a slash (without it the server redirects and the POST becomes a GET). A token need not be
readable. A refused token is replaced once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from http import HTTPStatus

from airflow_provider_angus.api.messages import Flow, Request, Response, SingleFlight
from airflow_provider_angus.api.redaction import NotPicklable, contains_secret
from airflow_provider_angus.api.responses import error_message, is_json_object, parse_json_object, unexpected_response
from airflow_provider_angus.api.settings import Credentials
from airflow_provider_angus.exceptions import AngusAuthError, AngusResponseError

TOKEN_PATH = "/api-token-authstream/"  # noqa: S105 (a path)

#: Seconds before its ``exp`` from which a token is no longer used.
TOKEN_MARGIN = 60.0

_JWT_PARTS, _MIN_SIGNATURE = 3, 20


class TokenCache(NotPicklable):
    """The tokens of a process, by a digest of console URL and credentials. Thread-safe.

    :param now: returns seconds since the epoch, to compare with a token's ``exp``.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._tokens: dict[str, tuple[str, float | None]] = {}
        self._locks: dict[str, threading.Lock] = {}

    def get(self, key: str) -> str | None:
        """Return a token, or None if it is missing or expires within :data:`TOKEN_MARGIN` seconds."""
        token, expires = self._tokens.get(key, (None, None))
        return token if expires is None or self._now() < expires - TOKEN_MARGIN else None

    def put(self, key: str, token: str) -> None:
        """Store a new token until shortly before its ``exp``; without a readable ``exp`` until the API refuses it.

        A new token that has expired by the local clock shows that a clock is wrong, so its ``exp`` is ignored.
        """
        expires = _expiry(token)
        self._tokens[key] = (token, expires)
        if self.get(key) is None:
            self._tokens[key] = (token, None)

    def drop(self, key: str, token: str) -> None:
        """Remove a refused token, unless a newer one has replaced it."""
        if self._tokens.get(key, (None, None))[0] == token:
            # Another thread may have removed it in between.
            self._tokens.pop(key, None)

    def lock(self, key: str) -> threading.Lock:
        """Return the lock that a thread holds while it gets the token of this key."""
        return self._locks.setdefault(key, threading.Lock())

    def clear(self) -> None:
        """Remove all tokens."""
        self._tokens.clear()


#: The tokens of this process. Streams with equal credentials share a token.
SHARED_TOKENS = TokenCache()


class Authenticator:
    """Send requests with the token of one stream.

    :param console_url: ``https://host[:port][/path]``, without a slash at the end.
    """

    def __init__(self, credentials: Credentials, console_url: str, tokens: TokenCache) -> None:
        self.credentials = credentials
        self._url = console_url + TOKEN_PATH
        self._tokens = tokens
        self._key = hashlib.sha256(json.dumps([console_url, asdict(credentials)]).encode()).hexdigest()

    def send(self, request: Request) -> Flow[Response]:
        """Send a request with a token; after 401 once more, with a new token.

        :param request: a request without a token.
        :returns: a response of status 200, 400 or unexpected.
        :raises AngusAuthError: the credentials or a new token were refused (400, 401 or 403).
        :raises AngusResponseError: the console sent no token, or the response contains the token.
        """
        token = self._tokens.get(self._key) or (yield self._new_token())
        response: Response = yield replace(request, token=token)
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._tokens.drop(self._key, token)
            token = yield self._new_token()
            response = yield replace(request, token=token)
        if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            retried = " with a new token" if response.status == HTTPStatus.UNAUTHORIZED else ""
            raise AngusAuthError(
                f"{request}: refused with status {response.status}{retried}: {error_message(response)} "
                f"Check that this console login may read stream {self.credentials.client_id!r}."
            )
        # Data goes to places that everybody may read, so it must not contain the token.
        if response.status == HTTPStatus.OK and contains_secret(response.body, token):
            raise AngusResponseError(f"{request}: the response contains the API token. Check Host.")
        return response

    def _new_token(self) -> SingleFlight:
        return SingleFlight(self._key, self._fetch_token())

    def _fetch_token(self) -> Flow[str]:
        # A concurrent caller may have fetched it while this one waited.
        if token := self._tokens.get(self._key):
            return token
        request = Request("POST", self._url, body=asdict(self.credentials))
        response: Response = yield request
        if response.status == HTTPStatus.OK:
            token = parse_json_object(request, response, quote_body=False).get("token")
            if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
                # The value is not quoted: it may be a token in another form.
                raise AngusResponseError(f"{request}: status 200 without a token. Check console_url.")
            self._tokens.put(self._key, token)
            return token
        if response.status in {
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
        } and is_json_object(response):
            raise AngusAuthError(
                f"{request}: credentials refused with status {response.status}: {error_message(response)} "
                "Check Login (the console login), Password (the stream's access token) and client_id."
            )
        raise unexpected_response(request, response, "console_url")


def maskable_part(token: str) -> str:
    """Return the part of a token to mask in logs: a JWT's signature, or the whole token if it is not a JWT.

    A JWT is useless without its signature, and Airflow's masker is slow with many long secrets.
    """
    parts = token.split(".")
    return parts[2] if len(parts) == _JWT_PARTS and len(parts[2]) >= _MIN_SIGNATURE else token


def _expiry(token: str) -> float | None:
    # Not with pyjwt, whose import takes longer than a request.
    try:
        payload = token.split(".")[1]
        expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return float(expires) if isinstance(expires, int | float) else None
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return None
