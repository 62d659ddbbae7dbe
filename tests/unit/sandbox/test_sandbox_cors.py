"""Web pages of other origins may use the sandbox. ``tests/system`` tries it in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from sandbox_client import SandboxClient

    from airflow_provider_angus.sandbox import Sandbox

ENTITIES, TOKEN = "/api/1/entities", "/api-token-authstream/"


def send_preflight(sandbox: Sandbox, path: str, method: str) -> requests.Response:
    headers = {
        "Origin": "https://dashboard.example",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return requests.options(sandbox.url + path, headers=headers, timeout=5)


@pytest.mark.parametrize(("path", "method"), [(ENTITIES, "GET"), (TOKEN, "POST")])
def test_preflight_allows_the_headers_of_the_api(sandbox: Sandbox, path: str, method: str) -> None:
    """Browsers do not count Authorization among the headers of the asterisk."""
    response = send_preflight(sandbox, path, method)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert {"*", "Authorization"} == set(response.headers["Access-Control-Allow-Headers"].split(", "))


def test_preflight_is_no_call_and_uses_up_no_failure(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(503)
    assert send_preflight(sandbox, TOKEN, "POST").status_code == 200
    assert sandbox.calls == []
    assert client.login().status_code == 503


def test_preflight_with_body_keeps_the_connection_usable(client: SandboxClient) -> None:
    client.session.options(client.sandbox.url, data=b"body", timeout=5)
    assert client.login().status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", TOKEN, 400),
        ("GET", TOKEN, 405),
        ("POST", TOKEN.rstrip("/"), 301),
        ("GET", ENTITIES, 401),
        ("GET", "/", 404),
        ("BREW", "/", 501),
    ],
)
def test_refusals_are_readable_for_other_origins(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    response = requests.request(method, sandbox.url + path, allow_redirects=False, timeout=5)
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (status, "*")


def test_replies_and_failures_are_readable_for_other_origins(sandbox: Sandbox, client: SandboxClient) -> None:
    sandbox.fail_next(503)
    responses = [client.login(), client.login()]
    responses.append(client.get(f"Bearer {responses[1].json()['token']}", metrics="gender", from_date="2017-09-03T00Z"))
    assert [response.status_code for response in responses] == [503, 200, 200]
    assert {response.headers["Access-Control-Allow-Origin"] for response in responses} == {"*"}
