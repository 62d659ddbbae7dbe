"""Who may ask: JSON Web Tokens, issued and read."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time


class Refusal(Exception):  # noqa: N818 - the sandbox working as it should is no error
    """A request that the data API turns down; ``args`` are HTTP status, code and message of its answer."""


class Tokens:
    """The tokens of one sandbox, with the payload of the API's sample. They follow the real time."""

    def __init__(self, username: str, lifetime: float) -> None:
        """Make a key that no other sandbox has.

        :param username: the console login that tokens are issued to.
        :param lifetime: seconds.
        """
        self._username, self._lifetime = username, lifetime
        self._key = secrets.token_bytes(32)
        self._generation = 1

    def issue(self, client_id: str) -> str:
        """Return a new token.

        :param client_id: the one stream that it is for.
        """
        now = int(time.time())
        # A token issued in the second of expire_all() must not equal one of those it made expire.
        header = {"alg": "HS256", "typ": "JWT", "kid": str(self._generation)}
        payload = {
            "username": self._username,
            "orig_iat": now,
            "exp": now + int(self._lifetime),
            "client_id": client_id,
            "user_id": 1,
            "email": self._username,
        }
        signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, payload))
        return f"{signed}.{self._signature(signed)}"

    def expire_all(self) -> None:
        """Make every token issued so far expired."""
        self._generation += 1

    def read(self, authorization: str | None) -> str:
        """Return the client id of the stream that a request may ask for.

        :param authorization: the header's value, ``Bearer <JWT>``; None or blank if there was none.
        :raises Refusal: 401 ``authorization_header_missing``, ``invalid_jwt`` or ``expired_jwt``.
        """
        if not authorization:
            raise Refusal(401, "authorization_header_missing", "Authorization header is expected.")
        scheme, _, token = authorization.partition(" ")
        signed, _, signature = token.rpartition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(signed).encode())
        if scheme.lower() != "bearer" or not genuine:
            raise Refusal(401, "invalid_jwt", "The token is not one of ours.")
        header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed.split("."))
        if int(header["kid"]) < self._generation or payload["exp"] <= time.time():
            raise Refusal(401, "expired_jwt", "The token is expired.")
        return str(payload["client_id"])

    def _signature(self, signed: str) -> str:
        return _encode(hmac.digest(self._key, signed.encode(), "sha256"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
