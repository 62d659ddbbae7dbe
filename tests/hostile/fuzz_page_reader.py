"""Coverage-guided fuzzing of what reads a page: run by test_fuzz.py as a process of its own, for some seconds.

Its arguments: how many seconds, and a folder. An exception that is not ours ends it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import sys

import atheris

with atheris.instrument_imports(include=["airflow_provider_angus"]):
    from airflow_provider_angus.answers import Answer, Request
    from airflow_provider_angus.bodies import Body, BodyError
    from airflow_provider_angus.exceptions import AngusError
    from airflow_provider_angus.protocol import Credentials, Pages, Stream
    from airflow_provider_angus.tokens import TokenCache

from fuzzing import DAYS, METRICS, true_pages


def read_page(data: bytes) -> None:
    """Read bytes as the pages of a question: the first says how they are packed and which status they have."""
    tokens = TokenCache()
    pages = Pages(Stream(Credentials("me", "shop", "secret"), "http://a", "http://b", tokens), METRICS, DAYS, "by_day")
    kind, body = data[:1], data[1:]
    with contextlib.suppress(AngusError, BodyError):
        unpacked = Body("gzip" if kind == b"z" else None)
        unpacked.feed(body)
        status = {b"4": 400, b"1": 401, b"5": 500}.get(kind, 200)
        flow = pages.ask()
        step = flow.send(None)
        # The token it wants first.
        step.flow.send(None)
        with contextlib.suppress(StopIteration):
            step.flow.send(Answer(200, {}, b'{"token": "abc.def.ghi"}'))
        request = flow.send("abc.def.ghi")
        assert isinstance(request, Request)
        try:
            flow.send(Answer(status, {}, unpacked.whole()))
        except StopIteration as end:
            pages.take(end.value)


def main() -> None:
    """Fuzz for so many seconds."""
    seconds, corpus = sys.argv[1:]
    for number, page in true_pages().items():
        whole = json.dumps(page).encode()
        for name, data in (("plain", b"0" + whole), ("packed", b"z" + gzip.compress(whole)), ("refused", b"4" + whole)):
            with open(f"{corpus}/{name}-{number}", "wb") as file:  # noqa: PTH123 (a script)
                file.write(data)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=1024", corpus], read_page)
    # It ends the process itself.
    atheris.Fuzz()


if __name__ == "__main__":
    main()
