"""The arguments that the audit rejects when the DAG is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow_versions import only_airflow_3_3
from any_arguments import result_or_refusal
from audited import audit
from hypothesis import HealthCheck, given, settings
from strategies import arguments

from airflow_provider_angus.exceptions import AngusRequestError, AngusTargetError

if TYPE_CHECKING:
    import databases


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"repair": "yes"}, AngusRequestError, "repair: expected True or False, got str 'yes'."),
        ({"tolerance": -1}, AngusRequestError, "tolerance: expected a number of at least 0, got int -1."),
        ({"tolerance": True}, AngusRequestError, "tolerance: expected a number of at least 0, got bool True."),
        ({"tolerance": "1"}, AngusRequestError, "tolerance: expected a number of at least 0, got str '1'."),
        ({"tolerance": float("nan")}, AngusRequestError, "tolerance: expected a number of at least 0, got float nan."),
        ({"tolerance": float("inf")}, AngusRequestError, "tolerance: expected a number of at least 0, got float inf."),
        ({"table": "a.b.c.d"}, AngusTargetError, "table: expected the name of a table, got str 'a.b.c.d'."),
        ({"sql_conn_id": ["a"]}, AngusRequestError, "sql_conn_id: expected a connection ID, got list ['a']."),
        (
            {"on_incomplete": "skip"},
            AngusRequestError,
            "on_incomplete: expected 'fail' or 'warn', got str 'skip'.",
        ),
    ],
)
def test_audit_wrong_argument_is_rejected(
    sqlite: databases.Database, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        audit(sqlite, **changes)
    assert str(raised.value).startswith(message.rstrip("."))


@only_airflow_3_3
def test_audit_partition_events_without_repair_is_rejected(sqlite: databases.Database) -> None:
    with pytest.raises(AngusRequestError, match="partition_events: expected None with repair=False, which changes no"):
        audit(sqlite, partition_events="by_hour", outlets=[Asset("angus://audited/entities")])


@pytest.mark.parametrize("name", ["repair", "tolerance", "allow_empty", "table", "sql_conn_id"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=arguments)
def test_audit_argument_of_any_type_is_accepted_or_refused(
    sqlite: databases.Database, name: str, value: object
) -> None:
    result_or_refusal(lambda: audit(sqlite, **{name: value}), name, value)


def test_audit_templates_are_accepted_unchecked(sqlite: databases.Database) -> None:
    task = audit(sqlite, table="{{ params.table }}", sql_conn_id="{{ params.database }}")
    assert (task.table, task.sql_conn_id) == ("{{ params.table }}", "{{ params.database }}")
    assert {"table", "sql_conn_id", "metrics", "from_date"} <= set(task.template_fields)
