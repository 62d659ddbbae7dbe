"""``AngusEntitiesSensor``: wait until the data of a DAG run's interval is available."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    conf,
)

from airflow_provider_angus._compat import STARTS_FROM_TRIGGER
from airflow_provider_angus._parameters import EntitiesParametersMixin, is_template
from airflow_provider_angus.exceptions import AngusError, AngusRequestError, is_retryable
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.links import AngusConsoleLink
from airflow_provider_angus.model.availability import check_minimum, unavailable_reason
from airflow_provider_angus.model.buckets import Time
from airflow_provider_angus.model.entities import check_metrics
from airflow_provider_angus.model.intervals import DateLike, Interval

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class AngusEntitiesSensor(EntitiesParametersMixin, BaseSensorOperator):
    """Wait until the data of the DAG run's interval is available.

    Available means, in this order: the interval has ended and ``settle`` has passed, before which the sensor sends no
    request; every bucket is present; the totals reach ``minimum``. A bucket without people is present and contains
    zeros, so only ``minimum`` detects a camera that is off.

    Refused credentials and invalid requests fail the sensor without retries.

    :param metrics: names of metrics, as a list or as one text separated by commas (templated).
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
    :param minimum: ``{"passing_by": 1}``: totals over the interval that must be reached, by column.
    :param max_failures: the number of consecutive API failures that fail a try. Must be at least 1. Ignored in
        reschedule mode, which keeps no state between two pokes and waits until ``timeout``.
    :param deferrable: whether to wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param start_from_trigger: whether the wait starts in the triggerer, without a worker. Needs ``deferrable`` and
        Airflow 3.3. If that is not possible, for example with calendar days, the wait starts on a worker.
    :raises AngusError: see :mod:`airflow_provider_angus.exceptions`.

    Example::

        wait_for_day = AngusEntitiesSensor(
            task_id="wait_for_day", metrics="passing_by", time="by_hour", minimum={"passing_by": 1}, deferrable=True
        )
    """

    angus_conn_id: str
    operator_extra_links = (AngusConsoleLink(),)

    def __init__(
        self,
        *,
        metrics: str | list[str],
        time: Time = "global",
        angus_conn_id: str = AngusHook.default_conn_name,
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
        super().__init__(**kwargs)
        self.metrics = metrics
        self.time = time
        self.angus_conn_id = angus_conn_id
        self.from_date = from_date
        self.to_date = to_date
        self.interval = interval
        self.window = window
        self.settle = settle
        self.minimum = minimum
        self.max_failures = max_failures
        self.deferrable = deferrable
        self._failures = 0
        self._deadline: datetime | None = None
        self.check_parameters()
        if isinstance(angus_conn_id, list | tuple):
            raise AngusRequestError(
                f"angus_conn_id: expected one connection, got {angus_conn_id!r}. "
                "Map the sensor: .partial(...).expand(angus_conn_id=[...])."
            )
        if not isinstance(settle, timedelta) or settle < timedelta(0):
            raise AngusRequestError(f"settle must be a timedelta of at least 0, got {settle!r}.")
        if not isinstance(max_failures, int) or max_failures < 1:
            raise AngusRequestError(f"max_failures must be an integer of at least 1, got {max_failures!r}.")
        if not is_template(metrics):
            check_minimum(minimum, check_metrics(metrics))
        self._start_on_worker = start_from_trigger and deferrable
        # A trigger's arguments cannot hold calendar days.
        if self._start_on_worker and STARTS_FROM_TRIGGER and not isinstance(interval, pendulum.Duration):
            self._start_on_worker = False
            self._set_start_trigger()

    def execute(self, context: Context) -> Any:
        """Wait until the data is available, on the worker or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        if self._start_on_worker:
            self.log.info("This task cannot start from the trigger, which needs Airflow 3.3 and no calendar days.")
        self._finish_or_defer(context)
        return None

    def execute_complete(self, context: Context, event: object = None) -> None:
        """Check on the worker after a trigger's event. The check decides, not the event.

        :param event: the event of :meth:`~airflow_provider_angus.triggers.AngusEntitiesTrigger.run`.
        """
        from airflow_provider_angus.triggers import EVENT_VERSION

        if isinstance(event, dict) and event.get("version") == EVENT_VERSION:
            self._failures = event["failures"]
            self._deadline = event["deadline"] and datetime.fromisoformat(event["deadline"])
        else:
            self.log.warning("Unexpected trigger event %r; checking from the worker.", event)
        self._finish_or_defer(context)

    def poke(self, context: Context) -> bool:
        """Return whether the data is available. Log the reason if it is not."""
        interval = self.get_interval(context)
        check_minimum(self.minimum, check_metrics(self.metrics))
        if reason := self._unavailable_reason(interval):
            self.log.info("Data of %s is not available yet: %s", interval, reason)
            return False
        self.log.info("Data of %s is available.", interval)
        return True

    def _unavailable_reason(self, interval: Interval) -> str | None:
        now, settled = datetime.now(UTC), interval.end + self.settle
        if now < interval.end:
            return f"the interval ends at {interval.end.isoformat()}"
        if now < settled:
            return f"the data settles at {settled.isoformat()}"
        try:
            rows = AngusHook(self.angus_conn_id).get_entities(self.metrics, *interval, self.time, window=self.window)
        except AngusError as error:
            if not is_retryable(error):
                raise
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
            # Airflow applies soft_fail to an error of execute_complete, but not of execute.
            kind = AirflowSkipException if self.soft_fail else AirflowSensorTimeout
            raise kind(f"The data was not available within the timeout of {self.timeout:g} s.")
        interval = self.get_interval(context)
        # After a request, the trigger waits for poke_interval before the next request.
        requested = now >= interval.end + self.settle
        trigger = AngusEntitiesTrigger(
            **self._trigger_arguments(),
            from_date=interval.start.isoformat(),
            to_date=interval.end.isoformat(),
            failures=self._failures,
            first_check=(now + timedelta(seconds=self.poke_interval)).isoformat() if requested else None,
            deadline=deadline.isoformat(),
        )
        timeout = deadline - now + timedelta(seconds=TIMEOUT_MARGIN)
        self.defer(trigger=trigger, method_name=self.execute_complete.__name__, timeout=timeout)

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
            started: datetime = context["ti"].start_date or datetime.now(UTC)
            self._deadline = started + timedelta(seconds=self.timeout)
        return self._deadline

    def _set_start_trigger(self) -> None:
        from airflow.triggers.base import StartTriggerArgs

        from airflow_provider_angus.triggers import TIMEOUT_MARGIN, AngusEntitiesTrigger

        def as_text(date: DateLike | None) -> str | None:
            return date if date is None or isinstance(date, str) else date.isoformat()

        interval = self.interval.total_seconds() if self.interval else None
        dates = {"from_date": as_text(self.from_date), "to_date": as_text(self.to_date), "interval": interval}
        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=f"{AngusEntitiesTrigger.__module__}.{AngusEntitiesTrigger.__name__}",
            trigger_kwargs=self._trigger_arguments() | dates,
            next_method=self.execute_complete.__name__,
            timeout=timedelta(seconds=self.timeout + TIMEOUT_MARGIN),
        )

    def _trigger_arguments(self) -> dict[str, Any]:
        return {
            "angus_conn_id": self.angus_conn_id,
            "metrics": self.metrics,
            "time": self.time,
            "window": self.window.total_seconds() if self.window else None,
            "minimum": dict(self.minimum) if self.minimum else None,
            "settle": self.settle.total_seconds(),
            "poke_interval": self.poke_interval,
            "exponential_backoff": bool(self.exponential_backoff),
            "max_wait": self.max_wait.total_seconds() if self.max_wait else None,
            "max_failures": self.max_failures,
        }
