"""The console's token endpoint, and the tokens that the data API accepts."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sandbox_client import METRICS, SAMPLE_INTERVAL, status_and_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox_client import SandboxClient

    from airflow_provider_angus.sandbox import Sandbox

QUERY = {"metrics": METRICS, **SAMPLE_INTERVAL}


def read_claims(token: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")))


# Login


def test_token_claims_match_the_sample(sandbox: Sandbox, client: SandboxClient) -> None:
    """``orig_iat`` is the real time, not the time of the sandbox's clock."""
    before = int(time.time())
    response = client.login()
    claims = read_claims(response.json()["token"])
    assert response.status_code == 200
    assert set(claims) == {"username", "orig_iat", "exp", "client_id", "user_id", "email"}
    assert claims["username"] == claims["email"] == sandbox.username
    assert claims["client_id"] == next(iter(sandbox.streams))
    assert before <= claims["orig_iat"] <= time.time()
    assert claims["exp"] - claims["orig_iat"] == 18_000


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_login_with_missing_fields_names_them(client: SandboxClient, empty: str | None) -> None:
    response = client.login(username=empty, access_token=empty)
    assert response.status_code == 400
    messages = ["This field is required."]
    assert response.json() == {"username": messages, "access_token": messages}


@pytest.mark.parametrize("field", ["username", "client_id", "access_token"])
def test_login_with_wrong_credentials_is_refused(client: SandboxClient, field: str) -> None:
    response = client.login(**{field: "wrong"})
    assert response.status_code == 400
    assert response.json() == {"non_field_errors": ["Unable to login with provided credentials."]}


def test_login_with_another_streams_secret_is_refused(sandbox: Sandbox, client: SandboxClient) -> None:
    first, second, *_ = sandbox.streams
    assert client.login(first, access_token=sandbox.streams[second]).status_code == 400


@pytest.mark.parametrize("body", ["username=a@example.com", "", b"\xff"])
def test_login_without_json_is_refused(sandbox: Sandbox, body: str | bytes) -> None:
    response = requests.post(f"{sandbox.url}/api-token-authstream/", data=body, timeout=5)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("JSON parse error")


def test_login_with_json_list_is_refused(sandbox: Sandbox) -> None:
    response = requests.post(f"{sandbox.url}/api-token-authstream/", json=["a@example.com"], timeout=5)
    assert response.status_code == 400
    assert "non_field_errors" in response.json()


def test_login_with_get_is_not_allowed(sandbox: Sandbox) -> None:
    response = requests.get(f"{sandbox.url}/api-token-authstream/", timeout=5)
    assert (response.status_code, list(response.json())) == (405, ["detail"])


def test_login_without_final_slash_redirects(sandbox: Sandbox) -> None:
    """Clients that follow the redirect change the POST to a GET, which is not allowed."""
    url = f"{sandbox.url}/api-token-authstream"
    response = requests.post(url, json={}, allow_redirects=False, timeout=5)
    assert (response.status_code, response.headers["Location"]) == (301, "/api-token-authstream/")
    assert requests.post(url, json={}, timeout=5).status_code == 405


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/api/1/entities/"), ("POST", "/api/1/entities")])
def test_other_paths_are_not_found(sandbox: Sandbox, method: str, path: str) -> None:
    response = requests.request(method, sandbox.url + path, json={}, timeout=5)
    assert (response.status_code, response.json()) == (404, {"detail": "Not found."})


# Authorization


@pytest.mark.parametrize("header", [None, ""])
def test_entities_without_token_are_refused(client: SandboxClient, header: str | None) -> None:
    assert status_and_code(client.get(header, **QUERY)) == (401, "authorization_header_missing")


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer a.b.c", "Bearer ..", "Bearer \xe9.\xe9.\xe9"])
def test_malformed_token_is_invalid(client: SandboxClient, header: str) -> None:
    assert status_and_code(client.get(header, **QUERY)) == (401, "invalid_jwt")


def test_token_with_basic_scheme_is_invalid(client: SandboxClient) -> None:
    assert status_and_code(client.get(f"Basic {client.token()}", **QUERY)) == (401, "invalid_jwt")


def test_token_with_changed_claims_is_invalid(sandbox: Sandbox, client: SandboxClient) -> None:
    header, claims, signature = client.token().split(".")
    other = client.token(list(sandbox.streams)[1]).split(".")[1]
    assert claims != other
    assert status_and_code(client.get(f"Bearer {header}.{other}.{signature}", **QUERY)) == (401, "invalid_jwt")


def test_token_of_another_sandbox_is_invalid(client: SandboxClient, start: Callable[..., SandboxClient]) -> None:
    token = start().token()
    assert status_and_code(client.get(f"Bearer {token}", **QUERY)) == (401, "invalid_jwt")


def test_token_after_its_lifetime_is_expired(start: Callable[..., SandboxClient]) -> None:
    client = start(token_lifetime=0)
    assert status_and_code(client.get(f"Bearer {client.token()}", **QUERY)) == (401, "expired_jwt")


def test_expire_tokens_spares_later_tokens(sandbox: Sandbox, client: SandboxClient) -> None:
    old = client.token()
    assert client.get(f"Bearer {old}", **QUERY).status_code == 200
    sandbox.expire_tokens()
    assert status_and_code(client.get(f"Bearer {old}", **QUERY)) == (401, "expired_jwt")
    new = client.token()
    assert new != old
    assert client.get(f"Bearer {new}", **QUERY).status_code == 200
