"""The arguments of triggers. They may have any type after the triggerer has rendered them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pendulum

from airflow_provider_angus._compat import STARTS_FROM_TRIGGER
from airflow_provider_angus._parameters import connection_id, is_template
from airflow_provider_angus.model.arguments import read_count, read_seconds
from airflow_provider_angus.model.availability import check_minimum, settled_at
from airflow_provider_angus.model.buckets import Time, check_time
from airflow_provider_angus.model.entities import check_metrics
from airflow_provider_angus.model.intervals import Interval, read_date, run_interval
from airflow_provider_angus.model.windows import check_window

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: Names that a triggerer can render. Others may wait forever, such as ``ti.xcom_pull`` of Airflow 3.3.
_KNOWN_IN_TRIGGERER = {
    *("dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "logical_date", "macros", "params"),
    *("partition_date", "partition_key", "run_id", "ts", "ts_nodash", "ts_nodash_with_tz"),
}


class Query(NamedTuple):
    """Checked arguments of ``AngusEntitiesTrigger``. ``earliest`` is the time of the first request."""

    angus_conn_id: str
    metrics: list[str]
    interval: Interval
    time: Time
    window: timedelta | None
    minimum: Mapping[str, float] | None
    earliest: datetime
    poke_interval: float
    exponential_backoff: bool
    max_wait: float | None
    max_failures: int


def read_query(arguments: Mapping[str, Any], context: Mapping[str, Any]) -> Query:
    """Return a trigger's arguments, checked.

    :param arguments: the arguments of ``AngusEntitiesTrigger`` by name.
    :param context: the context of the task that the trigger starts, or empty.
    :raises AngusRequestError: an argument is invalid.
    :raises AngusIntervalError: a date is invalid, or the DAG run has no interval.
    """
    metrics, window = check_metrics(arguments["metrics"]), _read_length(arguments, "window")
    check_minimum(arguments["minimum"], metrics)
    check_window(window)
    dates = {name: arguments[name] for name in ("from_date", "to_date")}
    interval = run_interval(context, **dates, interval=_read_length(arguments, "interval"))
    earliest = settled_at(interval, read_seconds("settle", arguments["settle"]))
    if arguments["first_check"] is not None:
        earliest = max(earliest, read_date("first_check", arguments["first_check"]))
    return Query(
        angus_conn_id=connection_id("angus_conn_id", arguments["angus_conn_id"]),
        metrics=metrics,
        interval=interval,
        time=check_time(arguments["time"]),
        window=window,
        minimum=arguments["minimum"],
        earliest=earliest,
        poke_interval=read_seconds("poke_interval", arguments["poke_interval"]),
        exponential_backoff=bool(arguments["exponential_backoff"]),
        max_wait=None if arguments["max_wait"] is None else read_seconds("max_wait", arguments["max_wait"]),
        max_failures=read_count("max_failures", arguments["max_failures"], least=1),
    )


def _read_length(arguments: Mapping[str, Any], name: str) -> timedelta | None:
    value = arguments[name]
    return None if value is None else timedelta(seconds=read_seconds(name, value))


def worker_reason(sensor: Any) -> str | None:
    """Return why the wait of a sensor cannot start in the triggerer, or None if it can.

    :param sensor: an ``AngusEntitiesSensor`` before its templates are rendered.
    """
    native = getattr(sensor.get_dag(), "render_template_as_native_obj", False)
    reasons = {
        "Airflow 3.3 is required": not STARTS_FROM_TRIGGER,
        "interval is a calendar duration": isinstance(sensor.interval, pendulum.Duration),
        # The triggerer renders every template as text, also the template of a number or, with native rendering, a list.
        "minimum is a template": is_template(sensor.minimum),
        "metrics is a native template": native and is_template(sensor.metrics),
    }
    known = [reason for reason, applies in reasons.items() if applies]
    known += filter(None, (_unknown_reason(name, getattr(sensor, name)) for name in sensor.template_fields))
    return known[0] if known else None


def _unknown_reason(name: str, value: object) -> str | None:
    texts = _stored_texts(value)
    if texts is None:
        return f"{name} comes from another task or a function"
    unknown = set().union(*map(_template_names, texts)) - _KNOWN_IN_TRIGGERER
    return f"only a worker can render {', '.join(sorted(unknown))} in {name}" if unknown else None


def _stored_texts(value: object) -> list[str] | None:
    """Return the texts in a value that Airflow can store with a DAG, or None if it cannot store the value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple | dict):
        texts = [_stored_texts(each) for each in (value.values() if isinstance(value, dict) else value)]
        return None if None in texts else [text for each in texts for text in each or ()]
    return [] if value is None or isinstance(value, int | float | date) else None


def _template_names(text: str) -> set[str]:
    import jinja2
    import jinja2.meta

    try:
        return jinja2.meta.find_undeclared_variables(jinja2.Environment().parse(text))  # noqa: S701 (renders nothing)
    except jinja2.TemplateSyntaxError:
        # The worker raises Airflow's error.
        return {"a template with a syntax error"}


def serialize_fields(trigger: DataclassInstance) -> tuple[str, dict[str, Any]]:
    """Return a trigger's class path and its arguments by name."""
    cls = type(trigger)
    return f"{cls.__module__}.{cls.__qualname__}", {each.name: getattr(trigger, each.name) for each in fields(trigger)}
