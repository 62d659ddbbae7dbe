"""A sandbox of small pages that records, holds back and changes the replies to requests for pages."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil
from samples import MIDNIGHT

from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_angus.sandbox import Incoming, Reply

#: 26 buckets by hour: 13 pages of a :class:`PagedSandbox`.
HOURS = Interval(MIDNIGHT, MIDNIGHT + timedelta(hours=25, minutes=30))


class PagedSandbox(Sandbox):
    """A sandbox whose pages have two buckets.

    Page 1 also tells how many pages follow, so a client fetches it alone.
    """

    def __init__(self, **options: Any) -> None:
        self._lock = threading.Lock()
        self._in_progress = self.max_in_progress = 0
        self._requested: list[int] = []
        #: Called with the number of each requested page, in the connection's thread, so that it may block.
        self.on_page: Callable[[int], object] = lambda _: None
        #: Replaces the reply to each request for a page, by the page's number.
        self.replacements: dict[int, Callable[[Reply], Reply]] = {}
        super().__init__(**{"page_size": 2, "on_request": self._handle} | options)

    @property
    def requested_pages(self) -> list[int]:
        """The numbers of the requested pages, sorted. A page that was requested twice occurs twice."""
        return sorted(self._requested)

    def _handle(self, incoming: Incoming, reply: Reply) -> Reply:
        if incoming.endpoint != "entities":
            return reply
        page = int(incoming.query["page"])
        with self._lock:
            self._requested.append(page)
            self._in_progress += 1
            self.max_in_progress = max(self.max_in_progress, self._in_progress)
        self.on_page(page)
        with self._lock:
            self._in_progress -= 1
        return self.replacements[page](reply) if page in self.replacements else reply

    @contextmanager
    def hold(self, *pages: int) -> Iterator[threading.Event]:
        """Hold back the replies to these pages until the end of ``with``; the event is set when all are requested."""
        release, waiting, requested = threading.Event(), set(pages), threading.Event()

        def hold(page: int) -> None:
            if page in pages:
                waiting.discard(page)
                if not waiting:
                    requested.set()
                release.wait(60)

        self.on_page = hold
        try:
            yield requested
        finally:
            release.set()

    @property
    def connections(self) -> int:
        """The number of this process's connections to the sandbox, from the client's side."""
        port = int(self.url.rpartition(":")[2])
        connections = psutil.Process().net_connections("tcp")
        return sum(bool(each.raddr) and each.raddr[1] == port for each in connections)


def wait_for_page_threads() -> None:
    """Wait until the threads that fetch pages or streams have ended."""
    for thread in threading.enumerate():
        if thread.name.startswith("angus-"):
            thread.join(30)
            assert not thread.is_alive(), thread.name
