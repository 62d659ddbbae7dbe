"""``AngusEntitiesSensor``: waits until the data of a DAG run's own interval is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    conf,
)

from airflow_provider_angus.availability import check_minimum, settled_at, why_not_yet
from airflow_provider_angus.compat import STARTS_FROM_TRIGGER
from airflow_provider_angus.entities import check_metrics
from airflow_provider_angus.exceptions import AngusError, AngusRequestError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.links import AngusConsoleLink
from airflow_provider_angus.question import EntitiesQuestion, is_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_angus.interval import DateLike, Interval


class AngusEntitiesSensor(EntitiesQuestion, BaseSensorOperator):
    """Wait until the data of the DAG run's interval is available.

    Available means, in this order: the interval is over and ``settle`` has passed since (before that the API is not
    called); every bucket of the interval is there; the totals reach ``minimum``. A bucket without people is there and
    holds zeros, so only ``minimum`` tells a quiet shop from a camera that is off.

    Credentials and requests that are refused fail the sensor at once and without retries. An API that is away counts as
    "not yet" up to ``max_failures`` times in a row; in reschedule mode, where nothing is remembered from poke to poke,
    until ``timeout``.

    :param metrics: see :class:`~airflow_provider_angus.operators.AngusEntitiesOperator` (templated).
    :param time: the same (templated).
    :param angus_conn_id: the same (templated).
    :param from_date: the same (templated).
    :param to_date: the same (templated).
    :param interval: the same.
    :param window: the same.
    :param settle: how long after the interval's end its data may still change; the vendor says about a minute.
    :param minimum: ``{"passing_by": 1}``: totals over the interval that must be reached. Any column that adds up.
    :param max_failures: how many failures of the API in a row a sensor bears before it fails (and is retried as any
        task); not in reschedule mode.
    :param deferrable: whether the triggerer waits, and no worker; by default what ``[operators] default_deferrable``
        says. All of ``timeout``, ``soft_fail``, ``poke_interval``... mean the same as in poke mode.
    :param start_from_trigger: with ``deferrable``, whether no worker is needed before the data is there, not even to
        begin. Needs Airflow 3.3; where that cannot be, a worker begins, and says so in its log.
    :raises AngusError: see the tree in :mod:`airflow_provider_angus.exceptions`.
    """

    angus_conn_id: str
    operator_extra_links = (AngusConsoleLink(),)

    def __init__(
        self,
        *,
        metrics: str | list[str],
        time: str = "global",
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
        self._time_is_up: datetime | None = None
        self.check_question()
        if isinstance(angus_conn_id, list | tuple):
            raise AngusRequestError("A sensor waits for one stream; map it: .partial(...).expand(angus_conn_id=[...]).")
        if not isinstance(settle, timedelta) or settle < timedelta(0):
            raise AngusRequestError(f"settle must be a timedelta of zero or more, got {settle!r}.")
        if not isinstance(max_failures, int) or max_failures < 1:
            raise AngusRequestError(f"max_failures must be a number of one or more, got {max_failures!r}.")
        if not is_template(metrics):
            check_minimum(minimum, check_metrics(metrics))
        self._begins_on_worker = start_from_trigger and deferrable
        # Calendar days do not fit into a trigger's arguments.
        if self._begins_on_worker and STARTS_FROM_TRIGGER and not isinstance(interval, pendulum.Duration):
            self._start_from_trigger()

    def poke(self, context: Context) -> bool:
        """Return whether the data is there; where it is not, log why, and leave the waiting to the triggerer."""
        interval = self.interval_of(context)
        check_minimum(self.minimum, check_metrics(self.metrics))
        now = datetime.now(UTC)
        if now < interval.end:
            reason: str | None = f"it is not over until {interval.end.isoformat()}"
        elif now < settled_at(interval, self.settle):
            reason = f"it settles until {settled_at(interval, self.settle).isoformat()}"
        else:
            reason = self._ask(interval)
        if reason:
            self.log.info("Not yet: %s: %s", interval, reason)
            if self.deferrable:
                self._defer(context, interval)
            return False
        self.log.info("The data of %s is there.", interval)
        return True

    def execute(self, context: Context) -> Any:
        """Wait until the data is there."""
        if self._begins_on_worker:
            self.log.info("This Airflow, or this task, cannot start from the trigger: a worker begins and defers.")
        return self._look(context)

    def look_again(self, context: Context, event: object = None) -> Any:
        """Look again after a trigger's event; whatever the event says, it is this look that decides.

        :param event: what :meth:`AngusEntitiesTrigger.run` yields; one of any other kind says nothing.
        """
        from airflow_provider_angus.triggers import EVENT_VERSION

        if isinstance(event, dict) and event.get("version") == EVENT_VERSION:
            self._failures = event["failures"]
            self._time_is_up = event["deadline"] and datetime.fromisoformat(event["deadline"])
        else:
            self.log.warning("The trigger ended without an event of ours: %r. Looking for myself.", event)
        return self._look(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral, with the same meaning of ``soft_fail`` and ``timeout`` as in poke mode."""
        if next_method != "__fail__":
            # Not the sensors' own: it makes of every error of a resumed sensor a skip, where soft_fail is set.
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        if datetime.now(UTC) >= self._deadline(context):
            return self._out_of_time()
        return super().resume_execution(next_method, next_kwargs, context)

    def _look(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except _OutOfTimeError:
            return self._out_of_time()

    def _ask(self, interval: Interval) -> str | None:
        try:
            rows = AngusHook(self.angus_conn_id).get_entities(self.metrics, *interval, self.time, window=self.window)
        except AirflowFailException:
            raise
        except AngusError as error:
            forgetful = self.reschedule and not self.deferrable
            self._failures += 1
            if self._failures >= self.max_failures and not forgetful:
                raise
            of = "" if forgetful else f" of {self.max_failures}"
            return f"failure {self._failures}{of} of the API in a row: {error}"
        self._failures = 0
        return why_not_yet(rows, interval, self.time, self.minimum)

    def _defer(self, context: Context, interval: Interval) -> None:
        from airflow_provider_angus.triggers import TIMEOUT_MARGIN, AngusEntitiesTrigger

        now, deadline = datetime.now(UTC), self._deadline(context)
        if now >= deadline:
            raise _OutOfTimeError
        looked = now >= settled_at(interval, self.settle)
        trigger = AngusEntitiesTrigger(
            **self._trigger_arguments()
            | {
                "from_date": interval.start.isoformat(),
                "to_date": interval.end.isoformat(),
                "failures": self._failures,
                "first_look": (now + timedelta(seconds=self.poke_interval)).isoformat() if looked else None,
                "deadline": deadline.isoformat(),
            }
        )
        margin = timedelta(seconds=TIMEOUT_MARGIN)
        self.defer(trigger=trigger, method_name=self.look_again.__name__, timeout=deadline - now + margin)

    def _start_from_trigger(self) -> None:
        from airflow.triggers.base import StartTriggerArgs

        from airflow_provider_angus.triggers import TIMEOUT_MARGIN, AngusEntitiesTrigger

        def text(date: DateLike | None) -> str | None:
            return date if date is None or isinstance(date, str) else date.isoformat()

        self._begins_on_worker = False
        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=f"{AngusEntitiesTrigger.__module__}.{AngusEntitiesTrigger.__name__}",
            trigger_kwargs=self._trigger_arguments()
            | {
                "from_date": text(self.from_date),
                "to_date": text(self.to_date),
                "interval": self.interval.total_seconds() if self.interval else None,
            },
            next_method=self.look_again.__name__,
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

    def _deadline(self, context: Context) -> datetime:
        if self._time_is_up is None:
            # Airflow keeps the start of a try across its deferrals; dag.test() of 2.11 has none.
            started: datetime = context["ti"].start_date or datetime.now(UTC)
            self._time_is_up = started + timedelta(seconds=self.timeout)
        return self._time_is_up

    def _out_of_time(self) -> None:
        message = f"The data was not there within the timeout of {self.timeout:g} s."
        if self.soft_fail:
            raise AirflowSkipException(message)
        raise AirflowSensorTimeout(message)


class _OutOfTimeError(BaseException):
    """The time is up; not an Exception, because a sensor's time-out is not one of its poke's errors."""
