"""``AngusEntitiesSensor``: waits until the data of a DAG run's own interval is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseSensorOperator

from airflow_provider_angus.availability import check_minimum, settled_at, why_not_yet
from airflow_provider_angus.entities import check_metrics
from airflow_provider_angus.exceptions import AngusError, AngusRequestError
from airflow_provider_angus.hooks import AngusHook
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
    :param settle: how long after the interval's end its data may still change; the vendor says about a minute.
    :param minimum: ``{"passing_by": 1}``: totals over the interval that must be reached. Any column that adds up.
    :param max_failures: how many failures of the API in a row a sensor in poke mode bears before it fails (and is
        retried as any task).
    :raises AngusError: see the tree in :mod:`airflow_provider_angus.exceptions`.
    """

    def __init__(
        self,
        *,
        metrics: str | list[str],
        time: str = "global",
        angus_conn_id: str = AngusHook.default_conn_name,
        from_date: DateLike | None = None,
        to_date: DateLike | None = None,
        interval: timedelta | None = None,
        settle: timedelta = timedelta(minutes=2),
        minimum: Mapping[str, float] | None = None,
        max_failures: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.metrics = metrics
        self.time = time
        self.angus_conn_id = angus_conn_id
        self.from_date = from_date
        self.to_date = to_date
        self.interval = interval
        self.settle = settle
        self.minimum = minimum
        self.max_failures = max_failures
        self._failures = 0
        self.check_question()
        if not isinstance(settle, timedelta) or settle < timedelta(0):
            raise AngusRequestError(f"settle must be a timedelta of zero or more, got {settle!r}.")
        if not isinstance(max_failures, int) or max_failures < 1:
            raise AngusRequestError(f"max_failures must be a number of one or more, got {max_failures!r}.")
        if not is_template(metrics):
            check_minimum(minimum, check_metrics(metrics))

    def poke(self, context: Context) -> bool:
        """Return whether the data is there; where it is not, log why."""
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
            return False
        self.log.info("The data of %s is there.", interval)
        return True

    def _ask(self, interval: Interval) -> str | None:
        try:
            rows = AngusHook(self.angus_conn_id).get_entities(self.metrics, interval.start, interval.end, self.time)
        except AirflowFailException:
            raise
        except AngusError as error:
            self._failures += 1
            if self._failures >= self.max_failures and not self.reschedule:
                raise
            of = f" of {self.max_failures}" if not self.reschedule else ""
            return f"failure {self._failures}{of} of the API in a row: {error}"
        self._failures = 0
        return why_not_yet(rows, interval, self.time, self.minimum)
