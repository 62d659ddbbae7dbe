"""JSON Web Tokens of the sandbox: issue and verify."""

from __future__ import annotations

import base64
import json
import secrets
import time


class RefusedError(Exception):
    """The data API refuses a request. ``args`` are the response's HTTP status, code and message."""


class TokenIssuer:
    """Issues the tokens of one sandbox and verifies them. Tokens follow the real time; ``lifetime`` is in seconds."""

    def __init__(self, username: str, lifetime: float) -> None:
        self._username, self._lifetime = username, lifetime
        self._tokens: dict[str, tuple[str, int]] = {}  # client ID and expiry

    def issue(self, client_id: str) -> str:
        """Return a new token for a stream, with the fields of the API's sample token."""
        now = int(time.time())
        expiry = now + int(self._lifetime)
        claims = {"username": self._username, "orig_iat": now, "exp": expiry, "client_id": client_id}
        parts = {"alg": "HS256", "typ": "JWT"}, {**claims, "user_id": 1, "email": self._username}
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        # Tokens are verified by lookup, so any unique text serves as the signature.
        token = ".".join([*encoded, secrets.token_urlsafe(32)])
        self._tokens[token] = client_id, expiry
        return token

    def expire_all(self) -> None:
        """Make all tokens issued so far expire."""
        self._tokens.update({token: (client_id, 0) for token, (client_id, _) in list(self._tokens.items())})

    def verify(self, authorization: str | None) -> str:
        """Return the client ID of the stream that an ``Authorization`` header gives access to.

        :raises RefusedError: 401 ``authorization_header_missing``, ``invalid_jwt`` or ``expired_jwt``.
        """
        if not authorization:
            raise RefusedError(401, "authorization_header_missing", "Authorization header is expected.")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or token not in self._tokens:
            raise RefusedError(401, "invalid_jwt", "The token is invalid.")
        client_id, expiry = self._tokens[token]
        if expiry <= time.time():
            raise RefusedError(401, "expired_jwt", "The token is expired.")
        return client_id
