from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from flows import (
    DATA_URL,
    PAGE,
    authenticator,
    cache_with_token,
    drive,
    page,
    pages,
    read_all,
    read_page,
    response,
    token_response,
)
from hypothesis import given
from hypothesis import strategies as st
from samples import DAY, MIDNIGHT, TWO_DAYS
from strategies import json_values

from airflow_provider_angus.api.messages import Request
from airflow_provider_angus.api.pagination import LONG_RANGE, EntityPages
from airflow_provider_angus.exceptions import AngusError, AngusRequestError, AngusResponseError
from airflow_provider_angus.model.buckets import Time, bucket_starts
from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from airflow_provider_angus.api.auth import TokenCache


@pytest.fixture
def tokens() -> TokenCache:
    return cache_with_token()


def query(metrics: Any = "passing_by", time: str = "by_day", **arguments: Any) -> EntityPages:
    return EntityPages(authenticator(), DATA_URL, metrics, DAY, time, **arguments)


# Requests


def test_pages_request_has_all_parameters_and_token() -> None:
    requests: list[Request] = []
    flow = read_page(query(["stop_time", "passing_by"]))
    drive(flow, token_response("T"), response(200, PAGE), requests=requests)
    parameters = {
        "metrics": "passing_by,stop_time",
        "from_date": "2017-09-03T00:00:00+00:00",
        "to_date": "2017-09-04T00:00:00+00:00",
        "time": "by_day",
        "page": "1",
    }
    assert requests[1] == Request("GET", "https://data.example/api/1/entities", parameters, token="T")


