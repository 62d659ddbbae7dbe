"""Pages side by side, and long ranges in windows: the same of both drivers, and the same as one after the other."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from test_async_client import run
from test_client import settings_of

from airflow_provider_angus import async_client, fetching
from airflow_provider_angus.async_client import AngusAsyncClient
from airflow_provider_angus.client import AngusClient
from airflow_provider_angus.exceptions import AngusError, AngusRequestError, AngusResponseError, AngusUnavailableError
from airflow_provider_angus.fetching import Streams
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.sandbox import Sandbox
from airflow_provider_angus.sandbox.api import json_answer
from airflow_provider_angus.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_angus.connection import Settings
    from airflow_provider_angus.entities import Row

pytestmark = pytest.mark.usefixtures("no_backoff")

THIRD = datetime(2017, 9, 3, tzinfo=UTC)
#: Thirteen pages of two hours each.
HOURS = Interval(THIRD, THIRD + timedelta(hours=25, minutes=30))
WEEK = Interval(THIRD + timedelta(hours=3, minutes=45), THIRD + timedelta(days=7))


class Paged(Sandbox):
    """A sandbox that knows which pages are asked for when, and can hold their answers back."""

    def __init__(self, **options: Any) -> None:
        self.lock = threading.Lock()
        #: (page, instant) of each request for entities.
        self.asked: list[tuple[int, float]] = []
        self.now = self.most = 0
        #: Called with the page's number before it is answered.
        self.before: Callable[[int], object] = lambda _: None
        #: What to make of an answer, by the page's number.
        self.instead: dict[int, Callable[[Any], Any]] = {}
        super().__init__(**{"page_size": 2} | options)

    @property
    def pages(self) -> list[int]:
        return sorted(page for page, _ in self.asked)

    def _answer(self, request: Any) -> Any:
        if request.endpoint != "entities":
            return super()._answer(request)
        page = int(request.query["page"])
        with self.lock:
            self.asked.append((page, time.monotonic()))
            self.now += 1
            self.most = max(self.most, self.now)
        self.before(page)
        with self.lock:
            self.now -= 1
        answer = super()._answer(request)
        return self.instead[page](answer) if page in self.instead else answer


@pytest.fixture
def paged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paged]:
    TOKENS.clear()
    with Paged() as paged:
        monkeypatch.setenv("AIRFLOW_CONN_ANGUS_DEFAULT", paged.connection_json())
        yield paged


def ask_worker(settings: Settings, interval: Interval, time: str, window: timedelta | None) -> list[Row]:
    with AngusClient(settings) as client:
        pages = client.pages("passing_by", interval, time, window)
        return [row for page in client.read(pages) for row in page]


def ask_triggerer(settings: Settings, interval: Interval, time: str, window: timedelta | None) -> list[Row]:
    rows: list[Row] = run(AngusAsyncClient(settings).get_entities("passing_by", interval, time, window))
    return rows


class Ask:
    """Ask one of the drivers."""

    def __init__(self, driver: Callable[..., list[Row]]) -> None:
        self.driver = driver

    def __call__(
        self,
        sandbox: Sandbox,
        interval: Interval = HOURS,
        time: str = "by_hour",
        window: timedelta | None = None,
        **changes: Any,
    ) -> list[Row]:
        TOKENS.clear()
        return self.driver(settings_of(sandbox, **changes), interval, time, window)


@pytest.fixture(params=[ask_worker, ask_triggerer], ids=["worker", "triggerer"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return Ask(request.param)


def connections_to(sandbox: Sandbox) -> int:
    port = int(sandbox.url.rpartition(":")[2])
    return sum(bool(each.raddr) and each.raddr[1] == port for each in psutil.Process().net_connections("tcp"))


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("angus-"):
            thread.join(30)
            assert not thread.is_alive(), thread.name


# How many at once


@pytest.mark.parametrize("concurrency", [1, 2, 4, 12])
def test_as_many_pages_as_allowed_are_under_way_and_no_more_and_rows_come_in_order(
    concurrency: int, ask: Ask, paged: Paged
) -> None:
    together = threading.Barrier(concurrency)
    paged.before = lambda page: page == 1 or together.wait(20)
    rows = ask(paged, concurrency=concurrency)
    assert [row["bucket_start"] for row in rows] == sorted(row["bucket_start"] for row in rows)
    assert len(rows) == 26
    assert (paged.most, paged.pages) == (concurrency, list(range(1, 14)))
    assert (paged.count("token"), paged.asked[0][0]) == (1, 1)
    wait_for_threads()


def test_four_pages_at_once_unless_told_otherwise(ask: Ask, paged: Paged) -> None:
    together = threading.Barrier(4)
    paged.before = lambda page: page == 1 or together.wait(20)
    ask(paged)
    assert paged.most == 4


def test_the_rows_are_those_of_one_page_after_the_other(ask: Ask, paged: Paged) -> None:
    assert ask(paged) == ask(paged, concurrency=1)


def test_no_page_is_asked_for_before_there_is_room_for_it(paged: Paged) -> None:
    too_early = threading.Event()
    paged.before = lambda page: page > 5 and too_early.set()
    with AngusClient(settings_of(paged)) as client:
        read = client.read(client.pages("passing_by", HOURS, "by_hour"))
        next(read)
        assert paged.pages == [1]
        next(read)
        assert not too_early.wait(0.5)
        read.close()
    assert paged.pages == [1, 2, 3, 4, 5]


def test_one_page_and_pages_one_by_one_need_no_thread(paged: Paged) -> None:
    names: list[str] = []
    paged.before = lambda _: names.extend(thread.name for thread in threading.enumerate())
    ask_worker(settings_of(paged), Interval(THIRD, THIRD + timedelta(hours=1)), "by_hour", None)
    ask_worker(settings_of(paged, concurrency=1), HOURS, "by_hour", None)
    assert "MainThread" in names
    assert not [name for name in names if name.startswith("angus-page")]


# What goes wrong


def changed(**changes: Any) -> Callable[[Any], Any]:
    return lambda answer: json_answer(answer.status, json.loads(answer.body) | changes)


TROUBLE: dict[str, tuple[Callable[[Any], Any], type[AngusError], str]] = {
    "refused": (lambda _: json_answer(400, {"code": "no", "message": "No."}), AngusRequestError, "no: No."),
    "away": (lambda _: json_answer(503, {}), AngusUnavailableError, "was answered 503"),
    "cut": (lambda answer: replace(answer, cut=True), AngusResponseError, "the answer broke off"),
    "total changes": (changed(total_results=99), AngusResponseError, "total_results was 26 before and is 99 now"),
    "pages change": (changed(nb_of_pages=99), AngusResponseError, "page 5 .* nb_of_pages was 13 before and is 99 now"),
    "another page": (changed(page=4), AngusResponseError, "page is .*4.*, asked for was 5"),
    "nothing there": (changed(entities={}), AngusResponseError, "8 buckets came with 5 of 13 pages"),
}


@pytest.mark.parametrize(("trouble", "kind", "words"), TROUBLE.values(), ids=TROUBLE.keys())
def test_a_page_that_fails_among_others_is_the_same_error_as_one_after_the_other(
    trouble: Any, kind: type[AngusError], words: str, ask: Ask, paged: Paged
) -> None:
    paged.instead = {5: trouble}
    said = set()
    for concurrency in (1, 4):
        with pytest.raises(kind, match=words) as raised:
            ask(paged, concurrency=concurrency)
        assert type(raised.value) is kind
        said.add(str(raised.value))
    assert len(said) == 1
    wait_for_threads()


def test_the_first_page_that_fails_in_order_is_the_one_that_is_told_though_others_failed_before(
    ask: Ask, paged: Paged
) -> None:
    others = threading.Barrier(2)
    paged.before = lambda page: page in (3, 4) and others.wait(20)
    paged.instead = {
        3: lambda _: json_answer(400, {"code": "third", "message": "No."}),
        4: lambda _: json_answer(400, {"code": "fourth", "message": "No."}),
    }
    with pytest.raises(AngusRequestError, match="third: No"):
        ask(paged)


@contextmanager
def held(paged: Paged, *pages: int) -> Iterator[threading.Event]:
    """Hold back the answers to these pages; the event is set when all of them have been asked for."""
    release, waiting, there = threading.Event(), set(pages), threading.Event()

    def hold(page: int) -> None:
        if page in pages:
            waiting.discard(page)
            if not waiting:
                there.set()
            release.wait(60)

    paged.before = hold
    try:
        yield there
    finally:
        release.set()


def test_the_first_error_ends_what_is_under_way_and_leaves_no_thread_and_no_socket(paged: Paged) -> None:
    with held(paged, 4, 5) as there, AngusClient(settings_of(paged, timeout=600)) as client:
        paged.instead = {3: lambda answer: there.wait(30) and json_answer(400, {"message": "No."}, answer.client_id)}
        with pytest.raises(AngusRequestError, match="No"):
            list(client.read(client.pages("passing_by", HOURS, "by_hour")))
        # Though their answers have not come.
        wait_for_threads()
        assert connections_to(paged) <= 1
        assert max(paged.pages) <= 6
        client.close()
        assert connections_to(paged) == 0


class _TimeIsUpError(BaseException):
    pass


@contextmanager
def killed_when(there: threading.Event) -> Iterator[None]:
    """Raise in the main thread, as Airflow's time-outs and signals do, when an event is set."""

    def kill(*_: object) -> None:
        raise _TimeIsUpError

    before = signal.signal(signal.SIGALRM, kill)
    main = threading.main_thread().ident
    assert main
    killer = threading.Thread(target=lambda: there.wait(30) and signal.pthread_kill(main, signal.SIGALRM))
    killer.start()
    try:
        yield
    finally:
        killer.join()
        signal.signal(signal.SIGALRM, before)


