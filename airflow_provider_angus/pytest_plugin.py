"""The pytest plugin: the fixture :func:`angus_sandbox` for tests of your DAGs. Installed with the provider.

pytest imports this module at every start, so the module imports the sandbox only when a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_angus.sandbox import Sandbox


@pytest.fixture
def angus_sandbox() -> Iterator[Sandbox]:
    """Start a local Angus.ai for one test. It sets no connection: pass ``connection_json()`` to Airflow.

    API tokens that earlier tests left in this process are dropped, so :attr:`.Sandbox.calls` does not depend on them.

    Example::

        def test_hook_returns_visitors_of_day(angus_sandbox, monkeypatch):
            monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", angus_sandbox.connection_json())
            (day,) = AngusHook().get_entities("passing_by", "2026-11-20", "2026-11-21")
            assert day["passing_by"] == 778
            assert angus_sandbox.count("token") == 1

    :returns: a running :class:`.Sandbox` without calls. It stops after the test.
    """
    from airflow_provider_angus.api.auth import SHARED_TOKENS
    from airflow_provider_angus.sandbox import Sandbox

    SHARED_TOKENS.clear()
    with Sandbox() as sandbox:
        yield sandbox
