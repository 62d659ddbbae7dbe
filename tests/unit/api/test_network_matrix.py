"""Certificates and proxies: each combination means the same on a worker, in a triggerer and for the Test button."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tenacity
from network_cases import CERTIFICATES, ERRORS, NETWORK_CASES, PROXIES
from network_lab import ButtonError, NetworkLab

from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import AngusAuthError
from airflow_provider_angus.hooks import AngusHook

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.thorough

CONNECTION = {
    "conn_type": "angus",
    "login": "me@example.com",
    "password": "access-token",
    "extra": {"client_id": "3bd1"},
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkLab]:
    with NetworkLab(tmp_path_factory.mktemp("tls")) as lab:
        yield lab


def test_network_cases_are_many_with_different_names() -> None:
    assert len(CERTIFICATES) + len(PROXIES) >= 60
    assert len(NETWORK_CASES) == len(CERTIFICATES) + len(PROXIES) + len(ERRORS)


@pytest.mark.filterwarnings("ignore:Unverified")
@pytest.mark.parametrize("name", NETWORK_CASES)
def test_network_case_has_one_outcome_on_all_paths(name: str, lab: NetworkLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AngusHook, "retry_policy", RetryPolicy(attempts=2, backoff=tenacity.wait_none()))
    case = NETWORK_CASES[name]
    outcomes = lab.run(case, CONNECTION)
    assert {path: outcome.route for path, outcome in outcomes.items()} == dict.fromkeys(outcomes, case.route)
    errors = {"worker": case.error, "triggerer": case.error, "button": case.error and ButtonError}
    assert {path: outcome.error for path, outcome in outcomes.items()} == errors, outcomes
    if case.error is AngusAuthError:
        # The texts of errors that are retried are those of two libraries.
        assert len({outcome.message for outcome in outcomes.values()}) == 1
    for outcome in outcomes.values():
        assert outcome.message.isprintable()
        assert len(outcome.message) < 900
        assert not any(secret in outcome.message for secret in ("hunter2", "p/assword", "p%2Fassword"))
