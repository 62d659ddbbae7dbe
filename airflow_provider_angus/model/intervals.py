"""Find the interval ``[start, end)`` of a DAG run. Pure: Airflow's context is only a mapping here.

A run without an interval is an error, because its task would succeed without data. Airflow 3 gives ``@daily`` runs an
empty data interval, and many runs have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import pendulum

from airflow_provider_angus.exceptions import AngusIntervalError
from airflow_provider_angus.model.arguments import describe_argument, digits_as_text

DateLike = str | date | datetime
Timezone = pendulum.Timezone | pendulum.FixedTimezone | str

#: The last date. The end of a bucket that contains a later instant may be in the year 10,000.
_LAST = datetime(9999, 12, 31, tzinfo=UTC)

_FIX = "If it is a template, this run lacks the value. Pass interval=timedelta(...) for such runs."


class Interval(NamedTuple):
    """A half-open interval in UTC: it contains ``start`` and does not contain ``end``."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Return ``<start> .. <end>`` in ISO 8601, for logs."""
        return f"{self.start.isoformat()} .. {self.end.isoformat()}"


def explicit_interval(from_date: DateLike, to_date: DateLike) -> Interval:
    """Return the interval between two given dates.

    :param from_date: start, inclusive: ISO 8601 text, date, datetime or pendulum DateTime; without an offset it is UTC.
    :param to_date: end, exclusive: the same types as ``from_date``.
    :raises AngusIntervalError: a date cannot be read, or ``to_date`` is not after ``from_date``.
    """
    start, end = (read_date(name, value, _FIX) for name, value in (("from_date", from_date), ("to_date", to_date)))
    if start >= end:
        raise AngusIntervalError(f"from_date: expected a date before to_date, got {Interval(start, end)}.")
    return Interval(start, end)


def check_interval_arguments(from_date: object, to_date: object, interval: object) -> None:
    """Reject arguments that cannot make an interval in any run. The dates may be templates.

    :raises AngusIntervalError: only one of the two dates is given, or ``interval`` is not a positive timedelta.
    """
    if (from_date is None) != (to_date is None):
        given, missing = ("to_date", "from_date") if from_date is None else ("from_date", "to_date")
        raise AngusIntervalError(
            f"{missing}: expected a date, because {given} is given, got None. Give both dates or neither."
        )
    if interval is not None and (not isinstance(interval, timedelta) or interval <= timedelta(0)):
        raise AngusIntervalError(f"interval: expected a positive timedelta, got {describe_argument(interval)}.")


def run_interval(
    context: Mapping[str, Any],
    *,
    from_date: DateLike | None = None,
    to_date: DateLike | None = None,
    interval: timedelta | None = None,
    timezone: Timezone = "UTC",
) -> Interval:
    """Return the interval of a DAG run, by the first of these rules that applies.

    1. ``from_date`` and ``to_date``, if given.
    2. The run's data interval, if it has one that is not empty.
    3. With ``interval``: ``[partition_date, partition_date + interval)`` for a partitioned run, which must have a
       partition date, otherwise ``[end - interval, end)`` with the end of the (empty) data interval, the logical date
       or ``run_after``.

    :param context: Airflow's task context. Any of these keys may be missing: ``data_interval_start``,
        ``data_interval_end``, ``logical_date``, ``partition_date``, ``dag_run``, ``dag``, ``run_id``.
    :param interval: A ``timedelta`` is a number of seconds. ``pendulum.duration(days=1)`` is a calendar day in
        ``timezone``, so that days of 23 or 25 hours neither overlap nor leave a gap.
    :param timezone: the time zone of the schedule, for calendar durations.
    :raises AngusIntervalError: the run has no interval and no argument gives one.
    """
    check_interval_arguments(from_date, to_date, interval)
    if from_date is not None and to_date is not None:
        return explicit_interval(from_date, to_date)
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is not None and end is not None and start < end:
        return Interval(read_date("data_interval_start", start), read_date("data_interval_end", end))
    partition_date = context.get("partition_date")
    dag_run = context.get("dag_run")
    partition_key = getattr(dag_run, "partition_key", None)
    anchor = end or context.get("logical_date") or getattr(dag_run, "run_after", None)
    if interval is not None and partition_date is not None:
        return _shifted(partition_date, interval, +1, timezone)
    if interval is not None and anchor is not None and partition_key is None:
        return _shifted(anchor, interval, -1, timezone)
    found = "no data interval" if start is None else f"an empty data interval ({start} .. {end})"
    if partition_date is not None:
        found = f"a partition date ({partition_date}) and no data interval"
    elif partition_key is not None:
        # The run may load any partition, whenever it runs. Airflow 3.2 does not pass the date to tasks.
        found = f"a partition key ({partition_key!r}), no partition date and no data interval"
    dag_id = getattr(context.get("dag"), "dag_id", "?")
    raise AngusIntervalError(
        f"DAG run {context.get('run_id', '?')!r} of {dag_id!r} has {found}, so the rows to fetch cannot be determined. "
        "Schedule the DAG with CronDataIntervalTimetable or DeltaDataIntervalTimetable, or pass "
        "interval=timedelta(...) (the length of each run), or pass from_date and to_date."
    )


