"""The hook: from an Airflow connection, however it is kept, to rows; and the answer of the Test button."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_angus.exceptions import AngusAuthError, AngusIntervalError, AngusRequestError
from airflow_provider_angus.hooks import AngusHook

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_runs import Airflow

    from airflow_provider_angus.sandbox import Sandbox

DAY = ("2026-11-20", "2026-11-21")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the connection ``angus_default`` in the environment, as JSON or as a URI."""
    return lambda value: monkeypatch.setenv(
        "AIRFLOW_CONN_ANGUS_DEFAULT", value if isinstance(value, str) else json.dumps(value)
    )


def changed(sandbox: Sandbox, extra: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    connection = sandbox.connection() | fields
    return connection | {"extra": connection["extra"] | (extra or {})}


@pytest.mark.usefixtures("connection")
def test_rows_come_page_by_page_as_they_are_consumed(sandbox: Sandbox) -> None:
    rows = AngusHook().iter_entities("passing_by", "2026-11-01", "2026-11-11", "by_hour")
    assert sandbox.count() == 0
    next(rows)
    assert sandbox.count("entities") == 1
    assert len(list(rows)) == 239
    assert sandbox.count("entities") == 3
    assert sandbox.count("token") == 1


@pytest.mark.parametrize(
    ("extra", "arguments", "at_once"),
    [
        ({}, {}, 4),
        ({"concurrency": 2}, {}, 2),
        ({}, {"concurrency": 3}, 3),
        ({"concurrency": 2}, {"concurrency": 1}, 1),
    ],
)
def test_how_many_pages_are_asked_for_at_once_is_the_hook_s_or_the_connection_s_or_four(
    sandbox: Sandbox, connect: Any, extra: dict[str, Any], arguments: dict[str, Any], at_once: int
) -> None:
    connect(changed(sandbox, extra))
    assert AngusHook(**arguments).get_conn().concurrency == at_once


def test_a_number_of_pages_at_once_that_is_none_is_refused(sandbox: Sandbox, connect: Any) -> None:
    connect(changed(sandbox))
    with pytest.raises(AngusAuthError, match="concurrency must be a whole number from 1 to 32, got '0'"):
        AngusHook(concurrency=0).get_conn()


def test_a_refused_range_is_said_once_with_what_would_avoid_it(
    sandbox: Sandbox, connect: Any, airflow: Airflow
) -> None:
    connect(changed(sandbox))
    body = {"code": "range_too_long", "message": "At most 5 days."}
    sandbox.fail_next(400, on="entities", body=body)
    rows = AngusHook().get_entities("passing_by", "2026-11-01", "2026-11-11", "by_hour")
    assert len(rows) == 240
    assert airflow.log.count("Asking for parts of the interval, as window=timedelta(...) does: GET http://127") == 1
    assert "At most 5 days." in airflow.log


@pytest.mark.usefixtures("connection")
def test_a_window_is_how_much_is_asked_for_at_a_time(sandbox: Sandbox) -> None:
    rows = AngusHook().get_entities("passing_by", *DAY, "by_hour", window=timedelta(hours=9))
    assert rows == AngusHook().get_entities("passing_by", *DAY, "by_hour")
    assert [call.query["from_date"][11:13] for call in sandbox.calls[1:4]] == ["00", "09", "18"]


@pytest.mark.usefixtures("connection")
def test_get_entities_is_the_list_of_the_rows() -> None:
    rows = AngusHook("angus_default").get_entities(["passing_by"], *DAY, time="by_hour")
    assert len(rows) == 24
    (whole,) = AngusHook("angus_default").get_entities(["passing_by"], *DAY)
    assert whole["passing_by"] == sum(row["passing_by"] for row in rows)
    assert (whole["bucket_start"], whole["bucket_end"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("visitors", *DAY), AngusRequestError),
        (("passing_by", *DAY, "by_week"), AngusRequestError),
        (("passing_by", *reversed(DAY)), AngusIntervalError),
    ],
)
def test_wrong_arguments_are_refused_before_any_call(
    sandbox: Sandbox, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        AngusHook().get_entities(*arguments)
    assert sandbox.count() == 0


@pytest.mark.usefixtures("connection")
def test_hooks_of_one_process_share_a_stream_s_token(sandbox: Sandbox) -> None:
    for _ in range(3):
        AngusHook().get_entities("passing_by", *DAY)
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities", "entities", "entities"]


# However the connection is kept.


def test_a_connection_as_json_with_every_extra_null_works(sandbox: Sandbox, connect: Any) -> None:
    connect(changed(sandbox, {"timeout": None, "verify": None, "proxy": None}, port=None, schema=None))
    assert AngusHook().test_connection()[0]


def test_a_connection_as_uri_works(sandbox: Sandbox, connect: Any) -> None:
    fields = sandbox.connection()
    address = sandbox.url.removeprefix("http://")
    login, password = (quote(fields[name], safe="") for name in ("login", "password"))
    extra = f"client_id={fields['extra']['client_id']}&console_url={quote(sandbox.url, safe='')}&timeout=5&verify=true"
    connect(f"angus://http://{login}:{password}@{address}/?{extra}")
    assert AngusHook().test_connection()[0]
    assert len(AngusHook().get_entities("passing_by", *DAY, "by_hour")) == 24


def test_host_and_port_may_be_two_fields(sandbox: Sandbox, connect: Any) -> None:
    connect(changed(sandbox, host="http://127.0.0.1", port=int(sandbox.url.rsplit(":", 1)[1])))
    assert AngusHook().test_connection()[0]


def test_what_the_test_button_of_2_11_posts_works(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import Connection

    # It saves what the form holds as a URI under a random ID: extras twice and as text, and empty fields as ''.
    extra = sandbox.connection()["extra"] | {"timeout": "30", "verify": "y", "proxy": ""}
    doubled = extra | {f"extra__angus__{name}": value for name, value in extra.items()}
    fields = changed(sandbox) | {"extra": json.dumps(doubled), "schema": ""}
    posted = Connection(conn_id="posted", **fields)
    monkeypatch.setenv("AIRFLOW_CONN_X7F3", posted.get_uri())
    assert AngusHook("x7f3").test_connection()[0]


def test_a_secrets_backend_works(sandbox: Sandbox, tmp_path: Path) -> None:
    secrets = tmp_path / "connections.json"
    secrets.write_text(json.dumps({"from_a_backend": sandbox.connection()}))
    code = "from airflow_provider_angus.hooks import AngusHook; print(AngusHook('from_a_backend').test_connection())"
    backend = {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(secrets)}),
    }
    # Airflow reads its secrets backends once in a process, so this is another one.
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | backend, capture_output=True, text=True, check=True
    )
    assert "(True, 'All well" in done.stdout.replace('"', "'")


