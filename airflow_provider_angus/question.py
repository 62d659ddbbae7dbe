"""What a task asks: the parameters that operators and sensors share, checked when parsed and when rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_angus.entities import check_metrics, check_time
from airflow_provider_angus.interval import check_interval_arguments, explicit_interval, run_interval
from airflow_provider_angus.windows import check_window

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta

    from airflow_provider_angus.interval import DateLike, Interval


class EntitiesQuestion:
    """The entities of which metrics, in which buckets, of which time: a mixin for operators and sensors.

    :param metrics: names of metrics, or one text with commas between them (templated).
    :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval) (templated).
    :param angus_conn_id: an Airflow connection of type ``angus``; one connection is one stream (templated).
    :param from_date: the first instant, instead of the run's own interval; without an offset it is UTC (templated).
    :param to_date: the first instant that does not belong to it any more (templated).
    :param interval: the time that a run covers which has no interval of its own: a ``timedelta``, or a
        ``pendulum.duration(days=1)`` for calendar days in the time zone of the schedule.
    :param window: how much of the run's interval is asked for at a time, in whole buckets.
    """

    template_fields: Collection[str] = ("metrics", "time", "angus_conn_id", "from_date", "to_date")

    metrics: str | list[str]
    time: str
    angus_conn_id: str | list[str]
    from_date: DateLike | None
    to_date: DateLike | None
    interval: timedelta | None
    window: timedelta | None

    def check_question(self) -> None:
        """Refuse what is wrong whatever the run; what is a template is checked when it has been rendered.

        :raises AngusRequestError: metrics or time are not the API's, or ``window`` is no length of time.
        :raises AngusIntervalError: the dates or ``interval`` cannot make an interval.
        """
        if not is_template(self.metrics):
            check_metrics(self.metrics)
        if not is_template(self.time):
            check_time(self.time)
        check_window(self.window)
        check_interval_arguments(self.from_date, self.to_date, self.interval)
        if self.from_date and self.to_date and not is_template(self.from_date) and not is_template(self.to_date):
            explicit_interval(self.from_date, self.to_date)

    def interval_of(self, context: Mapping[str, Any]) -> Interval:
        """Return the interval of this DAG run, once the question has been rendered and checked again.

        :param context: Airflow's task context.
        :raises AngusRequestError: metrics or time are not the API's.
        :raises AngusIntervalError: the run has no interval, see interval.py for the rules.
        """
        check_metrics(self.metrics)
        check_time(self.time)
        return run_interval(context, from_date=self.from_date, to_date=self.to_date, interval=self.interval)


def is_template(value: object) -> bool:
    """Return whether a value is known only in a run: Jinja in it, or what another task returned."""
    if isinstance(value, list | tuple):
        return any(map(is_template, value))
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return hasattr(value, "resolve")
