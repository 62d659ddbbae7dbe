"""Which requests the clients send, and the rows that they return."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from http_servers import HttpServer
from samples import DAY, MIDNIGHT

from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from clients import Fetcher

WEEK = Interval(MIDNIGHT + timedelta(hours=3, minutes=45), MIDNIGHT + timedelta(days=7))


def test_client_sends_one_token_and_one_page_request(fetcher: Fetcher, sandbox: Sandbox) -> None:
    (row,) = fetcher.fetch()
    assert row["bucket_start"] == "2017-09-03T00:00:00+00:00"
    assert row["passing_by"] > 0
    assert [(call.method, call.path) for call in sandbox.calls] == [
        ("POST", "/api-token-authstream/"),
        ("GET", "/api/1/entities"),
    ]


def test_client_sends_dates_with_offset_and_metrics_without_spaces(fetcher: Fetcher, sandbox: Sandbox) -> None:
    fetcher.fetch(metrics=["passing_by", "gender"])
    assert sandbox.calls[-1].query == {
        "metrics": "passing_by,gender",
        "from_date": "2017-09-03T00:00:00+00:00",
        "to_date": "2017-09-04T00:00:00+00:00",
        "time": "by_day",
        "page": "1",
    }


def test_client_encodes_the_query(create_fetcher: Any, sandbox: Sandbox) -> None:
    """A plus sign that is not encoded would be a space."""
    with HttpServer() as server:
        create_fetcher(sandbox, console_url=server.url, data_url=server.url).fetch()
        assert "from_date=2017-09-03T00%3A00%3A00%2B00%3A00" in server.requests[-1].target


def test_client_accepts_gzip_only(create_fetcher: Any, sandbox: Sandbox) -> None:
    with HttpServer() as server:
        create_fetcher(sandbox, console_url=server.url, data_url=server.url).fetch()
        assert [each.headers["Accept-Encoding"] for each in server.requests] == ["gzip", "gzip"]
        assert [each.headers["Authorization"] for each in server.requests] == [None, "Bearer T"]


def test_client_requests_each_page_once(create_fetcher: Any) -> None:
    with Sandbox(page_size=7) as small_pages, Sandbox() as large_pages:
        rows = create_fetcher(small_pages).fetch(time="by_hour")
        assert rows == create_fetcher(large_pages).fetch(time="by_hour")
        assert len(rows) == 24
        pages = [call.query.get("page") for call in small_pages.calls]
        assert (pages[:2], sorted(pages[2:])) == ([None, "1"], ["2", "3", "4"])
        assert (small_pages.count("token"), small_pages.count("entities")) == (1, 4)


def test_client_ignores_next_page(create_fetcher: Any) -> None:
    """No response can send the token to another host."""
    with Sandbox() as elsewhere, Sandbox(page_size=1) as sandbox:
        sandbox.change_next(lambda page: page | {"next_page": f"{elsewhere.url}/api/1/entities?page=2"}, on="entities")
        assert len(create_fetcher(sandbox).fetch()) == 1
        assert (sandbox.count("entities"), elsewhere.count()) == (2, 0)


def test_client_sends_no_request_for_invalid_arguments(fetcher: Fetcher, sandbox: Sandbox) -> None:
    for invalid in ({"metrics": "visitors"}, {"time": "by_week"}, {"window": timedelta(0)}):
        with pytest.raises(AngusRequestError):
            fetcher.fetch(**invalid)
    assert sandbox.calls == []


@pytest.mark.parametrize("time", ["by_hour", "by_day"])
def test_client_fetches_windows(time: str, create_fetcher: Any) -> None:
    """Their rows are those of the complete range."""
    with Sandbox(max_range=timedelta(days=3), page_size=10) as sandbox, Sandbox() as unlimited:
        fetcher = create_fetcher(sandbox)
        assert fetcher.fetch(WEEK, time, window=timedelta(days=3)) == create_fetcher(unlimited).fetch(WEEK, time)
        assert fetcher.waits == []
        ranges = [
            (call.query["from_date"][5:16], call.query["to_date"][5:16])
            for call in sandbox.calls
            if call.query.get("page") == "1"
        ]
    hour = "03:00" if time == "by_hour" else "00:00"
    assert ranges == [
        ("09-03T03:45", f"09-06T{hour}"),
        (f"09-06T{hour}", f"09-09T{hour}"),
        (f"09-09T{hour}", "09-10T00:00"),
    ]


def test_client_never_splits_global(create_fetcher: Any) -> None:
    with Sandbox() as sandbox:
        (row,) = create_fetcher(sandbox).fetch(WEEK, "global", window=timedelta(days=1))
        assert sandbox.count("entities") == 1
        assert row["bucket_end"] == "2017-09-10T00:00:00+00:00"


def test_client_fetches_each_stream_with_its_own_token(create_fetcher: Any, sandbox: Sandbox) -> None:
    for client_id in sandbox.streams:
        (row,) = create_fetcher(sandbox, client_id).fetch(DAY)
        assert row["stream"] == client_id
    tokens = [call.client_id for call in sandbox.calls if call.endpoint == "token"]
    assert tokens == list(sandbox.streams)
