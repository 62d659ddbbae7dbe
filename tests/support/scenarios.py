"""The API's failures while the deferred sensors of ``system/dags/waiting.py`` wait, by DAG."""

from __future__ import annotations

from typing import Any

#: Arguments of ``Sandbox.fail_next`` once a sensor waits in the triggerer. Without arguments, the data appears.
SCENARIOS: dict[str, dict[str, Any]] = {
    "data_appears": {},
    "triggerer_restarts": {},
    "starts_from_trigger": {},
    "starts_from_trigger_without_interval": {},
    "starts_with_datetimes": {},
    "starts_with_templates": {},
    "starts_with_native_list": {},
    "starts_with_pulled_date": {},
    "starts_with_results_of_task": {},
    "starts_with_calendar_day": {},
    "starts_mapped": {},
    "times_out": {},
    "times_out_with_soft_fail": {},
    "credentials_refused": {"status": 400, "on": "token", "body": {"non_field_errors": ["No such stream."]}},
    "new_token_refused": {"status": 401, "on": "entities"},
    "connection_deleted": {},
    "status_500": {"status": 500, "headers": {"Retry-After": "0"}},
    "html_body": {"status": 200, "body": "<html>hello</html>", "on": "entities"},
    "truncated_bodies": {"status": 200, "cut": True},
    "slow_bodies": {"status": 200, "drip": 0.5},
    "status_429_three_times": {"status": 429, "times": 3, "headers": {"Retry-After": "1"}},
}
