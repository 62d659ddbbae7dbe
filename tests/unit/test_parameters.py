"""The parameters that operators and sensors share: recognition of templates, checks, and the interval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from transfers import fetch

from airflow_provider_angus._parameters import EntitiesParametersMixin, is_template
from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError
from airflow_provider_angus.model.intervals import Interval

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


class Parameters(EntitiesParametersMixin):
    """The mixin with parameters that are valid, except those given."""

    def __init__(self, **changes: Any) -> None:
        self.metrics, self.time = "passing_by", "by_hour"
        self.from_date = self.to_date = self.interval = self.window = None
        vars(self).update(changes)


@pytest.mark.parametrize("value", ["{{ ds }}", "a {% if x %}b{% endif %}", ["a", "{{ b }}"], ("{{ a }}",)])
def test_is_template_jinja_is_true(value: object) -> None:
    assert is_template(value)


def test_is_template_result_of_another_task_is_true() -> None:
    output = fetch().output
    assert is_template(output)
    assert is_template(["passing_by", output])


@pytest.mark.parametrize("value", ["", "passing_by", "{ds}", [], ["a", "b"], ("a",), None, 3, {"{{ a }}": 1}, MIDNIGHT])
def test_is_template_other_value_is_false(value: object) -> None:
    assert not is_template(value)


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