def test_pages_are_requested_by_number_at_one_url(tokens: TokenCache) -> None:
    """``next_page`` is never followed."""
    two_pages, requests = pages("by_day", TWO_DAYS, tokens), list[Request]()
    first = drive(read_page(two_pages), response(200, page("2017-09-03", total=2, of=2)), requests=requests)
    assert not two_pages.finished
    last = drive(read_page(two_pages), response(200, page("2017-09-04", total=2, of=2, number=2)), requests=requests)
    assert two_pages.finished
    assert [row["bucket_start"][:10] for row in first + last] == ["2017-09-03", "2017-09-04"]
    assert {request.url for request in requests} == {"https://data.example/api/1/entities"}
    assert [request.params["page"] for request in requests] == ["1", "2"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"metrics": "visitors"}, "metrics: expected one or more of"),
        ({"metrics": []}, "metrics: expected one or more of"),
        ({"time": "by_week"}, "time: expected one of"),
        ({"window": timedelta(0)}, "window: expected a positive timedelta"),
    ],
)
def test_pages_invalid_query_raises_before_any_request(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(AngusRequestError, match=problem):
        query(**arguments)


def test_pages_ahead_are_available_after_the_first(tokens: TokenCache) -> None:
    three_pages, requests = pages("by_day", TWO_DAYS, tokens), list[Request]()
    first = three_pages.next_page()
    assert first
    assert three_pages.next_page() is None
    three_pages.accept(drive(first, response(200, page("2017-09-03", total=4, of=3)), requests=requests))
    second, third, fourth = (three_pages.next_page() for _ in range(3))
    assert second
    assert third
    assert fourth is None
    for flow in (third, second):
        drive(flow, response(200, {}), requests=requests)
    assert [request.params["page"] for request in requests] == ["1", "3", "2"]


# Refusals


@pytest.mark.parametrize(
    "code", ["missing_mandatory_param", "unexisting_metric", "unexisting_time", "page_not_existing", "other", None]
)
def test_pages_refused_request_raises_request_error(code: str | None, tokens: TokenCache) -> None:
    body = {"code": code, "message": "It is wrong"} if code else {"message": "It is wrong"}
    with pytest.raises(AngusRequestError) as raised:
        drive(read_page(pages(tokens=tokens)), response(400, body))
    message = f"{code}: It is wrong" if code else "It is wrong"
    start = "GET https://data.example/api/1/entities: refused with status 400: "
    assert str(raised.value) == f"{start}{message}. A retry cannot help."


@pytest.mark.parametrize(("buckets", "hinted"), [(LONG_RANGE, False), (LONG_RANGE + 1, True)])
def test_pages_refused_long_range_mentions_window(buckets: int, hinted: bool, tokens: TokenCache) -> None:  # noqa: FBT001
    hours, requests = Interval(MIDNIGHT, MIDNIGHT + timedelta(hours=buckets)), list[Request]()
    with pytest.raises(AngusRequestError) as raised:
        drive(read_page(pages("by_hour", hours, tokens)), response(400, {"message": "No."}), requests=requests)
    assert str(raised.value).endswith("set window= to fetch it in parts.") is hinted
    assert bool(requests[0].hint) is hinted


@pytest.mark.parametrize("status", [201, 204, 302, 404])
def test_pages_unexpected_status_raises_response_error(status: int, tokens: TokenCache) -> None:
    with pytest.raises(AngusResponseError, match=f"unexpected status {status}.*the connection's Host is an Angus"):
        drive(read_page(pages(tokens=tokens)), response(status, b"<html>No</html>"))


# Pages that contradict the API documentation or each other

WRONG_PAGES = {
    "no entities": ({"total_results": 0, "nb_of_pages": 1}, "entities: expected an object, got null"),
    "null entities": (PAGE | {"entities": None}, "entities: expected an object, got null"),
    "list of entities": (PAGE | {"entities": []}, r"entities: expected an object, got list '\[\]'"),
    "no total": (PAGE | {"total_results": None}, "total_results: expected a count, got null"),
    "text total": (PAGE | {"total_results": "1"}, "total_results: expected a count, got str '1'"),
    "bool total": (PAGE | {"total_results": True}, "total_results: expected a count, got bool 'True'"),
    "float total": (PAGE | {"total_results": 1.0}, "total_results: expected a count, got float '1.0'"),
    "huge total": (PAGE | {"total_results": 10**4000}, r"total_results: expected a count, got int '10{49}'"),
    "negative total": (PAGE | {"total_results": -1}, "total_results: expected a count, got int '-1'"),
    "no pages": (PAGE | {"nb_of_pages": None}, "nb_of_pages: expected a count, got null"),
    "list of pages": (PAGE | {"nb_of_pages": [1]}, r"nb_of_pages: expected a count, got list '\[1\]'"),
    "bucket on no page": (PAGE | {"nb_of_pages": 0}, "expected 1 buckets on 0 pages, got 1 on 1"),
    "too few": (PAGE | {"total_results": 2}, "expected 2 buckets on 1 pages, got 1 on 1"),
    "too many": (PAGE | {"total_results": 0}, "expected 0 buckets on 1 pages, got 1 on 1"),
    "too many for all pages": (
        page("2017-09-03", "2017-09-02", total=1, of=2),
        "nb_of_pages: expected at most 1, got 2",
    ),
    "empty page before the last": (page(total=2, of=2), "expected 2 buckets on 2 pages, got 0 on 1"),
    "impossible total": (PAGE | {"total_results": 4}, "total_results: expected at most 3, got 4"),
    "million pages": (PAGE | {"nb_of_pages": 10**6}, "nb_of_pages: expected at most 1, got 1000000"),
    "other year": (page("2018-09-03"), "bucket '2018-09-03.*' is outside the requested range"),
    "two days before": (page("2017-09-01"), "bucket '2017-09-01.*' is outside the requested range"),
    "two days after": (page("2017-09-05"), "bucket '2017-09-05.*' is outside the requested range"),
    "other page": (PAGE | {"page": 2}, "page: expected 1, got int '2'"),
    "text page": (PAGE | {"page": "1"}, "page: expected 1, got str '1'"),
    "other time": (PAGE | {"time": "by_hour"}, "time: expected 'by_day', got str 'by_hour'"),
    "null time": (PAGE | {"time": None}, "time: expected 'by_day', got null"),
    "twice, as Z": (page("2017-09-03", "2017-09-03T00:00:00Z"), "bucket '2017-09-03T00:00:00Z' came twice"),
    "twice, in two zones": (page("2017-09-03", "2017-09-03T02:00:00+02:00"), "came twice"),
    "no midnight": (page("2017-09-03T01:00:00+00:00"), "expected the start of a UTC day"),
    "global": (PAGE | {"entities": {"global": {}}}, "expected an ISO 8601 date for time=by_day, got 'global'"),
    "null bucket": (PAGE | {"entities": {"2017-09-03T00:00:00Z": None}}, "expected an object of metrics, got null"),
    "number for a metric": (
        PAGE | {"entities": {"2017-09-03T00:00:00Z": {"passing_by": 3}}},
        "'passing_by': expected an object, got int '3'",
    ),
}


@pytest.mark.parametrize(("body", "problem"), WRONG_PAGES.values(), ids=WRONG_PAGES.keys())
def test_pages_wrong_page_raises_response_error(body: dict[str, Any], problem: str, tokens: TokenCache) -> None:
    with pytest.raises(AngusResponseError, match=problem):
        drive(read_page(pages(tokens=tokens)), response(200, body))


def test_pages_more_buckets_than_total_raise_before_last_page(tokens: TokenCache) -> None:
    body = page("2017-09-03", "2017-09-04", "2017-09-05", total=2, of=2)
    with pytest.raises(AngusResponseError, match="expected 2 buckets on 2 pages, got 3 on 1"):
        drive(read_page(pages("by_day", TWO_DAYS, tokens)), response(200, body))


WRONG_SECOND_PAGES = {
    "total changes": (
        page("2017-09-04", total=3, of=2, number=2),
        "total_results: expected 2 as on the page before, got 3",
    ),
    "pages change": (
        page("2017-09-04", total=2, of=3, number=2),
        "nb_of_pages: expected 2 as on the page before, got 3",
    ),
    "same bucket": (page("2017-09-03", total=2, of=2, number=2), "bucket '2017-09-03.*' came twice"),
    "same bucket as Z": (page("2017-09-03T00:00:00Z", total=2, of=2, number=2), "bucket '2017-09-03.*' came twice"),
    "same page": (page("2017-09-04", total=2, of=2), "page: expected 2, got int '1'"),
    "nothing": (page(total=2, of=2, number=2), "expected 2 buckets on 2 pages, got 1 on 2"),
    "too much": (
        page("2017-09-04", "2017-09-05", total=2, of=2, number=2),
        "expected 2 buckets on 2 pages, got 3 on 2",
    ),
}


@pytest.mark.parametrize(("body", "problem"), WRONG_SECOND_PAGES.values(), ids=WRONG_SECOND_PAGES.keys())
def test_pages_contradicting_page_raises_response_error(body: dict[str, Any], problem: str, tokens: TokenCache) -> None:
    two_pages = pages("by_day", TWO_DAYS, tokens)
    with pytest.raises(AngusResponseError, match=rf"page 2 of by_day, 2017-09-03T.*: {problem}"):
        read_all(two_pages, response(200, page("2017-09-03", total=2, of=2)), response(200, body))


# Windows


def test_pages_each_window_has_its_own_totals(tokens: TokenCache) -> None:
    two_windows = pages("by_day", TWO_DAYS, tokens, window=timedelta(days=1))
    requests: list[Request] = []
    rows = drive(read_page(two_windows), response(200, page("2017-09-03", "2017-09-04")), requests=requests)
    assert (len(rows), two_windows.finished) == (1, False)
    rows += drive(read_page(two_windows), response(200, page("2017-09-04")), requests=requests)
    assert (len(rows), two_windows.finished) == (2, True)
    ranges = [(request.params["from_date"][:10], request.params["to_date"][:10]) for request in requests]
    assert ranges == [("2017-09-03", "2017-09-04"), ("2017-09-04", "2017-09-05")]


def test_pages_incomplete_window_raises_although_others_follow(tokens: TokenCache) -> None:
    two_windows = pages("by_day", TWO_DAYS, tokens, window=timedelta(days=1))
    with pytest.raises(AngusResponseError, match="expected 2 buckets on 1 pages, got 1 on 1"):
        drive(read_page(two_windows), response(200, page("2017-09-03", total=2)))


# Any response

keys = st.sampled_from(
    ["2017-09-03T00:00:00+00:00", "2017-09-03T00:00:00Z", "0001-01-01T00:00+05:00", "9999-12-31T00Z"]
)
buckets = json_values | st.dictionaries(st.sampled_from(["passing_by", "gender", "bucket"]) | st.text(), json_values)
bodies = json_values | st.fixed_dictionaries(
    {
        "entities": st.dictionaries(keys | st.just("global") | st.text(), buckets, max_size=3),
        "total_results": st.integers(-1, 3),
        "nb_of_pages": st.integers(0, 2),
    },
    optional=dict.fromkeys(["page", "time", "next_page", "from_date"], json_values),
)


@given(bodies, st.sampled_from(["by_day", "by_hour", "global"]))
def test_pages_any_json_becomes_rows_or_our_error(value: object, time: Time) -> None:
    try:
        rows = drive(read_page(pages(time)), token_response(), response(200, value))
    except AngusError:
        return
    assert all(row["stream"] == "3bd15f50" for row in rows)
    json.dumps(rows, allow_nan=False)


@given(
    st.binary() | json_values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([200, 302, 400, 403, 404]),
)
def test_pages_any_bytes_become_rows_or_our_error(body: bytes, status: int) -> None:
    for sent in ([response(status, body)], [token_response(), response(status, body)]):
        with suppress(AngusError):
            drive(read_page(query("gender", "global")), *sent)


# Rows


@pytest.mark.parametrize("of", [0, 1])
def test_pages_without_buckets_are_no_rows(of: int, tokens: TokenCache) -> None:
    assert read_all(pages(tokens=tokens), response(200, page(of=of))) == []


@pytest.mark.parametrize("days", [("2017-09-03", "2017-09-04"), ("2017-09-02", "2017-09-03")], ids=["after", "before"])
def test_pages_adjacent_bucket_is_counted_but_dropped(days: tuple[str, ...], tokens: TokenCache) -> None:
    """A request up to midnight may also return the bucket that starts at midnight."""
    rows = read_all(pages(tokens=tokens), response(200, page(*days)))
    assert [row["bucket_start"] for row in rows] == ["2017-09-03T00:00:00+00:00"]


def test_pages_bucket_cut_by_interval_is_kept(tokens: TokenCache) -> None:
    paris = Interval(MIDNIGHT - timedelta(hours=2), MIDNIGHT + timedelta(hours=22))
    rows = read_all(pages("by_day", paris, tokens), response(200, page("2017-09-02", "2017-09-03")))
    assert [row["bucket_start"][:10] for row in rows] == ["2017-09-02", "2017-09-03"]


def test_pages_global_row_has_the_interval(tokens: TokenCache) -> None:
    interval = Interval(MIDNIGHT + timedelta(minutes=1), MIDNIGHT + timedelta(minutes=2))
    body = PAGE | {"time": "global", "entities": {"global": {"passing_by": {"value": 9}}}}
    (row,) = read_all(pages("global", interval, tokens), response(200, body))
    assert (row["bucket_start"], row["bucket_end"]) == tuple(edge.isoformat() for edge in interval)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(1, 7))
def test_pages_rows_of_consecutive_intervals_add_up(hours: list[int], page_size: int) -> None:
    """Each response also has the bucket that starts at the interval's end."""
    edges = [MIDNIGHT]
    for count in hours:
        edges.append(edges[-1] + timedelta(hours=count))
    tokens, starts = cache_with_token(), list[str]()
    for interval in map(Interval, edges, edges[1:]):
        sent = [start.isoformat() for start in bucket_starts(interval, "by_hour")] + [interval.end.isoformat()]
        parts = [sent[first : first + page_size] for first in range(0, len(sent), page_size)]
        bodies = [
            page(*part, total=len(sent), of=len(parts), number=number, time="by_hour")
            for number, part in enumerate(parts, 1)
        ]
        rows = read_all(pages("by_hour", interval, tokens), *(response(200, body) for body in bodies))
        starts += [row["bucket_start"] for row in rows]
    assert starts == [start.isoformat() for start in bucket_starts(Interval(edges[0], edges[-1]), "by_hour")]
