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
        ({"metrics": "passing_by,visitors"}, AngusRequestError, "'visitors'.* must be one or more of passing_by, int"),
        ({"metrics": []}, AngusRequestError, "No metrics"),
        ({"metrics": ""}, AngusRequestError, "must be one or more of"),
        ({"time": "by_week"}, AngusRequestError, "time must be one of by_hour, by_day, global"),
        ({"from_date": "2026-11-20"}, AngusIntervalError, "from_date is given without to_date"),
        ({"to_date": "2026-11-20"}, AngusIntervalError, "to_date is given without from_date"),
        ({"from_date": "yesterday", "to_date": "2026-11-20"}, AngusIntervalError, "'yesterday' is not an ISO 8601"),
        ({"from_date": "2026-11-20", "to_date": "2026-11-20"}, AngusIntervalError, "from_date must be before to_date"),
        ({"interval": timedelta(0)}, AngusIntervalError, "interval must be a positive timedelta"),
        ({"interval": "1 day"}, AngusIntervalError, "interval must be a positive timedelta"),
        ({"window": "1 day"}, AngusRequestError, "window must be a positive timedelta"),
        ({"window": timedelta(0)}, AngusRequestError, "window must be a positive timedelta"),
        ({"angus_conn_id": []}, AngusRequestError, "must be a connection ID or a list of connection IDs, got \\[\\]"),
        ({"angus_conn_id": ["a", None]}, AngusRequestError, "must be a connection ID or a list of connection IDs"),
        ({"angus_conn_id": ""}, AngusRequestError, "must be a connection ID or a list of connection IDs"),
        ({"on_stream_error": "ignore"}, AngusRequestError, "on_stream_error must be 'fail' or 'skip', got 'ignore'"),
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
