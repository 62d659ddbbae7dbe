"""AngusHook: rows through an Airflow connection, the forms a connection can have, retry policy and token cache."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import tenacity
from connections import changed_connection, set_connection

from airflow_provider_angus.api.auth import SHARED_TOKENS, TokenCache
from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusIntervalError,
    AngusRequestError,
    AngusUnavailableError,
)
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_angus.sandbox import Sandbox

DAY = ("2026-11-20", "2026-11-21")


class ImpatientHook(AngusHook):
    """A hook that sends a request at most twice, without a pause."""

    retry_policy = RetryPolicy(attempts=2, backoff=tenacity.wait_none())


def fetch_sync(hook: AngusHook) -> list[dict[str, Any]]:
    """Return the rows of the synchronous client, by the hour."""
    return hook.get_entities("passing_by", *DAY, "by_hour")


def fetch_async(hook: AngusHook) -> list[dict[str, Any]]:
    """Return the rows of the asynchronous client, by the hour."""

    async def fetch() -> list[dict[str, Any]]:
        client = await hook.get_async_conn()
        interval = Interval(*(datetime.fromisoformat(date).replace(tzinfo=UTC) for date in DAY))
        return await client.get_entities("passing_by", interval, "by_hour")

    return asyncio.run(fetch())


@pytest.mark.usefixtures("connection")
def test_iter_entities_requests_pages_as_rows_are_consumed(sandbox: Sandbox) -> None:
    rows = AngusHook().iter_entities("passing_by", "2026-11-01", "2026-11-11", "by_hour")
    assert sandbox.count() == 0
    next(rows)
    assert sandbox.count("entities") == 1
    assert len(list(rows)) == 239
    assert sandbox.count("entities") == 3
    assert sandbox.count("token") == 1


@pytest.mark.usefixtures("connection")
def test_get_entities_returns_a_list() -> None:
    rows = AngusHook("angus_default").get_entities(["passing_by"], *DAY, time="by_hour")
    assert len(rows) == 24
    (total,) = AngusHook("angus_default").get_entities(["passing_by"], *DAY)
    assert total["passing_by"] == sum(row["passing_by"] for row in rows)
    assert (total["bucket_start"], total["bucket_end"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")


@pytest.mark.usefixtures("connection")
def test_get_entities_window_splits_interval_into_requests(sandbox: Sandbox) -> None:
    rows = AngusHook().get_entities("passing_by", *DAY, "by_hour", window=timedelta(hours=9))
    assert rows == AngusHook().get_entities("passing_by", *DAY, "by_hour")
    assert [call.query["from_date"][11:13] for call in sandbox.calls[1:4]] == ["00", "09", "18"]


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("visitors", *DAY), AngusRequestError),
        (("passing_by", *DAY, "by_week"), AngusRequestError),
        (("passing_by", *reversed(DAY)), AngusIntervalError),
    ],
)
def test_get_entities_invalid_arguments_send_no_request(
    sandbox: Sandbox, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        AngusHook().get_entities(*arguments)
    assert sandbox.count() == 0


@pytest.mark.usefixtures("connection")
def test_hooks_of_a_stream_share_its_token(sandbox: Sandbox) -> None:
    for _ in range(3):
        AngusHook().get_entities("passing_by", *DAY)
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities", "entities", "entities"]


@pytest.mark.usefixtures("connection")
def test_get_conn_returns_the_same_client_without_request(sandbox: Sandbox) -> None:
    hook = AngusHook()
    assert hook.get_conn() is hook.get_conn()
    assert sandbox.count() == 0


@pytest.mark.parametrize(
    ("extra", "arguments", "expected"),
    [
        ({}, {}, 4),
        ({"concurrency": 2}, {}, 2),
        ({}, {"concurrency": 3}, 3),
        ({"concurrency": 2}, {"concurrency": 1}, 1),
    ],
)
def test_hook_concurrency_overrides_that_of_the_connection(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], arguments: dict[str, Any], expected: int
) -> None:
    set_connection(monkeypatch, changed_connection(sandbox, extra))
    assert AngusHook(**arguments).get_conn().concurrency == expected


@pytest.mark.usefixtures("connection")
def test_hook_invalid_concurrency_is_rejected() -> None:
    with pytest.raises(AngusAuthError, match="concurrency must be an integer greater than 0 and at most 32, got '0'"):
        AngusHook(concurrency=0).get_conn()


def test_hook_connection_id_of_digits_may_be_int(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_20231023", sandbox.connection_json())
    assert AngusHook(20231023).get_conn().client_id == next(iter(sandbox.streams))


@pytest.mark.parametrize("conn_id", [None, "", " ", 1.5, True, ["angus_default"], b"angus_default"], ids=repr)
def test_hook_invalid_connection_id_is_rejected(conn_id: Any) -> None:
    with pytest.raises(AngusRequestError, match="angus_conn_id: expected a connection ID, got"):
        AngusHook(conn_id)


@pytest.mark.parametrize(("hook_class", "attempts"), [(AngusHook, 4), (ImpatientHook, 2)])
@pytest.mark.usefixtures("connection")
def test_hook_retry_policy_limits_attempts(sandbox: Sandbox, hook_class: type[AngusHook], attempts: int) -> None:
    sandbox.fail_next(503, times=10, headers={"Retry-After": "0"}, on="entities")
    with pytest.raises(AngusUnavailableError):
        hook_class().get_entities("passing_by", *DAY)
    assert sandbox.count("entities") == attempts


@pytest.mark.usefixtures("connection")
def test_hook_retry_policy_applies_to_all_its_clients(sandbox: Sandbox) -> None:
    """``get_async_conn`` and ``test_connection`` create clients of their own."""
    sandbox.fail_next(503, times=4, on="entities")
    with pytest.raises(AngusUnavailableError):
        fetch_async(ImpatientHook())
    assert not ImpatientHook().test_connection()[0]
    assert sandbox.count("entities") == 4


@pytest.mark.parametrize("fetch", [fetch_sync, fetch_async])
@pytest.mark.usefixtures("connection")
def test_hook_tokens_replaces_shared_cache(sandbox: Sandbox, fetch: Callable[[AngusHook], object]) -> None:
    class SeparateHook(AngusHook):
        tokens = TokenCache()

    for hook_class in (AngusHook, SeparateHook, AngusHook, SeparateHook):
        fetch(hook_class())
    assert sandbox.count("token") == 2
    SHARED_TOKENS.clear()
    fetch(SeparateHook())
    assert sandbox.count("token") == 2


@pytest.mark.usefixtures("connection")
def test_get_async_conn_fetches_the_rows_of_get_conn() -> None:
    assert fetch_async(AngusHook()) == fetch_sync(AngusHook())


@pytest.mark.usefixtures("airflow")
@pytest.mark.parametrize("connect", [AngusHook.get_conn, lambda hook: asyncio.run(hook.get_async_conn())])
def test_hook_missing_connection_is_named(connect: Any) -> None:
    with pytest.raises(AngusAuthError, match="Connection 'missing' does not exist. Create it.*Its type is Angus"):
        connect(AngusHook("missing"))


@pytest.mark.parametrize("fetch", [fetch_sync, fetch_async])
@pytest.mark.usefixtures("connection")
def test_hook_masks_access_token_and_api_token(sandbox: Sandbox, fetch: Callable[[AngusHook], object]) -> None:
    from airflow.providers.common.compat.sdk import redact

    tokens: list[str] = []
    sandbox.change_next(lambda body: tokens.append(body["token"]) or body, on="token")
    fetch(AngusHook())
    for secret in (next(iter(sandbox.streams.values())), tokens[0]):
        assert secret not in str(redact(f"a log line with {secret} in it"))


def test_connection_as_json_with_null_extras_works(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    nulls = {"timeout": None, "verify": None, "proxy": None, "concurrency": None}
    set_connection(monkeypatch, changed_connection(sandbox, nulls, port=None, schema=None))
    assert AngusHook().test_connection()[0]


def test_connection_as_uri_works(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = sandbox.connection()
    address = sandbox.url.removeprefix("http://")
    login, password = (quote(fields[name], safe="") for name in ("login", "password"))
    extra = f"client_id={fields['extra']['client_id']}&console_url={quote(sandbox.url, safe='')}&timeout=5&verify=true"
    set_connection(monkeypatch, f"angus://http://{login}:{password}@{address}/?{extra}")
    assert AngusHook().test_connection()[0]
    assert len(AngusHook().get_entities("passing_by", *DAY, "by_hour")) == 24


def test_connection_with_host_and_port_works(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(
        monkeypatch, changed_connection(sandbox, host="http://127.0.0.1", port=int(sandbox.url.rsplit(":", 1)[1]))
    )
    assert AngusHook().test_connection()[0]


def test_connection_of_airflow_2_test_button_works(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 2.11 stores the form as a URI with a random ID: each extra twice and as text, empty fields as ``''``."""
    from airflow.providers.common.compat.sdk import Connection

    extra = sandbox.connection()["extra"] | {"timeout": "30", "verify": "y", "proxy": ""}
    doubled = extra | {f"extra__angus__{name}": value for name, value in extra.items()}
    fields = changed_connection(sandbox) | {"extra": json.dumps(doubled), "schema": ""}
    monkeypatch.setenv("AIRFLOW_CONN_X7F3", Connection(conn_id="posted", **fields).get_uri())
    assert AngusHook("x7f3").test_connection()[0]


def test_connection_of_secrets_backend_works(sandbox: Sandbox, tmp_path: Path) -> None:
    """Airflow reads its secrets backends once in a process, so this test starts another process."""
    secrets = tmp_path / "connections.json"
    secrets.write_text(json.dumps({"from_backend": sandbox.connection()}))
    code = "from airflow_provider_angus.hooks import AngusHook; print(AngusHook('from_backend').test_connection()[0])"
    backend = {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(secrets)}),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | backend, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True"
