from __future__ import annotations

import pytest
from samples import ACCESS_TOKEN, CREDENTIALS, token

from airflow_provider_angus.api.messages import Request, Response, SingleFlight

CONSOLE_REQUEST = Request("POST", "https://console.example", body={"access_token": ACCESS_TOKEN, "client_id": "shop"})
DATA_REQUEST = Request("GET", "https://data.example", {"metrics": "gender"}, token=token(), hint="Set window=.")


@pytest.mark.parametrize(
    ("request_", "secrets"),
    [(CONSOLE_REQUEST, [ACCESS_TOKEN]), (DATA_REQUEST, [token()]), (Request("GET", "https://data.example"), [])],
    ids=["console", "data", "none"],
)
def test_request_secrets_are_token_and_access_token(request_: Request, secrets: list[str]) -> None:
    assert request_.secrets == secrets


def test_request_str_is_method_and_url() -> None:
    assert str(DATA_REQUEST) == "GET https://data.example"


@pytest.mark.parametrize(
    "value",
    [
        CREDENTIALS,
        CONSOLE_REQUEST,
        DATA_REQUEST,
        Response(200, {"Location": token()}, token().encode(), [ACCESS_TOKEN]),
        SingleFlight("key", iter([token()])),  # type: ignore[arg-type]
    ],
    ids=lambda value: type(value).__name__,
)
def test_repr_shows_no_secret(value: object) -> None:
    assert ACCESS_TOKEN not in repr(value)
    assert token() not in repr(value)
