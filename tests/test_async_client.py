"""The driver for triggerers, beside the one for workers, over real HTTP."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import certifi
import pytest

from airflow_provider_angus import async_client, retrying
from airflow_provider_angus.async_client import AngusAsyncClient
from airflow_provider_angus.client import AngusClient
from airflow_provider_angus.connection import Settings
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.protocol import Credentials
from airflow_provider_angus.retrying import ATTEMPTS
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.tokens import TOKENS, TokenCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from airflow_provider_angus.entities import Row

THIRD = datetime(2017, 9, 3, tzinfo=UTC)
DAY = Interval(THIRD, THIRD + timedelta(days=1))
MANY = 200


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts: what they would have been, for nobody waits."""
    wait, asked = retrying.POLICY["wait"], []

    def no_wait(state: Any) -> float:
        asked.append(wait(state))
        return 0.0

    monkeypatch.setitem(retrying.POLICY, "wait", no_wait)
    return asked


def settings_of(sandbox: Sandbox, client_id: str | None = None, **changes: Any) -> Settings:
    given = sandbox.connection(client_id)
    credentials = Credentials(given["login"], given["extra"]["client_id"], given["password"])
    return Settings(**{"credentials": credentials, "data_url": sandbox.url, "console_url": sandbox.url} | changes)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run in an event loop of its own; what hangs fails."""
    return asyncio.run(asyncio.wait_for(main, 30))


async def ask(settings: Settings, time: str = "by_day") -> list[Row]:
    return await AngusAsyncClient(settings).get_entities("passing_by,gender", DAY, time)


def ask_worker(settings: Settings, time: str = "by_day") -> list[Row]:
    with AngusClient(settings, tokens=TokenCache()) as client:
        return [row for page in client.read(client.pages("passing_by,gender", DAY, time)) for row in page]


def ask_triggerer(*args: Any) -> Any:
    TOKENS.clear()
    return run(ask(*args))


def outcomes(prepare: Callable[[Sandbox], object], time: str = "by_day", **changes: Any) -> list[tuple[Any, ...]]:
    """Ask the same of two sandboxes that behave the same, by each driver; return what came of it and the calls."""
    found = []
    for driver in (ask_worker, ask_triggerer):
        with Sandbox(page_size=7) as angus:
            prepare(angus)
            try:
                result: Any = driver(settings_of(angus, **changes), time)
            except AngusError as error:
                # How the libraries name a broken connection is theirs.
                words = re.sub("(got no answer|the answer broke off): .*", r"\1", str(error))
                result = (type(error), words.replace(angus.url, "URL"))
            # In any order, as pages are asked for side by side.
            calls = [(call.method, call.path, call.query, call.status) for call in angus.calls]
            found.append((result, sorted(calls, key=str)))
    return found


async def all_at_once(asked: list[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*asked, return_exceptions=True)


# The same answers as on a worker


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_a_triggerer_gets_the_rows_a_worker_gets_with_the_same_calls(time: str) -> None:
    worker, triggerer = outcomes(lambda _: None, time)
    assert triggerer == worker
    assert len(triggerer[0]) == (24 if time == "by_hour" else 1)


JSON = {"code": "no", "message": "No."}
STAYS: list[tuple[type[AngusError], dict[str, Any]]] = [
    (AngusAuthError, {"status": 401, "body": JSON}),
    (AngusAuthError, {"status": 403, "body": JSON}),
    (AngusAuthError, {"status": 400, "body": JSON, "on": "token"}),
    (AngusRequestError, {"status": 400, "body": JSON, "on": "entities"}),
    (AngusResponseError, {"status": 400, "body": "<html>", "on": "token"}),
    (AngusResponseError, {"status": 200, "body": "<html>Log in</html>"}),
    (AngusResponseError, {"status": 200, "body": [1, 2]}),
    (AngusResponseError, {"status": 200, "body": {"entities": {}}}),
    (AngusResponseError, {"status": 200, "cut": True}),
    (AngusResponseError, {"status": 301, "body": "", "headers": {"Location": "/elsewhere"}}),
    (AngusResponseError, {"status": 307, "body": "", "headers": {"Location": "http://127.0.0.1:9/"}}),
    (AngusUnavailableError, {"status": 0}),
    (AngusUnavailableError, {"status": 503, "headers": {"Retry-After": "3"}}),
    (AngusUnavailableError, {"status": 429, "headers": {"Retry-After": "1000"}}),
]


@pytest.mark.parametrize(
    ("error", "order"),
    [(error, {"on": endpoint} | order) for endpoint in ("token", "entities") for error, order in STAYS],
)
def test_trouble_that_stays_is_the_same_error_with_the_same_words_after_the_same_calls(
    error: type[AngusError], order: dict[str, Any], waits: list[float]
) -> None:
    worker, triggerer = outcomes(lambda angus: angus.fail_next(**order, times=9))
    assert triggerer == worker
    assert triggerer[0][0] is error
    if retry_after := order.get("headers", {}).get("Retry-After"):
        assert set(waits) == {min(float(retry_after), 60.0)}


@pytest.mark.parametrize("endpoint", ["token", "entities"])
@pytest.mark.parametrize("order", [{"status": 0}, {"status": 503}, {"status": 429}, {"status": 200, "cut": True}])
def test_trouble_that_passes_is_waited_out_with_the_same_calls(order: dict[str, Any], endpoint: Any) -> None:
    worker, triggerer = outcomes(lambda angus: angus.fail_next(**order, times=ATTEMPTS - 1, on=endpoint))
    assert triggerer == worker
    assert len(triggerer[0]) == 1
    assert len(triggerer[1]) == 2 + ATTEMPTS - 1


def test_wrong_credentials_are_the_same_error() -> None:
    wrong = Credentials("somebody@angus.example", "shop", "hunter2")
    worker, triggerer = outcomes(lambda _: None, credentials=wrong)
    assert triggerer == worker
    assert triggerer[0][0] is AngusAuthError
    assert "hunter2" not in triggerer[0][1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"verify": "/not/there.pem"}, "verify"),
        ({"proxy": "ftp://user:hunter2@127.0.0.1"}, "proxy"),
        ({"proxy": "http://user:hunter2@127.0.0.1:port"}, "proxy"),
        ({"data_url": "https://127.0.0.1:port", "console_url": "https://127.0.0.1:port"}, "URLs"),
    ],
)
def test_what_cannot_be_used_is_an_auth_error_that_names_it_without_any_call(
    changes: dict[str, Any], named: str, waits: list[float]
) -> None:
    # Nobody answers there: whoever got as far as asking says something else.
    changes = {"console_url": "https://127.0.0.1:9"} | changes
    for (error, words), calls in outcomes(lambda _: None, **changes):
        assert error is AngusAuthError
        assert re.search(f"[Cc]heck the connection's .*{named}", words)
        assert "hunter2" not in words
        assert calls == []
    assert waits == []


# The time of an answer


@pytest.mark.parametrize("endpoint", ["token", "entities"])
def test_an_answer_of_a_byte_now_and_then_ends_at_the_timeout_as_a_whole(sandbox: Sandbox, endpoint: Any) -> None:
    sandbox.fail_next(200, drip=0.03, times=ATTEMPTS, on=endpoint)
    with pytest.raises(AngusUnavailableError, match=r"was not answered within 0.15 s\.$"):
        run(ask(settings_of(sandbox, timeout=0.15)))
    assert sandbox.count(endpoint) == ATTEMPTS


def test_an_answer_that_does_not_come_leaves_the_event_loop_to_others() -> None:
    async def main(settings: Settings) -> int:
        asking, turns = asyncio.ensure_future(ask(settings)), 0
        while not asking.done():
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(AngusUnavailableError, match=r"was not answered within 0.1 s\.$"):
            await asking
        return turns

    with Sandbox(latency=60) as sandbox:
        assert run(main(settings_of(sandbox, timeout=0.1))) > ATTEMPTS


# One token for all


def test_many_clients_that_start_at_once_ask_for_one_token_and_again_when_it_expires_under_all_of_them() -> None:
    async def main(sandbox: Sandbox) -> None:
        settings = settings_of(sandbox)
        for round_ in (1, 2):
            answers = await all_at_once([ask(settings) for _ in range(MANY)])
            assert [len(rows) for rows in answers] == [1] * MANY
            assert sandbox.count("token") == round_
            sandbox.expire_tokens()
        refused = sum(call.status == 401 for call in sandbox.calls)
        assert (refused, sandbox.count("entities")) == (MANY, 3 * MANY)

    TOKENS.clear()
    # An answer that takes a moment, so that all of them find no token.
    with Sandbox(latency=0.05) as sandbox:
        run(main(sandbox))


def test_refused_credentials_are_asked_for_once_for_all_who_wait_and_are_not_remembered() -> None:
    async def main(sandbox: Sandbox, wrong: Settings) -> None:
        for round_ in (1, 2):
            answers = await all_at_once([ask(wrong) for _ in range(MANY)])
            assert {type(answer) for answer in answers} == {AngusAuthError}
            assert sandbox.count() == sandbox.count("token") == round_

    TOKENS.clear()
    with Sandbox(latency=0.05) as sandbox:
        settings = settings_of(sandbox)
        run(main(sandbox, replace(settings, credentials=replace(settings.credentials, access_token="wrong"))))


def test_each_stream_has_a_token_of_its_own(sandbox: Sandbox) -> None:
    everyone = [ask(settings_of(sandbox, stream)) for stream in sandbox.streams for _ in range(20)]
    rows = [row for (row,) in run(all_at_once(everyone))]
    assert [row["stream"] for row in rows] == [stream for stream in sandbox.streams for _ in range(20)]
    tokens = [call.client_id for call in sandbox.calls if call.endpoint == "token"]
    assert sorted(tokens) == sorted(sandbox.streams)


@pytest.mark.parametrize("leaves", [[0], [1], [0, 1, 2]], ids=["who began", "who waits", "all"])
def test_one_who_is_cancelled_does_not_take_the_token_from_the_others(leaves: list[int]) -> None:
    asked = threading.Event()

    async def main(sandbox: Sandbox) -> None:
        tasks = [asyncio.ensure_future(ask(settings_of(sandbox))) for _ in range(3)]
        await asyncio.to_thread(asked.wait, 10)
        for number in leaves:
            tasks[number].cancel()
        answers = await all_at_once(list(tasks))
        assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [n in leaves for n in range(3)]
        assert len(await ask(settings_of(sandbox))) == 1
        assert sandbox.count("token") == 1

    TOKENS.clear()
    with Sandbox(latency=0.1) as sandbox:
        sandbox.change_next(lambda answer: asked.set() or answer, on="token")
        run(main(sandbox))


def test_every_token_is_handed_out_to_be_masked_before_it_is_used(sandbox: Sandbox) -> None:
    seen: list[tuple[bool, int]] = []

    async def on_token(token: str) -> None:
        seen.append((token.count(".") == 2, sandbox.count("entities")))

    run(AngusAsyncClient(settings_of(sandbox), on_token=on_token).get_entities("passing_by", DAY, "by_day"))
    assert seen == [(True, 0)]


# Connections


class Server:
    """Answers everything with a token and an empty page, and counts its connections."""

    accepted = open = most = 0
    seconds = 0.0

    @asynccontextmanager
    async def serving(self, sandbox: Sandbox, **changes: Any) -> AsyncIterator[Settings]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=1024)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        TOKENS.clear()
        async with server:
            yield settings_of(sandbox, console_url=url, data_url=url, **changes)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted, self.open = self.accepted + 1, self.open + 1
        self.most = max(self.most, self.open)
        body = b'{"token": "T", "entities": {}, "total_results": 0, "nb_of_pages": 0}'
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                await asyncio.sleep(self.seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open -= 1
            writer.close()


def test_connections_are_shared_and_never_too_many_and_waiting_for_one_is_not_the_api_s_time(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_client, "CONNECTIONS", 5)

    async def main() -> None:
        server = Server()
        async with server.serving(sandbox, timeout=0.5) as settings:
            assert [await ask(settings) for _ in range(20)] == [[]] * 20
            assert server.accepted == 1
            server.seconds = 0.02
            assert await all_at_once([ask(settings) for _ in range(150)]) == [[]] * 150
            assert server.accepted == server.most <= 5

    run(main())


def test_idle_connections_are_closed_and_made_again_when_somebody_asks(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_client, "KEPT_IDLE", 0.02)

    async def main() -> None:
        server = Server()
        async with server.serving(sandbox) as settings:
            for accepted in (1, 2, 3):
                assert await ask(settings) == []
                assert server.accepted == accepted
                while server.open:  # noqa: ASYNC110 (a server has no event for it)
                    await asyncio.sleep(0.01)

    run(main())


def test_full_garbage_collections_leave_out_what_was_there_before_the_first_question(sandbox: Sandbox) -> None:
    async_client._leave_alone_what_is_there.cache_clear()  # noqa: SLF001 (once a process, and this is one of many tests)
    gc.unfreeze()
    there = len(gc.get_objects())
    run(ask(settings_of(sandbox)))
    try:
        assert gc.get_freeze_count() >= there
        assert len(gc.get_objects()) < there
    finally:
        gc.unfreeze()


def test_event_loops_one_after_another_share_the_token_and_nothing_else(sandbox: Sandbox) -> None:
    rows = [run(ask(settings_of(sandbox))) for _ in range(3)]
    assert rows[0] == rows[1] == rows[2]
    assert (sandbox.count("token"), sandbox.count("entities")) == (1, 3)


def test_an_event_loop_that_has_ended_leaves_no_more_than_itself_behind(sandbox: Sandbox) -> None:
    loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    async def main() -> None:
        loops.add(asyncio.get_running_loop())
        await ask(settings_of(sandbox))

    for _ in range(4):
        run(main())
    gc.collect()
    assert len(loops) <= 1


def test_one_who_is_cancelled_while_connections_are_made_does_not_keep_them_open(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_client, "KEPT_IDLE", 0.02)

    async def main() -> None:
        server = Server()
        async with server.serving(sandbox) as settings:
            for _ in range(2):
                assert await ask(settings) == []
                while server.open:  # noqa: ASYNC110 (a server has no event for it)
                    await asyncio.sleep(0.01)
                asking = asyncio.ensure_future(ask(settings))
                await asyncio.sleep(0)
                asking.cancel()

    run(main())


@pytest.mark.parametrize(
    ("changes", "environment"),
    [
        ({"proxy": "socks5://user:hunter2@127.0.0.1:9"}, {}),
        ({"console_url": "https://xn--a.invalid"}, {}),
        ({"console_url": "http://127.0.0.1:9"}, {"http_proxy": "http://user:hunter2@127.0.0.1:99999"}),
        ({"console_url": "http://127.0.0.1:9"}, {"no_proxy": "fd00::/8"}),
    ],
)
def test_what_the_library_trips_over_is_an_auth_error(
    sandbox: Sandbox, changes: dict[str, Any], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AngusAuthError, match="[Cc]heck the connection's .*proxy") as raised:
        run(ask(settings_of(sandbox, **changes)))
    assert "hunter2" not in str(raised.value)


def test_a_proxy_that_echoes_its_password_does_not_bring_it_into_an_error(sandbox: Sandbox) -> None:
    sandbox.fail_next(407, body="Not p/assword!")
    with pytest.raises(AngusResponseError, match=r"was answered 407: Not \*\*\*!"):
        run(ask(settings_of(sandbox, proxy=sandbox.url.replace("//", "//me:p%2Fassword@"))))


def test_a_ca_bundle_that_is_put_right_is_read_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    bundle, certificates = tmp_path / "ca.pem", Path(certifi.where()).read_text()

    async def main(settings: Settings) -> None:
        with pytest.raises(AngusAuthError):
            await ask(settings)
        bundle.write_text(certificates)
        assert len(await ask(settings)) == 1

    run(main(settings_of(sandbox, verify=str(bundle))))


def test_cookies_of_one_stream_are_not_sent_for_another(sandbox: Sandbox) -> None:
    cookies: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            cookies.append(self.headers["Cookie"])
            body = b'{"token": "abc.def.ghi", "entities": {}, "total_results": 0, "nb_of_pages": 1}'
            self.send_response(200)
            self.send_header("Set-Cookie", "sessionid=of-somebody; Path=/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 (the base class's names)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for ask_so in (ask_triggerer, ask_worker):
            for client_id in list(sandbox.streams)[:2]:
                assert ask_so(settings_of(sandbox, client_id, console_url=url, data_url=url)) == []
    finally:
        server.shutdown()
        server.server_close()
    assert cookies == [None] * 8
