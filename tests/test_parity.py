"""Deferrable mode beside poke mode: the same outcome, the same tries, the same errors, whatever happens."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from test_sensors import DAILY, EVENING, NEXT_DAY, at_look, wait

from airflow_provider_angus import retrying
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_runs import Airflow

FOR_EVER = 1000
REFUSAL = {"code": "no", "message": "No."}


def appears(sandbox: Sandbox) -> None:
    at_look(sandbox, 3, lambda: sandbox.clock.set(NEXT_DAY))


def never_appears(_: Sandbox) -> None:
    """Leave the day's last hour missing."""


def is_there(sandbox: Sandbox) -> None:
    sandbox.clock.set(NEXT_DAY)


def refuses_credentials(sandbox: Sandbox) -> None:
    def refuse() -> None:
        sandbox.expire_tokens()
        sandbox.fail_next(400, times=FOR_EVER, on="token", body={"non_field_errors": ["No."]})

    at_look(sandbox, 2, refuse)


def refuses_every_token(sandbox: Sandbox) -> None:
    at_look(sandbox, 2, lambda: sandbox.fail_next(401, times=FOR_EVER, on="entities"))


def refuses_the_request(sandbox: Sandbox) -> None:
    at_look(sandbox, 2, lambda: sandbox.fail_next(400, times=FOR_EVER, on="entities", body=REFUSAL))


def is_away(sandbox: Sandbox) -> None:
    at_look(sandbox, 2, lambda: sandbox.fail_next(503, times=FOR_EVER, on="entities"))


def is_away_from_the_start(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=FOR_EVER, on="entities")


def is_away_for_a_while(sandbox: Sandbox) -> None:
    sandbox.fail_next(503, times=2, on="entities")
    at_look(sandbox, 1, lambda: sandbox.clock.set(NEXT_DAY))


def answers_in_html(sandbox: Sandbox) -> None:
    at_look(sandbox, 2, lambda: sandbox.fail_next(200, times=FOR_EVER, on="entities", body="<html>"))


@pytest.mark.parametrize("fails", [{}, {"soft_fail": True}, {"never_fail": True}], ids=["fails", "soft", "never"])
@pytest.mark.parametrize(
    "happens",
    [
        is_there,
        appears,
        never_appears,
        refuses_credentials,
        refuses_every_token,
        refuses_the_request,
        is_away,
        is_away_from_the_start,
        is_away_for_a_while,
        answers_in_html,
    ],
)
def test_it_ends_as_in_poke_mode(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, happens: Callable[[Sandbox], None], fails: dict[str, Any]
) -> None:
    monkeypatch.setitem(retrying.POLICY, "stop", tenacity.stop_after_attempt(1))
    seen = []
    for how in ({"mode": "poke"}, {"deferrable": True}):
        with Sandbox() as sandbox:
            monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", sandbox.connection_json())
            sandbox.clock.set(EVENING)
            happens(sandbox)
            arguments = {"max_failures": 3, "retries": 1, "retry_delay": timedelta(0), "poke_interval": 0.01} | fails
            timeout = 0.5 if happens is never_appears else 30
            outcome = airflow.run(lambda: wait(**arguments, timeout=timeout, **how), schedule=DAILY)["wait"]  # noqa: B023
            kinds = [type(error) for error in outcome.errors]
            messages = [str(error).replace(sandbox.url, "") for error in outcome.errors if happens is not never_appears]
            seen.append((outcome.state, outcome.tries, outcome.returned, kinds, messages))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("how", [{"mode": "poke"}, {"deferrable": True}], ids=["poke", "deferrable"])
def test_a_look_costs_one_call(airflow: Airflow, sandbox: Sandbox, connection: str, how: dict[str, Any]) -> None:
    sandbox.clock.set(EVENING)
    at_look(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    arguments = {"angus_conn_id": connection, "poke_interval": 0.01} | how
    assert airflow.run(lambda: wait(**arguments), schedule=DAILY)["wait"].state == "success"
    # A deferred sensor has one look more: the worker's, which decides.
    assert sandbox.count("entities") == (6 if how.get("deferrable") else 5)
    assert sandbox.count("token") == 1


@pytest.mark.parametrize("how", [{"mode": "poke"}, {"deferrable": True}], ids=["poke", "deferrable"])
def test_a_look_asks_for_a_window_at_a_time(
    airflow: Airflow, sandbox: Sandbox, connection: str, how: dict[str, Any]
) -> None:
    sandbox.clock.set(EVENING)
    at_look(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    arguments = {"angus_conn_id": connection, "poke_interval": 0.01, "window": timedelta(hours=12)} | how
    assert airflow.run(lambda: wait(**arguments), schedule=DAILY)["wait"].state == "success"
    ends = [call.query["to_date"][8:13] for call in sandbox.calls if call.endpoint == "entities"]
    assert ends == ["20T12", "21T00"] * (len(ends) // 2)
    assert len(ends) >= 4


@pytest.mark.parametrize("event", [None, {}, "there", {"version": 2, "failures": 0}, {"failures": 0}])
def test_no_event_but_ours_is_believed_and_none_is_success(
    airflow: Airflow, sandbox: Sandbox, connection: str, event: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_angus import triggers

    sandbox.clock.set(EVENING)

    # What a trigger of another version of the provider, or of somebody else, might send.
    monkeypatch.setattr(triggers, "TriggerEvent", lambda _: _event(event))
    at_look(sandbox, 4, lambda: sandbox.clock.set(NEXT_DAY))
    arguments = {"angus_conn_id": connection, "poke_interval": 0.01, "deferrable": True}
    assert airflow.run(lambda: wait(**arguments), schedule=DAILY)["wait"].state == "success"
    assert "The data of 2026-11-20T00:00:00+00:00 .. 2026-11-21T00:00:00+00:00 is there." in airflow.log
    assert "ended without an event of ours" in airflow.log


def _event(payload: object) -> object:
    from airflow.triggers.base import TriggerEvent

    return TriggerEvent(payload)
