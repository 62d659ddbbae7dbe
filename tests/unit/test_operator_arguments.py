"""The arguments that AngusEntitiesOperator rejects when the DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from transfers import fetch

from airflow_provider_angus.exceptions import AngusIntervalError, AngusRequestError


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"metrics": "passing_by,visitors"},
            AngusRequestError,
            "metrics: expected one or more of passing_by, .* Unknown: str 'visitors'",
        ),
        ({"metrics": []}, AngusRequestError, "metrics: expected one or more of .*, got list \\[\\]"),
        ({"metrics": ""}, AngusRequestError, "metrics: expected one or more of .*, got str ''"),
        ({"time": "by_week"}, AngusRequestError, "time: expected one of by_hour, by_day, global, got str"),
        (
            {"from_date": "2026-11-20"},
            AngusIntervalError,
            "to_date: expected a date, because from_date is given, got None",
        ),
        (
            {"to_date": "2026-11-20"},
            AngusIntervalError,
            "from_date: expected a date, because to_date is given, got None",
        ),
        (
            {"from_date": "yesterday", "to_date": "2026-11-20"},
            AngusIntervalError,
            "from_date: expected an ISO 8601 date, got str 'yesterday'",
        ),
        (
            {"from_date": "2026-11-20", "to_date": "2026-11-20"},
            AngusIntervalError,
            "from_date: expected a date before to_date",
        ),
        ({"interval": timedelta(0)}, AngusIntervalError, "interval: expected a positive timedelta, got "),
        ({"interval": "1 day"}, AngusIntervalError, "interval: expected a positive timedelta, got "),
        ({"window": "1 day"}, AngusRequestError, "window: expected a positive timedelta, got "),
        ({"window": timedelta(0)}, AngusRequestError, "window: expected a positive timedelta, got "),
        (
            {"angus_conn_id": []},
            AngusRequestError,
            "angus_conn_id: expected at least one connection ID, got list \\[\\]",
        ),
        ({"angus_conn_id": ["a", None]}, AngusRequestError, "angus_conn_id: expected a connection ID, got None"),
        ({"angus_conn_id": ""}, AngusRequestError, "angus_conn_id: expected a connection ID, got str ''"),
        (
            {"on_stream_error": "ignore"},
            AngusRequestError,
            "on_stream_error: expected 'fail' or 'skip', got str 'ignore'",
        ),
        ({"on_incomplete": "skip"}, AngusRequestError, "on_incomplete: expected 'fail' or 'warn', got str 'skip'"),
        ({"on_incomplete": None}, AngusRequestError, "on_incomplete: expected 'fail' or 'warn', got None"),
        ({"on_incomplete": ["fail"]}, AngusRequestError, "on_incomplete: .*, got list"),
        ({"settle": 120}, AngusRequestError, "settle: expected a timedelta of at least 0, got int 120"),
        ({"settle": timedelta(-1)}, AngusRequestError, "settle: expected a timedelta of at least 0, got timedelta -1"),
    ],
)
def test_operator_invalid_argument_is_rejected(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fetch(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"metrics": "{{ params.metrics }}"},
        {"metrics": ["passing_by", "{{ params.metric }}"]},
        {"time": "{{ params.time }}"},
        {"from_date": "{{ ds }}", "to_date": "2026-11-20"},
        {"from_date": "2026-11-20", "to_date": "{% if true %}{{ ds }}{% endif %}"},
        {"angus_conn_id": "{{ params.shop }}"},
        {"angus_conn_id": ["shop_1", "{{ params.shop }}"]},
    ],
)
def test_operator_template_is_accepted_unchecked(arguments: dict[str, Any]) -> None:
    task = fetch(**arguments)
    assert {name: getattr(task, name) for name in arguments} == arguments
