"""The parameters that operators and sensors share, checked when the DAG is parsed and again when they are rendered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_angus._compat import schedule_timezone
from airflow_provider_angus.exceptions import AngusRequestError, AngusTargetError
from airflow_provider_angus.loading.sql_names import check_table
from airflow_provider_angus.model.arguments import as_list, check_length, describe_argument, digits_as_text, is_name
from airflow_provider_angus.model.buckets import Time, check_time
from airflow_provider_angus.model.entities import check_metrics
from airflow_provider_angus.model.intervals import (
    DateLike,
    Interval,
    check_interval_arguments,
    explicit_interval,
    read_date,
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
    settle: timedelta

    def check_parameters(self) -> None:
        """Reject parameters that are invalid in every run. Templates are checked after rendering.

        :raises AngusRequestError: metrics, time, angus_conn_id, window or settle are invalid.
        :raises AngusIntervalError: the dates or ``interval`` cannot make an interval.
        """
        if not is_template(self.metrics):
            check_metrics(self.metrics)
        if not is_template(self.time):
            check_time(self.time)
        if not is_template(self.angus_conn_id):
            connection_ids("angus_conn_id", self.angus_conn_id)
        check_window(self.window)
        check_length("settle", self.settle)
        check_interval_arguments(self.from_date, self.to_date, self.interval)
        dates = {"from_date": self.from_date, "to_date": self.to_date}
        known = {name: date for name, date in dates.items() if date is not None and not is_template(date)}
        for name, date in known.items():
            read_date(name, date)
        if len(known) == len(dates):
            explicit_interval(**known)

    def get_interval(self, context: Mapping[str, Any]) -> Interval:
        """Return the interval of a DAG run, after checking and normalising the rendered parameters.

        :raises AngusRequestError: metrics, time or angus_conn_id are invalid.
        :raises AngusIntervalError: the run has no interval.
        """
        self.metrics = check_metrics(self.metrics)
        self.time = check_time(self.time)
        # An iterator is read once, so the list replaces it.
        angus_conn_id = normalize_list(self.angus_conn_id)
        connection_ids("angus_conn_id", angus_conn_id)
        self.angus_conn_id = angus_conn_id
        return run_interval(
            context,
            from_date=self.from_date,
            to_date=self.to_date,
            interval=self.interval,
            timezone=schedule_timezone(context),
        )


def is_template(value: object) -> bool:
    """Return whether a value is known only in a run: Jinja, a callable, or the result of another task.

    Airflow renders text, and text in lists, tuples, sets and values of dicts.
    """
    if callable(value) and not isinstance(value, type):
        return True
    pending, seen = [value], set()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, str):
            if any(mark in each for mark in ("{{", "{%", "{#")):
                return True
        elif isinstance(each, list | tuple | set | frozenset):
            pending.extend(each)
        elif isinstance(each, dict):
            pending.extend(each.values())
        elif is_resolvable(each):
            return True
    return False


def is_resolvable(value: object) -> bool:
    """Return whether Airflow replaces a value in a run by calling its ``resolve``: the result of a task, a literal."""
    # Paths have a resolve, too. Only values of Airflow also have the method by which it finds upstream tasks.
    return all(hasattr(type(value), method) for method in ("resolve", "iter_references"))


def normalize_list(value: Any) -> Any:
    """Return an iterable as a list, those of a set in a stable order. Any other value is returned unchanged.

    Text, mappings, bytes and values that Airflow resolves in a run are no lists. An iterator is read once.
    """
    values = None if is_resolvable(value) else as_list(value)
    return value if values is None else values


def connection_id(name: str, value: object) -> str:
    """Return a connection ID as text. An ``int``, which native rendering makes of text of digits, is its digits.

    :param name: the parameter, for the message.
    :raises AngusRequestError: any other value.
    """
    text = digits_as_text(value)
    if not isinstance(text, str) or not text.strip() or not text.isprintable() or is_template(text):
        raise AngusRequestError(f"{name}: expected a connection ID, got {describe_argument(value)}.")
    return text


def connection_ids(name: str, value: object) -> list[str]:
    """Return one connection ID, or any iterable of connection IDs, as a list of text.

    :param name: the parameter, for the message.
    :raises AngusRequestError: there is no ID, or a value is not a connection ID.
    """
    values = as_list(value)
    if values is None:
        return [connection_id(name, value)]
    if not values:
        raise AngusRequestError(f"{name}: expected at least one connection ID, got {describe_argument(value)}.")
    return [connection_id(name, each) for each in values]


def table_name(value: object) -> str:
    """Return the name of a table as text. An ``int``, which native rendering makes of text of digits, is its digits.

    :raises AngusTargetError: any other value.
    """
    name = digits_as_text(value)
    if not isinstance(name, str) or not is_name(name) or is_template(name):
        raise AngusTargetError(f"table: expected the name of a table, got {describe_argument(value)}.")
    check_table(name)
    return name
