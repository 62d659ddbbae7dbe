"""Which time is a DAG run's own: DAG run -> ``[start, end)``. Pure: knows Airflow's context only as a mapping.

The rules, in this order (Airflow 3 leaves the interval out or makes it empty more often than one would think):

1. ``from_date`` and ``to_date``, where they are given.
2. The run's data interval, where it has one that is not empty.
3. With ``interval=``: ``[partition_date, partition_date + interval)`` for a partitioned run, else
   ``[end - interval, end)`` with the end of the (empty) data interval, the logical date or ``run_after``.
4. Otherwise :class:`~airflow_provider_angus.exceptions.AngusIntervalError`: an empty interval never silently
   fetches nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pendulum

from airflow_provider_angus.exceptions import AngusIntervalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    DateLike = str | date | datetime


class Interval(NamedTuple):
    """A stretch of time, half-open: ``start`` belongs to it, ``end`` does not. Both are in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Return ``2017-09-03T00:00:00+00:00 .. 2017-09-04T00:00:00+00:00``, as it stands in logs."""
        return f"{self.start.isoformat()} .. {self.end.isoformat()}"


def explicit_interval(from_date: DateLike, to_date: DateLike) -> Interval:
    """Return the interval between two dates that somebody gave.

    :param from_date: the first instant: an ISO 8601 text, a datetime, a pendulum DateTime or a date (its midnight).
        Without a UTC offset it is read as UTC, as Airflow's own ``ds`` is.
    :param to_date: the first instant that does not belong to it any more, in the same forms.
    :raises AngusIntervalError: a date cannot be read, or ``to_date`` is not after ``from_date``.
    """
    interval = Interval(_instant("from_date", from_date), _instant("to_date", to_date))
    if interval.start >= interval.end:
        raise AngusIntervalError(f"from_date must be before to_date, got {interval}.")
    return interval


def check_interval_arguments(from_date: object, to_date: object, interval: object) -> None:
    """Refuse, when a DAG is parsed, what cannot become an interval in any run.

    :param from_date: as given to the operator; may be a template.
    :param to_date: the same.
    :param interval: a positive ``timedelta`` (or pendulum Duration), or None.
    :raises AngusIntervalError: only one of the two dates is given, or ``interval`` is no positive length of time.
    """
    if (from_date is None) != (to_date is None):
        given, missing = ("to_date", "from_date") if from_date is None else ("from_date", "to_date")
        raise AngusIntervalError(f"{given} is given without {missing}: give both dates, or neither.")
    if interval is None:
        return
    if not isinstance(interval, timedelta) or interval <= timedelta(0):
        raise AngusIntervalError(f"interval must be a timedelta longer than zero, got {interval!r}.")


def run_interval(
    context: Mapping[str, Any],
    *,
    from_date: DateLike | None = None,
    to_date: DateLike | None = None,
    interval: timedelta | None = None,
) -> Interval:
    """Return the interval whose rows are this DAG run's, by the rules at the top of this file.

    :param context: Airflow's task context. Keys may be absent, as they are in Airflow 3 for runs without a logical
        date: ``data_interval_start``, ``data_interval_end``, ``logical_date``, ``partition_date``, ``dag_run``,
        ``dag``, ``run_id``.
    :param from_date: see :func:`explicit_interval`.
    :param to_date: see :func:`explicit_interval`.
    :param interval: how much time a run without an interval of its own covers. A ``timedelta`` is that many seconds;
        a ``pendulum.duration(days=1)`` is a calendar day in the time zone of the DAG's schedule, so that days which
        daylight saving makes 23 or 25 hours long neither overlap nor leave a gap.
    :raises AngusIntervalError: the run has no interval and nothing else says what it is.
    """
    check_interval_arguments(from_date, to_date, interval)
    if from_date is not None and to_date is not None:
        return explicit_interval(from_date, to_date)
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is not None and end is not None and start < end:
        return Interval(_utc(start), _utc(end))
    partition_date = context.get("partition_date")
    run_after = getattr(context.get("dag_run"), "run_after", None)
    anchor = end or context.get("logical_date") or run_after
    if interval is not None and partition_date is not None:
        return Interval(_utc(partition_date), _shifted(partition_date, interval, +1, context))
    if interval is not None and anchor is not None:
        return Interval(_shifted(anchor, interval, -1, context), _utc(anchor))
    raise AngusIntervalError(_no_interval(context, start, end, partition_date))


def _no_interval(context: Mapping[str, Any], start: object, end: object, partition_date: object) -> str:
    if partition_date is not None:
        has = f"a partition date ({partition_date}) and no data interval"
    elif start is not None:
        has = f"an empty data interval ({start} .. {end})"
    else:
        has = "no data interval"
    dag_id = getattr(context.get("dag"), "dag_id", "?")
    return (
        f"DAG run {context.get('run_id', '?')!r} of {dag_id!r} has {has}: there is no telling which rows are its own. "
        "Three ways out: schedule the DAG with CronDataIntervalTimetable or DeltaDataIntervalTimetable; "
        "give interval=timedelta(...), the time each run covers; or give from_date and to_date."
    )


def _instant(name: str, value: DateLike) -> datetime:
    moment: date | datetime
    if isinstance(value, str):
        try:
            # Stricter than pendulum.parse, which reads "12:00" and "now" as today.
            moment = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise AngusIntervalError(
                f"{name}={value!r} is not an ISO 8601 date. If it is a template, this run does not have "
                "what it asks for; interval=timedelta(...) works for such runs."
            ) from error
    else:
        moment = value
    if isinstance(moment, datetime):
        try:
            return _utc(moment)
        except OverflowError as error:
            raise AngusIntervalError(f"{name}={value!r} is outside of the years 1 to 9999 in UTC.") from error
    if isinstance(moment, date):
        return datetime.combine(moment, time(), UTC)
    raise AngusIntervalError(f"{name} must be a date, a datetime or an ISO 8601 text, got {value!r}.")


def _utc(moment: datetime) -> datetime:
    utc = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    # A plain datetime: pendulum's arithmetic forgets a time zone that is not one of its own.
    return datetime.combine(utc.date(), utc.time(), UTC)


def _shifted(moment: datetime, interval: timedelta, sign: int, context: Mapping[str, Any]) -> datetime:
    if not isinstance(interval, pendulum.Duration):
        return _utc(moment) + sign * interval
    dag = context.get("dag")
    timetable = getattr(dag, "timetable", None)
    # Airflow 2.11's cron timetables keep their time zone to themselves.
    zones = (
        getattr(timetable, "timezone", None),
        getattr(timetable, "_timezone", None),
        getattr(dag, "timezone", None),
    )
    zone = next(filter(None, zones), "UTC")
    local = pendulum.instance(_utc(moment)).in_timezone(zone)
    shifted = local.add(
        years=sign * interval.years,
        months=sign * interval.months,
        days=sign * (7 * interval.weeks + interval.remaining_days),
        hours=sign * interval.hours,
        minutes=sign * interval.minutes,
        seconds=sign * interval.remaining_seconds,
        microseconds=sign * interval.microseconds,
    )
    if local == _day_start(local) and not interval.seconds and not interval.microseconds:
        # Where daylight saving skips midnight, that day starts later: whole days go from start to start.
        shifted = _day_start(shifted)
    return _utc(shifted)


def _day_start(local: pendulum.DateTime) -> pendulum.DateTime:
    # Not start_of("day"), which falls into the day before where midnight is skipped.
    return pendulum.datetime(local.year, local.month, local.day, tz=local.timezone or "UTC")
