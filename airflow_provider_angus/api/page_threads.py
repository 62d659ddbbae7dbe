"""The threads of the synchronous client that fetch the pages of one query."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import tenacity

from airflow_provider_angus.api.retries import RetryPolicy
from airflow_provider_angus.exceptions import AngusError

T = TypeVar("T")


class PageThreads:
    """Threads that share their cancellation and their pauses: an API that asks one request to wait asks all of them.

    :param sleep: called with the seconds of a pause; None: the thread waits until the end or until :meth:`cancel`.
    """

    def __init__(self, retry_policy: RetryPolicy, sleep: Callable[[float], object] | None = None) -> None:
        self._cancelled = threading.Event()
        self._sleep = sleep or self._cancelled.wait
        self._condition = threading.Condition()
        self._pauses = 0
        #: Calls a function until it succeeds or the retry policy ends the attempts.
        self.retrying = tenacity.Retrying(sleep=self._pause, **retry_policy.tenacity_arguments())

    def start(self, run: Callable[[], T]) -> Callable[[], T]:
        """Run a function in a thread that does not keep the process alive, and return a function that waits for it."""
        # At exit, a process waits for the threads of an executor, with all their retries.
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(run())
            except BaseException as error:  # noqa: BLE001 (raised in the thread that waits)
                future.set_exception(error)

        threading.Thread(target=work, name="angus-page", daemon=True).start()
        return future.result

    def _pause(self, seconds: float) -> None:
        with self._condition:
            self._pauses += 1
        try:
            self._sleep(seconds)
        finally:
            with self._condition:
                self._pauses -= 1
                self._condition.notify_all()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled.is_set()

    def wait_until_resumed(self) -> None:
        """Wait while another thread pauses. Raises AngusError if the query was cancelled."""
        with self._condition:
            self._condition.wait_for(lambda: not self._pauses or self.cancelled)
        self.raise_if_cancelled()

    def raise_if_cancelled(self) -> None:
        """Raise AngusError if the query was cancelled."""
        if self.cancelled:
            raise AngusError("Request cancelled: the client was closed.")

    def cancel(self) -> None:
        """Let the threads send no more requests, end their pauses, and drop the responses to requests in progress."""
        self._cancelled.set()
        with self._condition:
            self._condition.notify_all()
