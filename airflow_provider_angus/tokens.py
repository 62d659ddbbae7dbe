"""Which token may still be used: the tokens of one process, until they end or are refused. Pure."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

from airflow_provider_angus.hiding import HoldsSecrets

if TYPE_CHECKING:
    from collections.abc import Callable

#: A token is not used any more this long before its ``exp``, in seconds.
TOKEN_MARGIN = 60.0

#: Header, payload, signature; and how long the last one is at least, in characters.
_JWT_PARTS, _SIGNATURE = 3, 20


class TokenCache(HoldsSecrets):
    """The tokens of one process, each kept under a digest of the console URL and the credentials it was got with.

    :param now: returns seconds since the epoch, to hold against a token's ``exp``.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._tokens: dict[str, tuple[str, float | None]] = {}

    def get(self, key: str) -> str | None:
        """Return the token kept under this key; None where there is none or it ends within 60 s."""
        token, expires = self._tokens.get(key, (None, None))
        return token if expires is None or self._now() < expires - TOKEN_MARGIN else None

    def put(self, key: str, token: str) -> None:
        """Keep a new token until 60 s before its ``exp``, and one that does not say so until it is refused.

        A new token that is over by our clock says that one of the two clocks is wrong, not that it is of no use.
        """
        expires = _expiry(token)
        self._tokens[key] = (token, expires)
        if self.get(key) is None:
            self._tokens[key] = (token, None)

    def drop(self, key: str, token: str) -> None:
        """Forget a refused token; a newer one that somebody put in its place stays."""
        if self._tokens.get(key, (None, None))[0] == token:
            # Another thread may have been faster.
            self._tokens.pop(key, None)

    def clear(self) -> None:
        """Forget all tokens."""
        self._tokens.clear()


def secret_part(token: str) -> str:
    """Return the part of a token without which it is of no use: a JWT's signature, all of any other.

    To be masked in logs. Airflow's masker compiles all its secrets anew for each new one, so that many long ones take
    minutes; a signature is a small part of a JWT, and the rest says no more than the connection does.

    :param token: as the console gave it.
    """
    parts = token.split(".")
    return parts[2] if len(parts) == _JWT_PARTS and len(parts[2]) >= _SIGNATURE else token


def _expiry(token: str) -> float | None:
    # By hand: pyjwt would also import what verifies signatures, which takes longer than to fetch a page.
    try:
        payload = token.split(".")[1]
        expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return float(expires) if isinstance(expires, int | float) else None
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return None


#: The tokens of this process, shared by everything in it.
TOKENS = TokenCache()
