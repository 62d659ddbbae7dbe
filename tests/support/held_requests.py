"""Hold the responses of a sandbox for one stream, so that tasks that request them are in the middle of their work."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_angus.sandbox import Incoming, Reply


class HeldRequests:
    """The ``on_request`` of a sandbox. It also collects the tokens that clients send.

    :param stream: the stream whose responses with entities ``hold`` holds, at most 5 minutes each.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._open = Event()
        self._open.set()
        #: The requests whose responses are being held.
        self.waiting: list[Incoming] = []
        self.tokens: set[str] = set()

    def __call__(self, incoming: Incoming, reply: Reply) -> Reply:
        self.tokens.add(incoming.headers.get("Authorization", "").removeprefix("Bearer "))
        if reply.client_id == self._stream and incoming.endpoint == "entities" and not self._open.is_set():
            self.waiting.append(incoming)
            self._open.wait(300)
            self.waiting.remove(incoming)
        return reply

    def hold(self) -> None:
        """Hold the next responses."""
        self._open.clear()

    def release(self) -> None:
        """Send the held responses and all later ones."""
        self._open.set()
