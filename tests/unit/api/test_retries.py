from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import tenacity

from airflow_provider_angus.api.retries import DEFAULT_RETRY_POLICY, RetryPolicy
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_BACKOFF = RetryPolicy(backoff=tenacity.wait_none())


def waits(policy: RetryPolicy, errors: Iterable[Exception]) -> list[float]:
    """Return the seconds between attempts that raise these errors; the attempt after them succeeds."""
    seconds: list[float] = []
    remaining = iter(errors)

    def attempt() -> None:
        if error := next(remaining, None):
            raise error

    tenacity.Retrying(sleep=seconds.append, **policy.tenacity_arguments())(attempt)
    return seconds


@pytest.mark.parametrize(
    "error", [AngusUnavailableError("503"), AngusResponseError("incomplete", truncated=True)], ids=["503", "truncated"]
)
@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_policy_repeats_until_attempts_are_used(error: AngusError, attempts: int) -> None:
    policy = RetryPolicy(attempts=attempts, backoff=tenacity.wait_none())
    assert waits(policy, [error] * (attempts - 1)) == [0] * (attempts - 1)
    with pytest.raises(type(error), match=str(error)):
        waits(policy, [error] * attempts)


@pytest.mark.parametrize(
    "error",
    [AngusResponseError("no JSON"), AngusRequestError("400"), AngusAuthError("401"), AngusError("closed"), OSError()],
    ids=lambda error: type(error).__name__,
)
def test_policy_raises_other_errors_at_once(error: Exception) -> None:
    with pytest.raises(type(error)):
        waits(NO_BACKOFF, [error])


@pytest.mark.parametrize(("retry_after", "wait"), [(0.0, 0), (7.0, 7), (60.0, 60), (-5.0, 0)])
def test_policy_waits_for_retry_after_up_to_max_wait(retry_after: float, wait: float) -> None:
    assert waits(DEFAULT_RETRY_POLICY, [AngusUnavailableError("429", retry_after=retry_after)]) == [wait]


@pytest.mark.parametrize(("max_wait", "retry_after"), [(60.0, 61.0), (60.0, 1e40), (2.0, 7.0)])
def test_policy_raises_at_once_if_retry_after_is_longer(max_wait: float, retry_after: float) -> None:
    with pytest.raises(AngusUnavailableError):
        waits(RetryPolicy(max_wait=max_wait), [AngusUnavailableError("429", retry_after=retry_after)])


def test_policy_max_wait_is_configurable() -> None:
    assert waits(RetryPolicy(max_wait=90.0), [AngusUnavailableError("429", retry_after=61.0)]) == [61]


@pytest.mark.parametrize(
    "error", [AngusUnavailableError("503"), AngusResponseError("incomplete", truncated=True)], ids=["503", "truncated"]
)
def test_policy_without_retry_after_backs_off(error: AngusError) -> None:
    first, second, third = waits(DEFAULT_RETRY_POLICY, [error] * 3)
    assert 0.5 <= first <= 1 <= second <= 1.5
    assert 2 <= third <= 2.5


def test_policy_default_backoff_is_at_most_10_5_s() -> None:
    seconds = waits(RetryPolicy(attempts=20), [AngusUnavailableError("503")] * 19)
    assert max(seconds) <= 10.5
    assert len(set(seconds)) > 10, "the random part is missing"


def test_policy_default_is_four_attempts_and_a_minute() -> None:
    assert (DEFAULT_RETRY_POLICY.attempts, DEFAULT_RETRY_POLICY.max_wait) == (4, 60.0)


def test_policy_arguments_work_for_async_retrying() -> None:
    arguments: dict[str, Any] = NO_BACKOFF.tenacity_arguments()
    assert tenacity.AsyncRetrying(**arguments).stop is arguments["stop"]
