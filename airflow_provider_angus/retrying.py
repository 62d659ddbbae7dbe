"""When one request is sent again: the one policy of both drivers, for tenacity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tenacity

from airflow_provider_angus.exceptions import AngusResponseError, AngusUnavailableError

if TYPE_CHECKING:
    from airflow_provider_angus.answers import Request

#: How often one request is sent at most, before its error is the caller's.
ATTEMPTS = 4

#: The longest wait between two attempts in seconds, also where ``Retry-After`` asks for more.
LONGEST_WAIT = 60.0

_backoff = tenacity.wait_exponential(multiplier=0.5, max=10.0) + tenacity.wait_random(0.0, 0.5)


def broken_off(request: Request, reason: str) -> AngusResponseError:
    """Return the error of an answer that ended before it was whole."""
    error = AngusResponseError(f"{request}: the answer broke off: {reason}.")
    error.broken_off = True
    return error


def _may_help(error: BaseException) -> bool:
    return isinstance(error, AngusUnavailableError) or getattr(error, "broken_off", False)


def _wait(state: tenacity.RetryCallState) -> float:
    asked = getattr(state.outcome and state.outcome.exception(), "retry_after", None)
    return _backoff(state) if asked is None else min(max(asked, 0.0), LONGEST_WAIT)


#: The arguments of a ``tenacity.Retrying`` or ``AsyncRetrying``.
POLICY: dict[str, Any] = {
    "stop": tenacity.stop_after_attempt(ATTEMPTS),
    "wait": _wait,
    "retry": tenacity.retry_if_exception(_may_help),
    "reraise": True,
}
