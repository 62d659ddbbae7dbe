"""Servers in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds. The maximum time until a server accepts connections.
STARTUP = 60.0


def free_port() -> int:
    """Return a port that no server uses."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def server_process(port: int, folder: Path, command: tuple[str, ...], env: dict[str, str]) -> Iterator[None]:
    """Run a server until the end of ``with``. Wait until it accepts connections."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | env, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + STARTUP
        while not _accepts(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"{command} does not accept connections: {log.read_text()}"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
