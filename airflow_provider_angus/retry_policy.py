"""``AngusRetryPolicy``: retry a task when the API has asked for it or its interval has settled (Airflow 3.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_angus._backoff import MAX_RETRY_AFTER
from airflow_provider_angus._compat import HAS_RETRY_POLICIES, retry_policy_class
from airflow_provider_angus.exceptions import AngusIncompleteError, AngusUnavailableError

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision, RetryPolicy
else:
    RetryPolicy = retry_policy_class()


#: The longest delay until an interval has settled. A wrong ``to_date`` may be years ahead.
MAX_SETTLE_DELAY = timedelta(days=1)


class AngusRetryPolicy(RetryPolicy):
    """Delay the retry of a task until the time that the API asked for with ``Retry-After``, at most an hour.

    If the interval has not ended and settled, the retry waits until it has, at most a day.

    It is the default ``retry_policy`` of our operators, transfers and sensor on Airflow 3.3. Older versions have no
    retry policies: there, the error's message contains the delay. Any other failure is retried as the task defines it.

    Example::

        from airflow.sdk import RetryDecision
        from airflow_provider_angus.operators import AngusEntitiesOperator


        class PatientRetryPolicy(AngusRetryPolicy):
            def evaluate(self, exception, try_number, max_tries, context=None):
                if isinstance(exception, AngusStorageError):
                    return RetryDecision.retry(delay=timedelta(hours=2), reason="The database restarts at night.")
                return super().evaluate(exception, try_number, max_tries, context)


        AngusEntitiesOperator(task_id="fetch", metrics="passing_by", retries=3, retry_policy=PatientRetryPolicy())
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 (Airflow passes it)
        max_tries: int,  # noqa: ARG002 (Airflow passes it)
        context: Any = None,
    ) -> RetryDecision:
        """Return when to retry a task that failed. Airflow calls it on the worker.

        :param exception: the task's error.
        :param try_number: the number of this try, from 1.
        :param max_tries: the highest number of a try.
        :param context: Airflow's task context. A ``retry_delay`` of its task that is longer than the delay wins.
        """
        from airflow.sdk import RetryDecision

        if isinstance(exception, AngusIncompleteError):
            seconds, limit, cause = exception.retry_after, MAX_SETTLE_DELAY, "The data settles in"
        elif isinstance(exception, AngusUnavailableError):
            seconds, limit, cause = exception.retry_after, MAX_RETRY_AFTER, "The API asked to wait"
        else:
            return RetryDecision.default()
        if seconds is None:
            return RetryDecision.default()
        delay = timedelta(seconds=min(seconds, limit.total_seconds()))
        if delay <= getattr((context or {}).get("task"), "retry_delay", timedelta(0)):
            return RetryDecision.default()
        return RetryDecision.retry(delay=delay, reason=f"{cause} {seconds:.0f} s.")

    def serialize(self) -> dict[str, Any]:
        """Return the policy's parameters: it has none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:  # noqa: ARG003 (a policy without parameters)
        """Return the policy.

        :param data: the result of :meth:`serialize`.
        """
        return cls()


def with_retry_policy(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task, with the default policy if Airflow has policies and the user sets none.

    :param arguments: as ``__init__`` receives them. Mapping passes ``retry_policy=None``.
    """
    given = "retry_policy" in arguments.get("default_args", {}) or arguments.get("retry_policy") is not None
    return arguments if given or not HAS_RETRY_POLICIES else arguments | {"retry_policy": AngusRetryPolicy()}