def test_a_task_that_is_killed_while_pages_are_under_way_leaves_no_thread_and_no_socket(paged: Paged) -> None:
    client = AngusClient(settings_of(paged, timeout=600))
    with held(paged, 2, 3, 4, 5) as there:
        with client, pytest.raises(_TimeIsUpError), killed_when(there):
            list(client.read(client.pages("passing_by", HOURS, "by_hour")))
        wait_for_threads()
        assert connections_to(paged) == 0
    assert paged.pages == [1, 2, 3, 4, 5]


def test_a_task_of_several_streams_that_is_killed_leaves_no_thread_and_no_socket(
    paged: Paged, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [f"shop_{number}" for number in range(3)]
    for shop, client_id in zip(shops, paged.streams, strict=True):
        monkeypatch.setenv(f"AIRFLOW_CONN_{shop.upper()}", paged.connection_json(client_id))
    streams = Streams(shops, metrics="passing_by", interval=HOURS, time="by_hour")
    with held(paged, 2, 3, 4, 5) as there:
        with pytest.raises(_TimeIsUpError), killed_when(there):
            list(streams)
        wait_for_threads()
        assert connections_to(paged) == 0


def test_several_streams_share_the_requests_of_one_task(paged: Paged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "STREAMS_AT_ONCE", 6)
    shops = [f"shop_{number}" for number in range(3)]
    for shop, client_id in zip(shops, paged.streams, strict=True):
        monkeypatch.setenv(f"AIRFLOW_CONN_{shop.upper()}", paged.connection_json(client_id))
    # Slow enough for all to be under way that may be.
    paged.before = lambda _: time.sleep(0.1)
    wholes = list(Streams(shops, metrics="passing_by", interval=HOURS, time="by_hour"))
    assert [len(whole.rows) for whole in wholes] == [26] * 3
    assert 3 < paged.most <= 6


def test_a_question_that_is_cancelled_leaves_no_task_and_no_socket(
    paged: Paged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_client, "KEPT_IDLE", 0.02)

    async def main() -> None:
        others = asyncio.all_tasks()
        client = AngusAsyncClient(settings_of(paged, timeout=600))
        asking = asyncio.ensure_future(client.get_entities("passing_by", HOURS, "by_hour"))
        await asyncio.to_thread(there.wait, 30)
        asking.cancel()
        await asyncio.wait({asking}, timeout=20)
        assert asking.cancelled()
        # Connections are kept for a while.
        while left := asyncio.all_tasks() - others:
            await asyncio.wait(left, timeout=30)
        # A transport lets go of its socket when the loop comes to it.
        for _ in range(500):
            if not connections_to(paged):
                break
            await asyncio.sleep(0.02)
        assert connections_to(paged) == 0

    with held(paged, 2, 3, 4, 5) as there:
        run(main())


def test_an_event_loop_that_ends_leaves_no_socket(paged: Paged) -> None:
    assert len(run(AngusAsyncClient(settings_of(paged)).get_entities("passing_by", HOURS, "by_hour"))) == 26
    assert connections_to(paged) == 0


def test_who_reads_in_one_thread_gets_an_error_of_ours_when_another_closes_the_client(paged: Paged) -> None:
    client = AngusClient(settings_of(paged, timeout=600))
    with held(paged, 1) as there:
        closer = threading.Thread(target=lambda: there.wait(30) and client.close())
        closer.start()
        with pytest.raises(AngusError, match="Given up"):
            list(client.read(client.pages("passing_by", HOURS, "by_hour")))
        closer.join()
    assert connections_to(paged) == 0
    # And it can be used again.
    with client:
        assert len([row for page in client.read(client.pages("passing_by", HOURS, "by_hour")) for row in page]) == 26


def test_an_api_that_asks_one_page_to_wait_is_left_alone_by_all(ask: Ask, paged: Paged) -> None:
    refused: list[float] = []
    told = threading.Event()

    def too_many(answer: Any) -> Any:
        if refused:
            return answer
        refused.append(time.monotonic())
        told.set()
        return replace(answer, status=429, headers={"Retry-After": "1"})

    def slow(page: int) -> None:
        if page == 2 and told.wait(20):
            time.sleep(0.2)

    # The second page makes room for the sixth when nobody is to ask.
    paged.before, paged.instead = slow, {3: too_many}
    assert len(ask(paged)) == 26
    since = [(moment - refused[0], page) for page, moment in paged.asked]
    assert {page for seconds, page in since if seconds < 0.9} <= {1, 2, 3, 4, 5}
    assert {page for seconds, page in since if seconds >= 0.9} >= {3, *range(6, 14)}


def test_a_token_that_expires_while_pages_are_under_way_is_replaced_once_for_all(ask: Ask, paged: Paged) -> None:
    together = threading.Barrier(4)

    def expire(page: int) -> None:
        if page in (2, 3, 4, 5) and not together.broken:
            with suppress(threading.BrokenBarrierError):
                if together.wait(20) == 0:
                    paged.expire_tokens()
                together.wait(20)
                together.abort()

    paged.before = expire
    assert len(ask(paged)) == 26
    assert paged.count("token") == 2
    assert [call.status for call in paged.calls].count(401) == 4


# Long ranges


def ranges(sandbox: Sandbox, status: int | None = None) -> list[tuple[str, str]]:
    return [
        (call.query["from_date"][5:16], call.query["to_date"][5:16])
        for call in sandbox.calls
        if call.endpoint == "entities" and call.query["page"] == "1" and status in (None, call.status)
    ]


def test_a_range_that_is_refused_as_too_long_is_asked_for_in_windows_that_join_to_it(ask: Ask) -> None:
    with Sandbox(max_range=timedelta(days=2)) as sandbox, Sandbox() as other:
        rows = ask(sandbox, WEEK)
        assert rows == ask(other, WEEK)
        assert len(rows) == 7 * 24 - 3
        assert len(ranges(sandbox, 400)) == 2
        assert ranges(sandbox, 200) == [
            ("09-03T03:45", "09-04T21:00"),
            ("09-04T21:00", "09-06T15:00"),
            ("09-06T15:00", "09-08T09:00"),
            ("09-08T09:00", "09-10T00:00"),
        ]


def test_days_are_cut_at_days(ask: Ask) -> None:
    with Sandbox(max_range=timedelta(days=2)) as sandbox, Sandbox() as other:
        assert ask(sandbox, WEEK, "by_day") == ask(other, WEEK, "by_day")
        assert ranges(sandbox, 200)[:2] == [("09-03T03:45", "09-05T00:00"), ("09-05T00:00", "09-07T00:00")]


def test_a_window_is_asked_for_from_the_start(ask: Ask) -> None:
    with Sandbox(max_range=timedelta(days=3), page_size=10) as sandbox, Sandbox() as other:
        assert ask(sandbox, WEEK, window=timedelta(days=3)) == ask(other, WEEK)
        assert ranges(sandbox) == [
            ("09-03T03:45", "09-06T03:00"),
            ("09-06T03:00", "09-09T03:00"),
            ("09-09T03:00", "09-10T00:00"),
        ]


def test_global_is_never_split(ask: Ask) -> None:
    with Sandbox(max_range=timedelta(days=2)) as sandbox:
        with pytest.raises(AngusRequestError, match="range_too_long"):
            ask(sandbox, WEEK, "global", window=timedelta(days=1))
        assert sandbox.count("entities") == 1


def test_a_single_bucket_that_is_refused_is_the_first_refusal_after_a_few_requests(ask: Ask) -> None:
    with Sandbox(max_range=timedelta(minutes=5)) as sandbox:
        with pytest.raises(AngusRequestError, match="range_too_long: A range may be 0:05:00 long at most"):
            ask(sandbox, WEEK)
        assert sandbox.count("entities") == 9


def test_any_other_refusal_is_asked_once(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.fail_next(400, on="entities", body={"code": "unexisting_metric", "message": "No metric, only others."})
    with pytest.raises(AngusRequestError, match="unexisting_metric"):
        ask(sandbox, WEEK)
    assert sandbox.count("entities") == 1


def test_a_refusal_of_a_later_page_is_no_matter_of_the_range(ask: Ask, paged: Paged) -> None:
    paged.instead = {3: lambda _: json_answer(400, {"code": "range_too_long", "message": "No."})}
    with pytest.raises(AngusRequestError, match="range_too_long"):
        ask(paged)
    assert paged.pages.count(1) == 1


@pytest.mark.parametrize("trouble", [{"status": 504}, {"status": 200, "drip": 0.1}], ids=["gateway", "ours"])
def test_a_long_range_that_is_not_answered_in_time_is_asked_for_in_halves(
    trouble: dict[str, Any], ask: Ask, sandbox: Sandbox
) -> None:
    ask(sandbox, Interval(THIRD, THIRD + timedelta(hours=1)))
    sandbox.forget_calls()
    sandbox.fail_next(**trouble, times=4, on="entities")
    with Sandbox() as other:
        assert ask(sandbox, WEEK, timeout=0.5 if "drip" in trouble else 30) == ask(other, WEEK)
    assert ranges(sandbox)[3:] == [
        ("09-03T03:45", "09-10T00:00"),
        ("09-03T03:45", "09-06T14:00"),
        ("09-06T14:00", "09-10T00:00"),
    ]


def test_a_short_range_that_is_not_answered_in_time_is_not(ask: Ask, sandbox: Sandbox) -> None:
    sandbox.fail_next(504, times=100, on="entities")
    with pytest.raises(AngusUnavailableError, match="was answered 504"):
        ask(sandbox, HOURS)
    assert sandbox.count("entities") == 4