# The answers of the Test button.


@pytest.mark.usefixtures("connection")
def test_all_well_takes_a_new_token_and_one_small_data_call(sandbox: Sandbox) -> None:
    AngusHook().get_entities("passing_by", *DAY)
    sandbox.forget_calls()
    well, sentence = AngusHook().test_connection()
    assert well
    assert sentence.startswith(
        f"All well: the console gave a token and stream '{next(iter(sandbox.streams))}' answered"
    )
    assert [call.endpoint for call in sandbox.calls] == ["token", "entities"]


@pytest.mark.parametrize(
    ("fields", "extra", "named"),
    [
        ({"login": ""}, {}, "fill in: Login (the console login)."),
        ({"password": None}, {}, "fill in: Password (the stream's access token)."),
        ({}, {"client_id": None}, "fill in: the extra client_id (the stream's client ID)."),
        ({"login": None, "password": ""}, {}, "fill in: Login (the console login), Password"),
    ],
)
def test_a_missing_field_is_named(
    sandbox: Sandbox, connect: Any, fields: dict[str, Any], extra: dict[str, Any], named: str
) -> None:
    connect(changed(sandbox, extra, **fields))
    well, sentence = AngusHook().test_connection()
    assert not well
    assert sentence.startswith("Connection 'angus_default' is incomplete")
    assert named in sentence
    assert sandbox.count() == 0


def test_wrong_credentials_are_answered_with_the_server_s_words(sandbox: Sandbox, connect: Any) -> None:
    connect(changed(sandbox, password="wrong-access-token"))
    well, sentence = AngusHook().test_connection()
    assert not well
    assert "refused the credentials with 400: Unable to login with provided credentials." in sentence
    assert "wrong-access-token" not in sentence


def test_a_stream_that_may_not_be_read_is_said(sandbox: Sandbox, connect: Any) -> None:
    connect(changed(sandbox))
    sandbox.fail_next(401, times=2, on="entities", body={"code": "no_access", "message": "Not your stream."})
    well, sentence = AngusHook().test_connection()
    assert not well
    assert "Not your stream." in sentence


@pytest.mark.parametrize("field", ["host", "console_url"])
def test_an_unreachable_host_is_said(
    sandbox: Sandbox, connect: Any, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    from airflow_provider_angus import retrying

    monkeypatch.setitem(retrying.POLICY, "wait", lambda _: 0)
    nobody = "http://127.0.0.1:1"
    connect(changed(sandbox, host=nobody) if field == "host" else changed(sandbox, {"console_url": nobody}))
    well, sentence = AngusHook().test_connection()
    assert not well
    assert f"{nobody}/api" in sentence
    assert "got no answer" in sentence


@pytest.mark.parametrize("field", ["Host", "console_url"])
def test_a_server_that_is_not_angus_is_said(sandbox: Sandbox, connect: Any, field: str) -> None:
    other = f"{sandbox.url}/somewhere"
    connect(changed(sandbox, host=other) if field == "Host" else changed(sandbox, {"console_url": other}))
    well, sentence = AngusHook().test_connection()
    assert not well
    assert f"Check that the connection's {field} is an Angus server." in sentence


def test_credentials_do_not_travel_in_clear(sandbox: Sandbox, connect: Any) -> None:
    connect(changed(sandbox, host="http://data.angus.ai"))
    well, sentence = AngusHook().test_connection()
    assert not well
    assert "credentials travel over https only" in sentence


@pytest.mark.usefixtures("airflow")
def test_a_connection_that_does_not_exist_is_named() -> None:
    with pytest.raises(AngusAuthError, match="There is no connection 'nowhere'"):
        AngusHook("nowhere").get_conn()


def test_the_access_token_is_masked_in_logs(sandbox: Sandbox, connect: Any) -> None:
    from airflow.providers.common.compat.sdk import redact

    connect(changed(sandbox))
    tokens: list[str] = []
    sandbox.change_next(lambda answer: tokens.append(answer["token"]) or answer, on="token")
    AngusHook().get_entities("passing_by", *DAY)
    for secret in (next(iter(sandbox.streams.values())), tokens[0]):
        assert secret not in str(redact(f"a log line with {secret} in it"))