def read_date(name: str, value: object, fix: str = "") -> datetime:
    """Return a date as an instant in UTC. Without a UTC offset it is UTC, like Airflow's ``ds``.

    :param name: the parameter, for messages.
    :param value: ISO 8601 text, a datetime, a pendulum DateTime, a date (its midnight), or an ``int`` of the eight
        digits of ISO 8601's basic format, which native rendering makes of ``{{ ds_nodash }}``.
    :param fix: a sentence for the message about text that is not a date.
    :raises AngusIntervalError: any other value, or a date outside the years 1 to 9999 or on the last day of 9999.
    """
    moment = digits_as_text(value) if isinstance(value, int) and 10**7 <= value < 10**8 else value
    try:
        # Stricter than pendulum.parse, which reads "12:00" and "now" as today.
        moment = datetime.fromisoformat(moment.strip()) if isinstance(moment, str) else moment
    except ValueError as error:
        raise AngusIntervalError(
            f"{name}: expected an ISO 8601 date, got {describe_argument(value)}. {fix}".rstrip()
        ) from error
    if not isinstance(moment, date):
        raise AngusIntervalError(
            f"{name}: expected a date, a datetime or ISO 8601 text, got {describe_argument(value)}."
        )
    try:
        utc = _to_utc(moment if isinstance(moment, datetime) else datetime.combine(moment, time()))
    except (OverflowError, ValueError) as error:
        raise AngusIntervalError(
            f"{name}: expected a date of the years 1 to 9999 in UTC, got {describe_argument(value)}."
        ) from error
    if utc > _LAST:
        raise AngusIntervalError(f"{name}: expected a date until {_LAST.date()}, got {describe_argument(value)}.")
    return utc


def later(moment: datetime, wait: timedelta | float) -> datetime:
    """Return a moment plus a wait, at most the last moment of the year 9999.

    :param wait: A ``timedelta`` or seconds.
    """
    try:
        # Not moment + wait: the months of a pendulum duration would be calendar months.
        return moment + timedelta(seconds=wait.total_seconds() if isinstance(wait, timedelta) else wait)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _to_utc(moment: datetime) -> datetime:
    utc = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    # A plain datetime: pendulum's arithmetic drops a time zone that is not its own.
    return datetime.combine(utc.date(), utc.time(), UTC)


def _shifted(moment: datetime, interval: timedelta, sign: int, timezone: Timezone) -> Interval:
    """Return the interval of this length that starts (+1) or ends (-1) at a moment."""
    try:
        edges = _to_utc(moment), _shift(moment, interval, sign, timezone)
    except (OverflowError, ValueError):
        edges = (_LAST, _LAST)
    start, end = edges[::sign]
    if start >= end or end > _LAST:
        raise AngusIntervalError(
            f"interval: expected a length in the years 1 to 9999 from {moment}, got {describe_argument(interval)}."
        )
    return Interval(start, end)


def _shift(moment: datetime, interval: timedelta, sign: int, timezone: Timezone) -> datetime:
    if not isinstance(interval, pendulum.Duration):
        return _to_utc(moment) + sign * interval
    local = pendulum.instance(_to_utc(moment)).in_timezone(timezone)
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
        # If daylight saving skips midnight, the day starts later. Whole days go from day start to day start.
        shifted = _day_start(shifted)
    return _to_utc(shifted)


def _day_start(local: pendulum.DateTime) -> pendulum.DateTime:
    # Not start_of("day"), which returns an instant of the day before if midnight is skipped.
    return pendulum.datetime(local.year, local.month, local.day, tz=local.timezone or "UTC")
