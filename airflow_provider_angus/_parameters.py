"""The parameters that operators and sensors share, checked when the DAG is parsed and again when they are rendered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_angus._compat import schedule_timezone
from airflow_provider_angus.model.buckets import Time, check_time
from airflow_provider_angus.model.entities import check_metrics
from airflow_provider_angus.model.intervals import (
    DateLike,
    Interval,
    check_interval_arguments,
    explicit_interval,
    run_interval,
)
from airflow_provider_angus.model.windows import check_window


class EntitiesParametersMixin:
    """The parameters of a query for entities, and the interval that they and a DAG run define."""

    template_fields: Collection[str] = ("metrics", "time", "angus_conn_id", "from_date", "to_date")

    metrics: str | list[str]
    time: Time
    angus_conn_id: str | list[str]
    from_date: DateLike | None
    to_date: DateLike | None
    interval: timedelta | None
    window: timedelta | None

    def check_parameters(self) -> None:
        """Reject parameters that are invalid in every run. Templates are checked after rendering.

        :raises AngusRequestError: metrics, time or window are invalid.
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

    def get_interval(self, context: Mapping[str, Any]) -> Interval:
        """Return the interval of a DAG run, after checking the rendered parameters.

        :raises AngusRequestError: metrics or time are invalid.
        :raises AngusIntervalError: the run has no interval.
        """
        check_metrics(self.metrics)
        check_time(self.time)
        return run_interval(
            context,
            from_date=self.from_date,
            to_date=self.to_date,
            interval=self.interval,
            timezone=schedule_timezone(context),
        )


def is_template(value: object) -> bool:
    """Return whether a value is known only in a run: Jinja, or the result of another task."""
    if isinstance(value, list | tuple):
        return any(map(is_template, value))
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return hasattr(value, "resolve")
