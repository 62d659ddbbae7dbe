"""Read a response: its JSON, the message of a refusal, and whether the API is unavailable. Pure.

Messages quote only the documented fields of a refusal: ``code`` and ``message`` of the data API, ``detail``,
``non_field_errors`` or a list per field of the console. For other bodies: the content type and the first line.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from airflow_provider_angus.api.messages import Request, Response
from airflow_provider_angus.api.redaction import MAX_QUOTED, quote_untrusted, redact
from airflow_provider_angus.exceptions import AngusResponseError, AngusUnavailableError
from airflow_provider_angus.model.text import describe_value

# A year.
_MAX_RETRY_AFTER = 31_536_000.0


def raise_if_unavailable(request: Request, response: Response) -> None:
    """Raise if the API is unavailable or overloaded, so that the request may succeed later.

    :raises AngusUnavailableError: status 408, 429 or 5xx; ``retry_after`` has the seconds that the API asks to wait.
    """
    status, overloaded = response.status, {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
    if status in overloaded or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        hint = f" {request.hint}" if status == HTTPStatus.GATEWAY_TIMEOUT and request.hint else ""
        retry_after = _retry_after(response)
        if retry_after:
            hint += f" The API asks to retry after {retry_after:.0f} s."
        raise AngusUnavailableError(
            f"{request}: status {status}: {error_message(response)}{hint}", retry_after=retry_after
        )


def timed_out(request: Request, timeout: float) -> AngusUnavailableError:
    """Return the error of a request without a complete response within ``timeout`` seconds."""
    return AngusUnavailableError(f"{request}: no complete response within {timeout:g} s. {request.hint}".rstrip())


def unexpected_response(request: Request, response: Response, setting: str) -> AngusResponseError:
    """Return the error of a response that no Angus server sends.

    :param setting: the connection field that the URL comes from.
    """
    location = quote_untrusted(response.headers.get("Location", ""), response.secrets)
    redirect = f" (redirect to {location})" if location else ""
    return AngusResponseError(
        f"{request}: unexpected status {response.status}{redirect}: {error_message(response)} "
        f"Check that the connection's {setting} is an Angus server."
    )


def parse_json_object(request: Request, response: Response, *, quote_body: bool = True) -> dict[str, Any]:
    """Return the JSON object in a response's body.

    :param quote_body: whether an error may quote the body; False if the body may contain a token.
    :raises AngusResponseError: not JSON, a duplicate key, a number out of range, or not an object.
    """
    try:
        value = _parse(response.body)
    except (ValueError, RecursionError) as error:
        quoted = error_message(response) if quote_body else "body not shown, it may contain a token."
        reason = quote_untrusted(str(error), response.secrets)
        raise AngusResponseError(f"{request}: status {response.status}: expected JSON ({reason}): {quoted}") from error
    if not isinstance(value, dict):
        shown = redact(describe_value(value), response.secrets) if quote_body or value is None else type(value).__name__
        raise AngusResponseError(f"{request}: status {response.status}: expected a JSON object, got {shown}.")
    return value


def is_json_object(response: Response) -> bool:
    """Return whether the body is a JSON object, as in every refusal of Angus."""
    return _parse_object(response) is not None


def error_message(response: Response) -> str:
    """Return the message of a refusal as a sentence: the documented fields, or the content type and the first line."""
    text = _documented_message(response) or _first_line(response)
    message = quote_untrusted(text, response.secrets) or "empty body."
    return message if message[-1] in ".!?…" else message + "."


def _parse_object(response: Response) -> dict[str, Any] | None:
    try:
        body = _parse(response.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _documented_message(response: Response) -> str:
    body = _parse_object(response) or {}

    def text(value: object) -> str:
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    parts = [": ".join(text(body[name]) for name in ("code", "message") if body.get(name))]
    for name, value in body.items():
        if name in {"detail", "non_field_errors"}:
            parts.append(text(value))
        elif isinstance(value, list) and name not in {"code", "message"}:
            parts.append(f"{name}: {text(value)}")
    return " ".join(filter(None, parts))


def _first_line(response: Response) -> str:
    # Longer than a quotation, so that no secret is cut in two before it is redacted.
    lines = response.body[: 64 * MAX_QUOTED].decode(errors="replace").split("\n")
    line = next((line for line in lines if line.strip()), "")
    return f"{response.headers.get('Content-Type') or 'no content type'}: {line}" if line else ""


def _parse(body: bytes) -> Any:
    def reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) > len(found := dict(pairs)):
            raise ValueError("duplicate key")
        return found

    def reject_constant(name: str) -> None:
        raise ValueError(f"{name} is not a JSON number")

    def parse_finite(digits: str) -> float:
        if math.isinf(number := float(digits)):
            raise ValueError(f"number {digits[:50]} is too large")
        return number

    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The cause's repr contains the whole body.
        raise ValueError(f"invalid UTF-8 at byte {error.start}") from None
    return json.loads(
        text, object_pairs_hook=reject_duplicates, parse_constant=reject_constant, parse_float=parse_finite
    )


def _retry_after(response: Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(float(value), _MAX_RETRY_AFTER)
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
