"""``AngusEntitiesOperator``: the entities of a DAG run's own interval, those and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_angus.availability import describe, missing_buckets
from airflow_provider_angus.entities import check_metrics, partial_buckets, totals
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.question import EntitiesQuestion

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import DateLike


class AngusEntitiesOperator(EntitiesQuestion, BaseOperator):
    """Fetch the entities of the DAG run's data interval and return them as rows.

    A run that has no interval of its own (``schedule="@daily"`` on Airflow 3, a manual or asset-triggered run) needs
    ``interval``, or ``from_date`` and ``to_date``; otherwise it fails with ``AngusIntervalError``. The rules are in
    :mod:`airflow_provider_angus.interval`.

    :param metrics: names of metrics, or one text with commas between them (templated): ``passing_by``,
        ``interested``, ``stop_time``, ``attention_time``, ``gender``, ``category``, ``satisfaction``.
    :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval) (templated).
    :param angus_conn_id: an Airflow connection of type ``angus``; one connection is one stream (templated).
    :param from_date: the first instant, instead of the run's own interval: ISO 8601 text, datetime or pendulum
        DateTime; without an offset it is UTC (templated).
    :param to_date: the first instant that does not belong to it any more, in the same forms (templated).
    :param interval: the time that a run covers which has no interval of its own, ending where the run's schedule
        says: a ``timedelta``, or a ``pendulum.duration(days=1)`` for calendar days in the time zone of the schedule.
    :returns: a list of flat dicts, one for each bucket; see :func:`airflow_provider_angus.entities.read_row`.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.metrics = metrics
        self.time = time
        self.angus_conn_id = angus_conn_id
        self.from_date = from_date
        self.to_date = to_date
        self.interval = interval
        self.check_question()

    def execute(self, context: Context) -> list[Row]:
        """Return the rows of this run's interval, whole or not at all."""
        interval = self.interval_of(context)
        hook = AngusHook(self.angus_conn_id)
        stream = hook.get_conn().stream.credentials.client_id
        metrics = ", ".join(check_metrics(self.metrics))
        self.log.info("Fetching %s (%s) of stream %s for %s", metrics, self.time, stream, interval)
        if cut := partial_buckets(interval, self.time):
            self.log.warning("The interval cuts %s partial; time='by_hour' or 'global' would be exact.", describe(cut))
        rows = hook.get_entities(self.metrics, interval.start, interval.end, self.time)
        if missing := missing_buckets(rows, interval, self.time):
            self.log.warning("%s missing; an AngusEntitiesSensor before this task waits for them.", describe(missing))
        sums = ", ".join(f"{column} {total}" for column, total in totals(rows).items())
        self.log.info("Fetched %s rows; totals: %s", len(rows), sums or "none")
        return rows
