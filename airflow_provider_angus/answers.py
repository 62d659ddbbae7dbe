"""What one answer of the API says, and how to say it to a person. Pure: knows no HTTP library.

Refusals carry messages meant for people (the API page): a Django-REST list per field from the console, ``code`` and
``message`` from the data API. A server that is not Angus answers in HTML.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.exceptions import AngusResponseError, AngusUnavailableError
from airflow_provider_angus.hiding import HoldsSecrets, hidden

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: How much of the API's own words a message quotes, in characters.
WORDS_QUOTED = 300


@dataclass(frozen=True)
class Request(HoldsSecrets):
    """One HTTP request to be sent.

    :param method: ``GET`` or ``POST``.
    :param url: without a query.
    :param params: the query, not yet encoded.
    :param body: what is sent as JSON, or None.
    :param token: the JWT for the Authorization header, or None.
    """

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> list[str]:
        """What it tells the server and nobody else may see."""
        return [secret for secret in (self.token, (self.body or {}).get("access_token")) if secret]

    @property
    def has_range(self) -> bool:
        """Whether it asks for a time that could be shorter."""
        return "from_date" in self.params

    def __str__(self) -> str:
        """Return method and URL: all of a request that may stand in a message."""
        return f"{self.method} {self.url}"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, whole.

    :param status: the status code.
    :param headers: looked up without regard to case.
    :param body: its bytes, decompressed.
    :param secrets: what it may have echoed and no message may show, see :func:`hidden`.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: Collection[str] = field(default=(), repr=False)


def raise_if_unavailable(request: Request, answer: Answer) -> None:
    """Raise where an answer means that the API is away or overloaded, so that the same request may work later.

    :raises AngusUnavailableError: the status is 408, 429 or 5xx; ``retry_after`` holds the seconds the API asks for.
    """
    if answer.status in {408, 429} or answer.status >= 500:  # noqa: PLR2004 (status codes are names enough)
        words = words_of(masked(request, answer))
        error = AngusUnavailableError(f"{request} was answered {answer.status}: {words}")
        error.retry_after = _retry_after(answer)
        error.timed_out = answer.status == 504 and request.has_range  # noqa: PLR2004 (as above)
        raise error


def unexpected(request: Request, answer: Answer, setting: str) -> AngusResponseError:
    """Return the error of an answer that no Angus server gives.

    :param setting: the connection's field that says where the request went.
    """
    location = one_line(hidden(answer.headers.get("Location", ""), answer.secrets))
    to = f" to {location[:WORDS_QUOTED]}" if location else ""
    return AngusResponseError(
        f"{request} was answered {answer.status}{to}: {words_of(answer)} "
        f"Check that the connection's {setting} is an Angus server."
    )


def unusable(request: Request, reason: Exception) -> AngusResponseError:
    """Return the error of an answer whose body cannot be read.

    :param reason: a clause that says why.
    """
    return AngusResponseError(f"{request}: the answer cannot be used, {reason}.")


def json_object(request: Request, answer: Answer, *, quoted: bool = True) -> dict[str, Any]:
    """Return the JSON object that an answer is.

    :param quoted: whether a message may show what it is instead; not where there may be a token in it.
    :raises AngusResponseError: it is not JSON, says a key twice, or is no object.
    """
    try:
        value = _parsed(answer.body)
    except (ValueError, RecursionError) as error:
        words = words_of(answer) if quoted else "(not shown, as it may hold a token)."
        raise AngusResponseError(
            f"{request} was answered {answer.status} with what is not JSON ({error}): {words}"
        ) from error
    if not isinstance(value, dict):
        what = hidden(kind(value), answer.secrets) if quoted or value is None else type(value).__name__
        raise AngusResponseError(f"{request} was answered {answer.status} with {what}, not an object.")
    return value


def is_json_object(answer: Answer) -> bool:
    """Return whether an answer is a JSON object, as Angus's refusals are and other servers' are not."""
    try:
        return isinstance(_parsed(answer.body), dict)
    except (ValueError, RecursionError):
        return False


def _parsed(body: bytes) -> Any:
    def without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) > len(found := dict(pairs)):
            raise ValueError("a key comes twice")
        return found

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON number")

    def finite(digits: str) -> float:
        if math.isinf(number := float(digits)):
            raise ValueError(f"{digits[:50]} is too large a number")
        return number

    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Without its cause, whose repr shows the whole body.
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    return json.loads(text, object_pairs_hook=without_repetitions, parse_constant=no_constant, parse_float=finite)


def masked(request: Request, answer: Answer) -> Answer:
    """Return an answer of which no message shows the request's secrets, that it may have echoed."""
    return replace(answer, secrets=[*answer.secrets, *request.secrets])


def without_token(request: Request, answer: Answer) -> Answer:
    """Return an answer whose very body does not show the request's token: its data goes where everybody may look.

    A token is long and random; of a shorter secret, data might hold the letters by chance.
    """
    text = answer.body.decode(errors="surrogateescape")
    return replace(answer, body=hidden(text, [request.token or ""]).encode(errors="surrogateescape"))


def one_line(text: str) -> str:
    """Return what somebody else said so that it may stand in a log: no second line, nothing a terminal would obey."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def shown(text: str, secrets: Collection[str]) -> str:
    """Return what somebody else said as a message may show it: in one line, without secrets, cut short."""
    words = one_line(hidden(text, secrets))
    return words if len(words) <= WORDS_QUOTED else words[:WORDS_QUOTED] + "…"


def words_of(answer: Answer) -> str:
    """Return what the API itself says, as a sentence, cut short."""
    try:
        said = _parsed(answer.body)
    except (ValueError, RecursionError):
        # More than is quoted, so that no secret is cut in two before it is hidden.
        said = answer.body[: 64 * WORDS_QUOTED].decode(errors="replace")
    if isinstance(said, dict):
        fields = (_field_words(name, value) for name, value in said.items())
        said = ": ".join(fields) if said.keys() <= {"code", "message"} else " ".join(fields)
    words = shown(str(said), answer.secrets) or "(nothing)"
    return words if words[-1] in ".!?…" else words + "."


def _field_words(name: str, value: object) -> str:
    messages = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return messages if name in {"non_field_errors", "detail", "code", "message"} else f"{name}: {messages}"


def _retry_after(answer: Answer) -> float | None:
    value = answer.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def kind(value: object) -> str:
    """Return a value as a message names it: its type and its beginning."""
    return "null" if value is None else f"{type(value).__name__} {str(value)[:50]!r}"
