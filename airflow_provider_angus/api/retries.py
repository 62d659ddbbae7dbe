"""The retry policy of both drivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tenacity

from airflow_provider_angus.exceptions import AngusResponseError, AngusUnavailableError


def _default_backoff() -> Callable[[tenacity.RetryCallState], float]:
    return tenacity.wait_exponential(multiplier=0.5, max=10.0) + tenacity.wait_random(0.0, 0.5)


@dataclass(frozen=True)
class RetryPolicy:
    """When to repeat a request: after :class:`.AngusUnavailableError` and incomplete responses.

    :param attempts: requests in all. At least 1.
    :param max_wait: seconds. If ``Retry-After`` is longer, the request is not repeated: the caller must wait.
    :param backoff: a tenacity wait, used if the API sends no ``Retry-After``.

    Example::

        class PatientHook(AngusHook):
            retry_policy = RetryPolicy(attempts=8)
    """

    attempts: int = 4
    max_wait: float = 60.0
    backoff: Callable[[tenacity.RetryCallState], float] = field(default_factory=_default_backoff)

    def tenacity_arguments(self) -> dict[str, Any]:
        """Return the arguments of ``tenacity.Retrying`` or ``tenacity.AsyncRetrying``."""
        return {
            "stop": tenacity.stop_after_attempt(self.attempts),
            "wait": self._wait,
            "retry": tenacity.retry_if_exception(self._is_repeatable),
            "reraise": True,
        }

    def _wait(self, state: tenacity.RetryCallState) -> float:
        retry_after = getattr(state.outcome and state.outcome.exception(), "retry_after", None)
        return self.backoff(state) if retry_after is None else max(retry_after, 0.0)

    def _is_repeatable(self, error: BaseException) -> bool:
        if isinstance(error, AngusUnavailableError):
            return error.retry_after is None or error.retry_after <= self.max_wait
        return isinstance(error, AngusResponseError) and error.truncated


DEFAULT_RETRY_POLICY = RetryPolicy()
