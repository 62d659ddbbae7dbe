"""Headless Chromium, and a server for local pages."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Request

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
CHROMIUM_ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
# Nothing listens there. Chromium uses no proxy for loopback.
CHROMIUM_ARGUMENTS += ["--proxy-server=127.0.0.1:1"]
NOT_LOOPBACK = re.compile(r"^(https?|wss?)://(?!127\.0\.0\.1[:/])")


@contextmanager
def open_browser(**options: Any) -> Iterator[BrowserContext]:
    """Open a browser without access to other machines. At the end, fail if a page tried to reach one.

    :param options: of Playwright's ``new_context``.
    """
    outside: list[str] = []

    def check(request: Request) -> None:
        # Not context.route(): with it, Playwright answers CORS preflights itself.
        if NOT_LOOPBACK.match(request.url):
            outside.append(request.url)

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS) as browser,
        browser.new_context(**options) as context,
    ):
        context.on("request", check)
        yield context
    assert outside == [], outside


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve the files of a folder. Yield the URL, without a slash at the end."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
