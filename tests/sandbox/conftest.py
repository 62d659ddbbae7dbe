"""A sandbox whose clock stands at noon of the 15th of September 2017, and somebody who asks it over HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOON = datetime(2017, 9, 15, 12, tzinfo=UTC)


class Client:
    """Asks one sandbox, over one connection that is kept alive."""

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

    def ask(self, from_date: str, to_date: str | None = None, **query: str | int | None) -> dict[str, Any]:
        """Return the page, of ``passing_by`` if no other metrics are named."""
        asked = {"metrics": "passing_by", **query}
        response = self.get(f"Bearer {self.token()}", from_date=from_date, to_date=to_date, **asked)
        assert response.status_code == 200, response.text
        return dict(response.json())


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    """Start a sandbox with options of the test's own; it ends with the test."""
    with ExitStack() as running:

        def start(**options: Any) -> Client:
            sandbox = running.enter_context(Sandbox(**options))
            sandbox.clock.set(NOON)
            return Client(sandbox)

        yield start


@pytest.fixture
def client(start: Callable[..., Client]) -> Client:
    return start()


@pytest.fixture
def sandbox(client: Client) -> Sandbox:
    return client.sandbox
