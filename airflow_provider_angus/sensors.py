"""``AngusEntitiesSensor``: wait until the data of a DAG run's interval is available."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    conf,
)

from airflow_provider_angus._backoff import retry_time
from airflow_provider_angus._parameters import EntitiesParametersMixin, connection_id, is_template, normalize_list
from airflow_provider_angus._trigger_query import worker_reason
from airflow_provider_angus.exceptions import AngusError, AngusRequestError, is_retryable
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.links import AngusConsoleLink
from airflow_provider_angus.model.arguments import LONGEST, as_list, check_flag, describe_argument, read_count
from airflow_provider_angus.model.availability import check_minimum, settled_at, unavailable_reason, unsettled_reason
from airflow_provider_angus.model.buckets import Time
from airflow_provider_angus.model.entities import METRICS, check_metrics
from airflow_provider_angus.model.intervals import DateLike, Interval, later
from airflow_provider_angus.retry_policy import with_retry_policy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AngusEntitiesSensor(EntitiesParametersMixin, BaseSensorOperator):
    """Wait until the data of the DAG run's interval is available.

    Available means, in this order: the interval has ended and ``settle`` has passed, before which the sensor sends no
    request; every bucket is present; the totals reach ``minimum``. A bucket without people is present and contains
    zeros, so only ``minimum`` detects a camera that is off.

    Refused credentials and invalid requests fail the sensor without retries. If the API asks to wait
    (``Retry-After``), the sensor sends no request before that time, for at most an hour.

    :param metrics: names of metrics, as an iterable or as one text separated by commas (templated).
    :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (the interval is one bucket) (templated).
    :param angus_conn_id: the ID of an Airflow connection of type ``angus``, which is one stream (templated).
    :param from_date: start of the interval, inclusive, instead of the DAG run's data interval. A date without a UTC
        offset is UTC (templated).
    :param to_date: end of the interval, exclusive. Required with ``from_date`` (templated).
    :param interval: the length of DAG runs without a data interval. Must be positive. A ``timedelta``, or a
        ``pendulum.duration(days=1)`` for calendar days in the time zone of the schedule.
    :param window: the part of the interval to request at a time, in full buckets. Must be positive. None: all of it.
    :param settle: the time after the interval's end in which its data may still change. Must not be negative. The
        vendor says about a minute.
    :param minimum: ``{"passing_by": 1}``: totals over the interval that must be reached, by column (templated).
    :param max_failures: the number of consecutive API failures that fail a try, from 1 to a million. Ignored in
        reschedule mode, which keeps no state between two pokes and waits until ``timeout``.
    :param deferrable: whether to wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param start_from_trigger: whether the wait starts in the triggerer, without a worker. Needs ``deferrable`` and
        Airflow 3.3. The wait starts on a worker, with a line in the log, if the sensor is mapped, ``interval`` is a
        ``pendulum.duration``, ``minimum`` or, with native rendering, ``metrics`` is a template, an argument comes from
        another task or a function, or a template uses more than the DAG run, its dates, ``params`` and ``macros``.
    :raises AngusError: see :mod:`airflow_provider_angus.exceptions`.

    Example::

        wait_for_day = AngusEntitiesSensor(
            task_id="wait_for_day", metrics="passing_by", time="by_hour", minimum={"passing_by": 1}, deferrable=True
        )
    """

    template_fields = (*EntitiesParametersMixin.template_fields, "minimum")
    operator_extra_links = (AngusConsoleLink(),)

    def __init__(
        self,
        *,
        metrics: str | Iterable[str],
        time: Time = "global",
        angus_conn_id: str | int = AngusHook.default_conn_name,
        from_date: DateLike | None = None,
        to_date: DateLike | None = None,
        interval: timedelta | None = None,
        window: timedelta | None = None,
        settle: timedelta = timedelta(minutes=2),
        minimum: Mapping[str, float] | None = None,
        max_failures: int = 5,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**with_retry_policy(kwargs))
        self.metrics = normalize_list(metrics)
        self.time = time
        self.angus_conn_id = normalize_list(angus_conn_id)
        self.from_date = from_date
        self.to_date = to_date
        self.interval = interval
        self.window = window
        self.settle = settle
        self.minimum = minimum
        self.max_failures = max_failures
        self.deferrable = deferrable
        self._wants_trigger = start_from_trigger
        self._failures = 0
        self._retry_at: datetime | None = None
        self._deadline: datetime | None = None
        self.check_parameters()
        self._worker_reason = worker_reason(self) if deferrable and start_from_trigger else None
        if deferrable and start_from_trigger and not self._worker_reason:
            self._set_start_trigger()

    def check_parameters(self) -> None:
        """Reject parameters that are invalid in every run. Templates are checked after rendering.

        :raises AngusRequestError: a parameter is invalid.
        :raises AngusIntervalError: the dates or ``interval`` cannot make an interval.
        """
        super().check_parameters()
        if as_list(self.angus_conn_id) is not None:
            raise AngusRequestError(
                f"angus_conn_id: expected one connection, got {describe_argument(self.angus_conn_id)}. "
                "Map the sensor: .partial(...).expand(angus_conn_id=[...])."
            )
        read_count("max_failures", self.max_failures, least=1)
        check_flag("deferrable", self.deferrable)
        check_flag("start_from_trigger", self._wants_trigger)
        if not is_template(self.minimum):
            check_minimum(self.minimum, METRICS if is_template(self.metrics) else check_metrics(self.metrics))

    def execute(self, context: Context) -> Any:
        """Wait until the data is available, on the worker or in the triggerer."""
        if self.deferrable:
            if self._wants_trigger:
                reason = self._worker_reason or "the task is mapped or runs in dag.test()"
                self.log.info("Starts on a worker: %s.", reason)
            self._finish_or_defer(context)
            return None
        from airflow.exceptions import AirflowRescheduleException

        try:
            return super().execute(context)
        except AirflowRescheduleException as error:
            if self._retry_at is None or self._retry_at <= error.reschedule_date:
                raise
            if self._retry_at > self._get_deadline(context):
                # A reschedule keeps no state, so that the check at the deadline would send a request.
                raise self._timed_out(f"The API asked to wait until {self._retry_at.isoformat()}.") from None
            raise type(error)(self._retry_at) from None

    def execute_complete(self, context: Context, event: object = None) -> None:
        """Check on the worker after a trigger's event. The check decides, not the event.

        :param event: the event of :meth:`~airflow_provider_angus.triggers.AngusEntitiesTrigger.run`.
        """
        from airflow_provider_angus.triggers import EVENT_VERSION

        if isinstance(event, dict) and event.get("version") == EVENT_VERSION:
            self._failures = event["failures"]
            self._deadline = event["deadline"] and datetime.fromisoformat(event["deadline"])
            self._retry_at = datetime.fromisoformat(event["retry_at"]) if "retry_at" in event else None
        else:
            self.log.warning("Unexpected trigger event %r; checking from the worker.", event)
        self._finish_or_defer(context)

    def poke(self, context: Context) -> bool:
        """Return whether the data is available. Log the reason if it is not."""
        self.check_parameters()
        interval = self.get_interval(context)
        check_minimum(self.minimum, check_metrics(self.metrics))
        if reason := self._unavailable_reason(interval):
            self.log.info("Data of %s is not available yet: %s", interval, reason)
            return False
        self.log.info("Data of %s is available.", interval)
        return True

    def _unavailable_reason(self, interval: Interval) -> str | None:
        now = datetime.now(UTC)
        if reason := unsettled_reason(interval, self.settle, now):
            return reason
        if self._retry_at and now < self._retry_at:
            return f"the API asked to wait until {self._retry_at.isoformat()}"
        self._retry_at, hook = None, AngusHook(connection_id("angus_conn_id", self.angus_conn_id))
        try:
            rows = hook.get_entities(self.metrics, *interval, self.time, window=self.window)
        except AngusError as error:
            if not is_retryable(error):
                raise
            self._retry_at = retry_time(error)
            if self.reschedule and not self.deferrable:
                return f"API failure: {error}"
            self._failures += 1
            if self._failures >= self.max_failures:
                raise
            return f"API failure {self._failures} of {self.max_failures} in a row: {error}"
        self._failures = 0
        return unavailable_reason(rows, interval, self.time, self.minimum)

    def _finish_or_defer(self, context: Context) -> None:
        from airflow_provider_angus.triggers import TIMEOUT_MARGIN, AngusEntitiesTrigger

        if self._check(context):
            return
        now, deadline = datetime.now(UTC), self._get_deadline(context)
        if now >= deadline:
            raise self._timed_out(f"The data was not available within the timeout of {self.timeout:g} s.")
        interval = self.get_interval(context)
        # After a request, the trigger waits for poke_interval before the next request.
        requested = now >= settled_at(interval, self.settle)
        trigger = AngusEntitiesTrigger(
            **self._trigger_arguments(),
            from_date=interval.start,
            to_date=interval.end,
            failures=self._failures,
            first_check=later(now, self.poke_interval) if requested else None,
            retry_at=self._retry_at,
            deadline=deadline,
        )
        timeout = deadline - now + timedelta(seconds=TIMEOUT_MARGIN)
        self.defer(trigger=trigger, method_name=self.execute_complete.__name__, timeout=timeout)

    def _timed_out(self, message: str) -> Exception:
        # Airflow applies soft_fail to an error of execute_complete, but not of execute.
        return (AirflowSkipException if self.soft_fail else AirflowSensorTimeout)(message)

    def _check(self, context: Context) -> bool:
        """Poke, and apply soft_fail, never_fail and silent_fail as ``BaseSensorOperator.execute`` does."""
        try:
            return self.poke(context)
        except AirflowSkipException:
            raise
        except (AirflowFailException, AirflowTaskTimeout) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped by soft_fail or never_fail: {error}") from error
            raise
        except Exception as error:
            if self.silent_fail:
                self.log.exception("Ignored by silent_fail")
                return False
            if self.never_fail:
                raise AirflowSkipException(f"Skipped by never_fail: {error}") from error
            raise

    def _get_deadline(self, context: Context) -> datetime:
        if self._deadline is None:
            # Airflow keeps a try's start across deferrals. The start is None in dag.test() of Airflow 2.11.
            started = self._first_reschedule(context) or context["ti"].start_date or datetime.now(UTC)
            self._deadline = later(started, _seconds(self.timeout))
        return self._deadline

    def _first_reschedule(self, context: Context) -> datetime | None:
        # Airflow 3 keeps the start of a try across reschedules here, Airflow 2.11 in the task instance.
        get_date: Any = getattr(context["ti"], "get_first_reschedule_date", None)
        return get_date(context) if get_date and self.reschedule and not self.deferrable else None

    def _set_start_trigger(self) -> None:
        from airflow.triggers.base import StartTriggerArgs

        from airflow_provider_angus.triggers import TIMEOUT_MARGIN, AngusEntitiesTrigger

        dates: dict[str, Any] = {"from_date": self.from_date, "to_date": self.to_date, "interval": self.interval}
        trigger = AngusEntitiesTrigger(**self._trigger_arguments(), **dates)
        trigger_cls, arguments = trigger.serialize()
        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=trigger_cls,
            trigger_kwargs=arguments,
            next_method=self.execute_complete.__name__,
            timeout=timedelta(seconds=_seconds(self.timeout) + TIMEOUT_MARGIN),
        )

    def _trigger_arguments(self) -> dict[str, Any]:
        return {
            "angus_conn_id": self.angus_conn_id,
            "metrics": self.metrics,
            "time": self.time,
            "window": self.window and _seconds(self.window),
            "minimum": self.minimum,
            "settle": _seconds(self.settle),
            "poke_interval": _seconds(self.poke_interval),
            "exponential_backoff": bool(self.exponential_backoff),
            "max_wait": self.max_wait and _seconds(self.max_wait),
            "max_failures": self.max_failures,
        }


def _seconds(wait: timedelta | float) -> float:
    return min(wait.total_seconds() if isinstance(wait, timedelta) else wait, LONGEST.total_seconds())
