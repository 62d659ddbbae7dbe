"""The arguments of both triggers: any type, normalised to JSON that is equal after each round trip."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from datetime import date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.models.trigger import Trigger
from airflow_versions import only_airflow_3
from any_arguments import result_or_refusal
from hypothesis import HealthCheck, given, settings
from strategies import arguments as any_arguments

from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError
from airflow_provider_angus.triggers import AngusBucketTrigger, AngusEntitiesTrigger

if TYPE_CHECKING:
    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

pytestmark = pytest.mark.thorough

DATE = datetime(2026, 11, 20, 20, 15, tzinfo=timezone(timedelta(hours=1)))
DATES = [
    DATE,
    DATE.isoformat(),
    pendulum.instance(DATE),
    pendulum.datetime(2026, 11, 20, tz="Europe/Paris"),
    datetime(2026, 11, 20),  # noqa: DTZ001 (a date without an offset is UTC)
    date(2026, 11, 20),
    "2026-11-20",
    20261120,
]
SECONDS = [60, 60.0, 0.5, timedelta(minutes=1), timedelta(microseconds=1), pendulum.duration(hours=1), timedelta(3650)]
NAMES = ["passing_by,interested", ["passing_by", "interested"], ("passing_by",), {"interested", "passing_by"}]
METRICS = [*NAMES, frozenset({"gender"}), dict.fromkeys(["gender"]).keys()]
CONNECTIONS = ["shop_1", 20231023]

#: Valid values of each argument of each trigger.
CASES: dict[type[Any], dict[str, list[Any]]] = {
    AngusEntitiesTrigger: {
        "angus_conn_id": [*CONNECTIONS, "{{ params.shop }}"],
        "metrics": [*METRICS, "{{ params.metrics }}", ["{{ params.metric }}"]],
        "time": ["by_hour", "by_day", "global", "{{ params.time }}"],
        "from_date": [None, *DATES, "{{ ds }}"],
        "to_date": [None, *DATES, "{{ ds }}"],
        "interval": [None, *SECONDS],
        "window": [None, *SECONDS],
        "minimum": [None, {"passing_by": 1}, MappingProxyType({"passing_by": 2.5}), {"passing_by": 10**300}],
        "settle": [0, *SECONDS],
        "poke_interval": [0, *SECONDS],
        "exponential_backoff": [True, False],
        "max_wait": [None, *SECONDS],
        "max_failures": [1, 5],
        "failures": [0, 4],
        "first_check": [None, *DATES],
        "retry_at": [None, *DATES],
        "deadline": [None, *DATES],
    },
    AngusBucketTrigger: {
        "angus_conn_id": CONNECTIONS,
        "time": ["by_hour", "by_day"],
        "metrics": METRICS,
        "since": [None, *DATES],
        "settle": [0, *SECONDS],
        "poke_interval": [0, *SECONDS],
    },
}
ARGUMENTS = [(cls, each.name) for cls in CASES for each in fields(cls)]
REQUIRED: dict[type[Any], dict[str, Any]] = {
    AngusEntitiesTrigger: {
        "angus_conn_id": "angus_default",
        "metrics": "passing_by",
        "time": "by_hour",
        "from_date": "2026-11-20",
        "to_date": "2026-11-21",
        "settle": 120,
        "poke_interval": 60,
        "max_failures": 5,
    },
    AngusBucketTrigger: {},
}

with_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def make(cls: type[Any], **arguments: Any) -> Any:
    return cls(**REQUIRED[cls] | arguments)


@pytest.mark.parametrize(("cls", "name"), ARGUMENTS)
def test_trigger_argument_is_equal_after_each_round_trip(cls: type[Any], name: str) -> None:
    """Through JSON, through the trigger's own arguments and through Airflow's table of triggers."""
    for value in CASES[cls][name]:
        path, stored = make(cls, **{name: value}).serialize()
        assert json.loads(json.dumps(stored)) == stored
        for copy in (cls(**stored), cls(**json.loads(json.dumps(stored))), cls(**Trigger(path, stored).kwargs)):
            assert json.dumps(copy.serialize()) == json.dumps((path, stored))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"metrics": ("passing_by", "interested")}, {"metrics": ["passing_by", "interested"]}),
        ({"metrics": {"passing_by", "interested"}}, {"metrics": ["interested", "passing_by"]}),
        ({"metrics": iter(["gender", "category"])}, {"metrics": ["gender", "category"]}),
        ({"since": DATE}, {"since": "2026-11-20T19:15:00+00:00"}),
        ({"since": date(2026, 11, 20)}, {"since": "2026-11-20T00:00:00+00:00"}),
        ({"since": "2026-11-20T20:00:00"}, {"since": "2026-11-20T20:00:00+00:00"}),
        ({"settle": timedelta(minutes=1), "poke_interval": 5}, {"settle": 60.0, "poke_interval": 5.0}),
        ({"angus_conn_id": 20231023}, {"angus_conn_id": "20231023"}),
    ],
)
def test_bucket_trigger_normalises_its_arguments(arguments: dict[str, Any], expected: dict[str, Any]) -> None:
    stored = AngusBucketTrigger(**arguments).serialize()[1]
    assert {name: stored[name] for name in expected} == expected


HUGE = 10**5000
BAD_SECONDS = [-1, -0.1, True, float("nan"), float("inf"), HUGE, 1e300, "60", None, [60], timedelta(-1), timedelta.max]


@pytest.mark.parametrize(
    ("name", "values", "error"),
    [
        ("settle", BAD_SECONDS, AngusRequestError),
        ("poke_interval", BAD_SECONDS, AngusRequestError),
        ("angus_conn_id", [None, True, 1.5, "", " ", ["a"], HUGE, b"a", "{{ x }}"], AngusRequestError),
        ("metrics", [None, 1, "", "visitors", [], [1], {"passing_by": 1}, "{{ x }}", b"gender"], AngusRequestError),
        ("time", [None, 1, "global", "by_week", ["by_hour"]], AngusRequestError),
        ("since", [0, True, 1.5, "", "yesterday", [], "9999-12-31T01:00", HUGE], AngusIntervalError),
    ],
)
def test_bucket_trigger_refuses_an_invalid_argument(name: str, values: list[Any], error: type[Exception]) -> None:
    for value in values:
        with pytest.raises(error, match=f"^{name}: expected ") as caught:
            AngusBucketTrigger(**{name: value})
        assert "None" if value is None else f" {type(value).__name__}" in str(caught.value)


@pytest.mark.parametrize("name", CASES[AngusBucketTrigger])
@with_fixtures
@given(value=any_arguments)
def test_bucket_trigger_accepts_or_refuses_any_argument(name: str, value: object) -> None:
    result_or_refusal(lambda: json.dumps(AngusBucketTrigger(**{name: value}).serialize()), name, value)


# After rendering in the triggerer


async def collect(trigger: AngusEntitiesTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


@pytest.mark.usefixtures("connection", "no_backoff")
@pytest.mark.parametrize("name", CASES[AngusEntitiesTrigger])
@with_fixtures
@given(value=any_arguments)
def test_entities_trigger_with_any_argument_signals(
    airflow: Airflow, sandbox: Sandbox, name: str, value: object
) -> None:
    """As an argument, and as the result of a template. Its events and arguments are JSON."""
    assert airflow
    assert sandbox
    # Valid dates and waits may lie in the future.
    past = {} if name == "deadline" else {"deadline": "2026-11-21T00:00:00+00:00"}
    created, rendered = make(AngusEntitiesTrigger, **past, **{name: value}), make(AngusEntitiesTrigger, **past)
    stored = created.serialize()[1]
    assert json.loads(json.dumps(stored)) == stored
    assert AngusEntitiesTrigger(**stored).serialize()[1] == stored
    setattr(rendered, name, value)
    for trigger in (created, rendered):
        (event,) = asyncio.run(asyncio.wait_for(collect(trigger), 10))
        assert json.loads(json.dumps(event)) == event
        assert event["version"] == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("metrics", 5, "metrics: expected one or more of .*, got int 5"),
        ("time", None, "time: expected one of .*, got None"),
        ("angus_conn_id", "{{ x }}", "angus_conn_id: expected a connection ID, got str '{{ x }}'"),
        ("from_date", "", "from_date: expected an ISO 8601 date, got str ''"),
        ("interval", -1, "interval: expected a timedelta or seconds, from 0 to 3650 days, got int -1"),
        ("settle", float("nan"), "settle: expected a timedelta or seconds, .*nan"),
        ("max_failures", True, "max_failures: expected an integer from 1 to 1000000, got bool True"),
        ("minimum", {"passing_by": "1"}, "minimum.'passing_by'.: expected a finite number, got str '1'"),
        ("first_check", [], "first_check: expected a date"),
        ("failures", "x", "failures: expected an integer from 0 .*, got str 'x'"),
        ("deadline", "soon", "deadline: expected an ISO 8601 date, got str 'soon'"),
    ],
)
def test_entities_trigger_logs_an_invalid_argument(
    airflow: Airflow, sandbox: Sandbox, name: str, value: object, message: str
) -> None:
    trigger = make(AngusEntitiesTrigger)
    setattr(trigger, name, value)
    assert asyncio.run(collect(trigger)) == [{"version": 1, "failures": 0, "deadline": None}]
    assert re.search(f"Waiting cannot help; checking from the worker: {message}", airflow.log)
    assert sandbox.count() == 0


@only_airflow_3
def test_entities_trigger_template_error_signals(airflow: Airflow, sandbox: Sandbox) -> None:
    trigger = make(AngusEntitiesTrigger, metrics="{{ 1 / 0 }}")
    trigger.template_fields = ("metrics",)
    trigger.render_template_fields({})
    assert asyncio.run(collect(trigger)) == [{"version": 1, "failures": 0, "deadline": None}]
    assert "checking from the worker: The triggerer cannot render the templates." in airflow.log
    assert sandbox.count() == 0


# The identity of a watcher's trigger

HASH = """
from datetime import date, timedelta
from airflow.triggers import base
from airflow_provider_angus.triggers import AngusBucketTrigger
metrics = {"passing_by", "interested", "gender", "category"}
trigger = AngusBucketTrigger(metrics=metrics, settle=timedelta(minutes=2), since=date(2026, 11, 20))
base.hash = print
base.BaseEventTrigger.hash(*trigger.serialize())
"""


@only_airflow_3
def test_bucket_trigger_has_the_same_identity_in_each_parse() -> None:
    """Airflow's hash of a text differs between processes, so this compares the texts."""
    parses = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", HASH],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    first, second = (parse.communicate()[0].splitlines()[-1] for parse in parses)
    assert "airflow_provider_angus.triggers.AngusBucketTrigger" in first
    assert first == second
