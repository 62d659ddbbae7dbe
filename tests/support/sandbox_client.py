"""A plain HTTP client of the sandbox, independent of the provider's own clients."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from airflow_provider_angus.sandbox import Sandbox

NOON = datetime(2017, 9, 15, 12, tzinfo=UTC)

METRICS = "interested,passing_by,stop_time,attention_time,category,gender,satisfaction"

#: The interval of the API's sample request.
SAMPLE_INTERVAL = {"from_date": "2017-09-03T05:45:00+02:00", "to_date": "2017-09-14T16:53:00+02:00"}


class SandboxClient:
    """Sends requests to a sandbox over one persistent connection."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()

    def login(self, stream: str | None = None, **changes: object) -> requests.Response:
        connection = self.sandbox.connection(stream)
        body = {
            "username": connection["login"],
            "client_id": connection["extra"]["client_id"],
            "access_token": connection["password"],
        }
        url = f"{self.sandbox.url}/api-token-authstream/"
        return self.session.post(url, json=body | changes, timeout=5)

    def token(self, stream: str | None = None) -> str:
        return str(self.login(stream).json()["token"])

    def get(self, authorization: str | None = None, **query: str | int | None) -> requests.Response:
        headers = {"Authorization": authorization} if authorization is not None else None
        url = f"{self.sandbox.url}/api/1/entities"
        return self.session.get(url, params=query, headers=headers, timeout=5)

    def page(self, from_date: str, to_date: str | None = None, **query: str | int | None) -> dict[str, Any]:
        """Return a page, by default of ``passing_by``, with a new token."""
        parameters = {"metrics": "passing_by", **query}
        response = self.get(f"Bearer {self.token()}", from_date=from_date, to_date=to_date, **parameters)
        assert response.status_code == 200, response.text
        return dict(response.json())


def status_and_code(response: requests.Response) -> tuple[int, str]:
    """Return the status and code of a refusal, which must have a readable message."""
    body = response.json()
    assert set(body) == {"code", "message"}
    assert len(body["message"].split()) >= 3
    return response.status_code, body["code"]
