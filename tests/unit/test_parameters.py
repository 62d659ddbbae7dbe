"""The parameters that operators and sensors share: recognition of templates, checks, and the interval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, literal
from transfers import fetch

from airflow_provider_angus._parameters import (
    EntitiesParametersMixin,
    connection_ids,
    is_resolvable,
    is_template,
    normalize_list,
)
from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError
from airflow_provider_angus.model.intervals import Interval

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


class Parameters(EntitiesParametersMixin):
    """The mixin with parameters that are valid, except those given."""

    def __init__(self, **changes: Any) -> None:
        self.metrics, self.time = "passing_by", "by_hour"
        self.angus_conn_id = "angus_default"
        self.from_date = self.to_date = self.interval = self.window = None
        self.settle = timedelta(0)
        vars(self).update(changes)


@pytest.mark.parametrize(
    "value",
    [
        "{{ ds }}",
        "a {% if x %}b{% endif %}",
        "{# x #}",
        ["a", "{{ b }}"],
        ("{{ a }}",),
        {"a", "{{ b }}"},
        {"a": ["{{ b }}"]},
        lambda: "passing_by",
    ],
)
def test_is_template_jinja_or_callable_is_true(value: object) -> None:
    assert is_template(value)


def test_is_template_values_that_airflow_resolves_are_true() -> None:
    """Airflow has no public class of these values. The test fails if they lose the methods that they share."""
    with DAG("shop", schedule=None, start_date=MIDNIGHT) as dag:
        output = fetch().output
    values = (output, output.map(str), output.zip(output), output.concat(output), literal("a"), dag.param("a", "b"))
    for value in values:
        assert is_resolvable(value)
        assert all(map(is_template, (value, ["a", value], (value,), {"a": {"b": value}})))


@pytest.mark.parametrize(
    "value",
    [
        *("", "passing_by", "{ds}", None, 3, MIDNIGHT, int),
        *([], ["a", "b"], ("a",), {"a"}, {"{{ a }}": 1}, {"a": ["b"]}),
        *(Path("a"), Path, PurePath("a"), ObjectStoragePath("/a"), ObjectStoragePath("s3://a/b")),
    ],
    ids=repr,
)
def test_is_template_other_value_is_false(value: object) -> None:
    assert not is_template(value)


def test_is_template_recursive_or_deep_list_ends() -> None:
    recursive: list[Any] = ["a"]
    recursive.append(recursive)
    assert not is_template(recursive)
    deep: Any = "{{ a }}"
    for _ in range(10_000):
        deep = [deep]
    assert is_template(deep)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("b", "a"), ["b", "a"]),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (frozenset({"b", 2, "{{ a }}"}), [2, "b", "{{ a }}"]),
        ((name for name in ["b", "a"]), ["b", "a"]),
        ({"b": 1, "a": 2}.keys(), ["b", "a"]),
        ("b,a", "b,a"),
        (b"ba", b"ba"),
        ({"b": 1}, {"b": 1}),
        (None, None),
        (range(10**9), range(10**9)),
    ],
)
def test_normalize_list_makes_lists_of_iterables(value: Any, expected: object) -> None:
    assert normalize_list(value) == expected


def test_normalize_list_keeps_result_of_another_task() -> None:
    output = fetch().output
    assert normalize_list(output) is output
    assert normalize_list((output,))[0] is output


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("shop", ["shop"]),
        (20231023, ["20231023"]),
        (["shop", 7], ["shop", "7"]),
        ({"b", "a"}, ["a", "b"]),
        (iter(("b", "a")), ["b", "a"]),
    ],
)
def test_connection_ids_returns_text(value: object, expected: list[str]) -> None:
    assert connection_ids("angus_conn_id", value) == expected


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "expected a connection ID, got None."),
        (True, "expected a connection ID, got bool True."),
        (1.0, "expected a connection ID, got float 1.0."),
        (" ", "expected a connection ID, got str ' '."),
        ("a\nb", r"expected a connection ID, got str 'a\nb'."),
        ("\u3000a", r"expected a connection ID, got str '\u3000a'."),
        ("\ud800", r"expected a connection ID, got str '\ud800'."),
        ("{{ a }}", "expected a connection ID, got str '{{ a }}'."),
        pytest.param(10**5000, "expected a connection ID, got int.", id="5,001 digits"),
        (b"shop", "expected a connection ID, got bytes b'shop'."),
        ({"shop": 1}, "expected a connection ID, got dict {'shop': 1}."),
        (["shop", ["a"]], "expected a connection ID, got list ['a']."),
        (range(10**9), "expected a connection ID, got range range(0, 1000000000)."),
        (set(), "expected at least one connection ID, got set set()."),
    ],
)
def test_connection_ids_other_value_raises_with_name(value: object, problem: str) -> None:
    with pytest.raises(AngusRequestError) as raised:
        connection_ids("angus_conn_id", value)
    assert str(raised.value) == f"angus_conn_id: {problem}"


def test_parameters_valid_or_templated_pass_check() -> None:
    Parameters().check_parameters()
    Parameters(metrics="{{ a }}", time="{{ b }}", from_date="{{ c }}", to_date="{{ d }}").check_parameters()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"metrics": "visitors"}, AngusRequestError),
        ({"time": "by_week"}, AngusRequestError),
        ({"window": timedelta(0)}, AngusRequestError),
        ({"interval": timedelta(0)}, AngusIntervalError),
        ({"from_date": "{{ a }}"}, AngusIntervalError),
        ({"from_date": "2026-11-21", "to_date": "2026-11-20"}, AngusIntervalError),
    ],
)
def test_parameters_invalid_in_every_run_fail_check(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Parameters(**changes).check_parameters()


@pytest.mark.parametrize("changes", [{"metrics": "visitors"}, {"time": "by_week"}])
def test_get_interval_checks_rendered_parameters(changes: dict[str, Any]) -> None:
    with pytest.raises(AngusRequestError):
        Parameters(**changes).get_interval(
            {"data_interval_start": MIDNIGHT - timedelta(1), "data_interval_end": MIDNIGHT}
        )


@pytest.mark.parametrize("holder", ["timetable.timezone", "timetable._timezone", "dag.timezone"])
def test_get_interval_calendar_day_uses_schedule_timezone(holder: str) -> None:
    """The timetable of Airflow 2.11's cron schedules has only a private attribute."""
    paris = pendulum.timezone("Europe/Paris")
    timetable = SimpleNamespace(**{holder.partition(".")[2]: paris} if holder.startswith("timetable") else {})
    dag = SimpleNamespace(timetable=timetable, timezone=paris if holder == "dag.timezone" else None)
    end = pendulum.datetime(2026, 10, 26, tz="Europe/Paris")
    interval = Parameters(interval=pendulum.duration(days=1)).get_interval({"dag": dag, "logical_date": end})
    assert interval == Interval(datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC))


def test_get_interval_calendar_day_without_schedule_is_utc() -> None:
    interval = Parameters(interval=pendulum.duration(days=1)).get_interval({"logical_date": MIDNIGHT})
    assert interval == Interval(MIDNIGHT - timedelta(days=1), MIDNIGHT)
