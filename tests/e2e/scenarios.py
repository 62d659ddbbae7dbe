"""What the API does while the deferred sensors of dags/waiting.py wait, each by the name of its DAG."""

from __future__ import annotations

from typing import Any

#: What happens once a sensor waits in the triggerer; where nothing is said, the data appears.
SCENARIOS: dict[str, dict[str, Any]] = {
    "appears": {},
    "outlives_a_triggerer": {},
    "starts_from_trigger": {},
    "starts_from_trigger_without_interval": {},
    "runs_out_of_time": {},
    "runs_out_of_time_softly": {},
    "is_refused_credentials": {"status": 400, "on": "token", "body": {"non_field_errors": ["No such stream."]}},
    "is_refused_a_fresh_token": {"status": 401, "on": "entities"},
    "loses_its_connection": {},
    "meets_500": {"status": 500, "headers": {"Retry-After": "0"}},
    "meets_html": {"status": 200, "body": "<html>hello</html>", "on": "entities"},
    "meets_half_bodies": {"status": 200, "cut": True},
    "meets_slow_bytes": {"status": 200, "drip": 0.5},
    "meets_429_for_a_while": {"status": 429, "times": 3, "headers": {"Retry-After": "1"}},
}
