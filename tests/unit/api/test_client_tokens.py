"""How both clients get, use, replace and report tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clients import Fetcher
from samples import UNREADABLE_TOKEN, sandbox_settings

from airflow_provider_angus.api.auth import TokenCache
from airflow_provider_angus.exceptions import AngusAuthError

if TYPE_CHECKING:
    from clients import ClientKind

    from airflow_provider_angus.sandbox import Sandbox


def test_client_reuses_token_until_a_minute_before_expiry(fetcher: Fetcher, sandbox: Sandbox) -> None:
    fetcher.now = start = int(fetcher.now)
    fetcher.fetch()
    fetcher.now = start + 18_000 - 65
    fetcher.fetch()
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 2)
    fetcher.now = start + 18_000 - 55
    fetcher.fetch()
    assert (sandbox.count("token"), sandbox.count("entities")) == (2, 3)


def test_client_passes_token_to_on_token_before_its_use(client_kind: ClientKind, sandbox: Sandbox) -> None:
    seen: list[tuple[bool, int]] = []

    def on_token(token: str) -> None:
        seen.append((token.count(".") == 2, sandbox.count("entities")))

    Fetcher(client_kind, sandbox_settings(sandbox), on_token=on_token).fetch()
    assert seen == [(True, 0)]


def test_client_with_cached_token_requests_none(client_kind: ClientKind, sandbox: Sandbox) -> None:
    cache = TokenCache()
    for _ in range(2):
        Fetcher(client_kind, sandbox_settings(sandbox), cache).fetch()
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 2)


def test_client_replaces_expired_token(fetcher: Fetcher, sandbox: Sandbox) -> None:
    fetcher.fetch()
    sandbox.expire_tokens()
    assert len(fetcher.fetch()) == 1
    assert [call.status for call in sandbox.calls] == [200, 200, 401, 200, 200]
    assert len(set(fetcher.tokens)) == 2
    assert fetcher.waits == []


def test_client_uses_unreadable_token_until_refused(fetcher: Fetcher, sandbox: Sandbox) -> None:
    page = {"entities": {}, "total_results": 0, "nb_of_pages": 0}
    sandbox.fail_next(200, on="token", body={"token": UNREADABLE_TOKEN})
    sandbox.fail_next(200, on="entities", body=page, times=2)
    assert [fetcher.fetch(), fetcher.fetch()] == [[], []]
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 2)
    assert len(fetcher.fetch()) == 1
    assert [call.status for call in sandbox.calls[3:]] == [401, 200, 200]
    assert fetcher.tokens[0] == UNREADABLE_TOKEN


def test_client_with_refused_new_token_raises_auth_error(fetcher: Fetcher, sandbox: Sandbox) -> None:
    sandbox.fail_next(401, on="entities", times=2, body={"code": "invalid_jwt", "message": "Who are you?"})
    message = fetcher.fail(AngusAuthError)
    assert "refused with status 401 with a new token: invalid_jwt: Who are you?" in message
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities", "token", "entities"]
    assert fetcher.waits == []


def test_client_with_wrong_credentials_raises_auth_error(create_fetcher: Any, sandbox: Sandbox) -> None:
    credentials = replace(sandbox_settings(sandbox).credentials, access_token="wrong-access-token")
    fetcher = create_fetcher(sandbox, credentials=credentials)
    assert "Unable to login with provided credentials." in fetcher.fail(AngusAuthError)
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 0)
    assert fetcher.waits == []
