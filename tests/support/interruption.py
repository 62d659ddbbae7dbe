"""Interrupt the main thread, as Airflow's time-outs and signal handlers do."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class InterruptionError(BaseException):
    """Raised in the main thread."""


@contextmanager
def interrupt_when(event: threading.Event) -> Iterator[None]:
    """Raise :class:`InterruptionError` in the main thread as soon as an event is set."""

    def interrupt(*_: object) -> None:
        raise InterruptionError

    previous = signal.signal(signal.SIGALRM, interrupt)
    main_thread = threading.main_thread().ident
    assert main_thread
    sender = threading.Thread(target=lambda: event.wait(30) and signal.pthread_kill(main_thread, signal.SIGALRM))
    sender.start()
    try:
        yield
    finally:
        sender.join()
        signal.signal(signal.SIGALRM, previous)
