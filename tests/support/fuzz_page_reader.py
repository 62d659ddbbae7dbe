"""Fuzz the code that reads a page, guided by coverage. ``robustness/test_fuzz.py`` runs this script.

Its arguments are the duration in seconds and a folder for the corpus. An exception that is not ours ends it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import sys

import atheris

with atheris.instrument_imports(include=["airflow_provider_angus"]):
    from airflow_provider_angus.api.auth import Authenticator, TokenCache
    from airflow_provider_angus.api.bodies import BodyDecoder, BodyError
    from airflow_provider_angus.api.messages import Request, Response, SingleFlight
    from airflow_provider_angus.api.pagination import EntityPages
    from airflow_provider_angus.api.settings import Credentials
    from airflow_provider_angus.exceptions import AngusError

from fuzzing import DAYS, METRICS, valid_pages

TOKEN_BODY = b'{"token": "abc.def.ghi"}'


def read_page(data: bytes) -> None:
    """Read a page. The first byte selects the content encoding or the status, the others are the body."""
    authenticator = Authenticator(Credentials("me", "shop", "secret"), "http://a", TokenCache())
    pages = EntityPages(authenticator, "http://b", METRICS, DAYS, "by_day")
    selector, body = data[:1], data[1:]
    with contextlib.suppress(AngusError, BodyError):
        decoder = BodyDecoder("gzip" if selector == b"z" else None)
        decoder.feed(body)
        status = {b"4": 400, b"1": 401, b"5": 500}.get(selector, 200)
        flow = pages.next_page()
        assert flow is not None
        step = flow.send(None)
        assert isinstance(step, SingleFlight)
        step.flow.send(None)
        with contextlib.suppress(StopIteration):
            step.flow.send(Response(200, {}, TOKEN_BODY))
        request = flow.send("abc.def.ghi")
        assert isinstance(request, Request)
        try:
            flow.send(Response(status, {}, decoder.finish()))
        except StopIteration as end:
            pages.accept(end.value)


def main() -> None:
    """Write the first inputs and fuzz."""
    seconds, corpus = sys.argv[1:]
    for number, page in valid_pages().items():
        body = json.dumps(page).encode()
        inputs = {"plain": b"0" + body, "gzip": b"z" + gzip.compress(body), "refused": b"4" + body}
        for name, data in inputs.items():
            with open(f"{corpus}/{name}-{number}", "wb") as file:  # noqa: PTH123 (a script)
                file.write(data)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=1024", corpus], read_page)
    # Fuzz ends the process.
    atheris.Fuzz()


if __name__ == "__main__":
    main()
