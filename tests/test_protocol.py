"""What is sent to Angus and what an answer means, without a network: requests out, answers in."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from dialogue import (
    DAY,
    PAGE,
    SECRET,
    THIRD,
    TWO_DAYS,
    answer,
    drive,
    drive_all,
    next_page,
    page,
    pages,
    stream,
    token,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_angus.answers import Request
from airflow_provider_angus.entities import bucket_starts
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.protocol import Credentials, Pages, Stream
from airflow_provider_angus.tokens import TokenCache

# What is sent


def test_the_token_comes_from_a_post_of_the_credentials_to_the_path_with_its_slash() -> None:
    asked: list[Request] = []
    drive(stream().entities({}), answer(200, {"token": token()}), answer(200, {}), asked=asked)
    body = {"username": "shop@example.com", "client_id": "3bd15f50", "access_token": SECRET}
    assert asked[0] == Request("POST", "https://console.example/api-token-authstream/", body=body)


def test_the_question_goes_out_with_every_parameter_and_the_token_in_the_header() -> None:
    asked: list[Request] = []
    question = Pages(stream(), ["stop_time", "passing_by"], DAY, "by_day")
    drive(next_page(question), answer(200, {"token": "T"}), answer(200, PAGE), asked=asked)
    params = {
        "metrics": "passing_by,stop_time",
        "from_date": "2017-09-03T00:00:00+00:00",
        "to_date": "2017-09-04T00:00:00+00:00",
        "time": "by_day",
        "page": "1",
    }
    assert asked[1] == Request("GET", "https://data.example/api/1/entities", params, token="T")


def test_pages_are_asked_for_by_number_at_the_same_url_wherever_next_page_points(signed_in: TokenCache) -> None:
    question, asked = pages("by_day", TWO_DAYS, signed_in), list[Request]()
    first = drive(next_page(question), answer(200, page("2017-09-03", total=2, of=2)), asked=asked)
    assert not question.finished
    last = drive(next_page(question), answer(200, page("2017-09-04", total=2, of=2, number=2)), asked=asked)
    assert question.finished
    assert [row["bucket_start"][:10] for row in first + last] == ["2017-09-03", "2017-09-04"]
    assert {request.url for request in asked} == {"https://data.example/api/1/entities"}
    assert [request.params["page"] for request in asked] == ["1", "2"]


@pytest.mark.parametrize(("metrics", "time"), [("visitors", "by_day"), ([], "global"), ("gender", "by_week")])
def test_a_question_that_the_api_cannot_answer_is_refused_before_anything_is_sent(metrics: Any, time: str) -> None:
    with pytest.raises(AngusRequestError, match="must be one"):
        Pages(stream(), metrics, DAY, time)


# Refusals: the console


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"non_field_errors": ["Unable to login with provided credentials."]}, "Unable to login with provided creden"),
        ({"username": ["This field is required."]}, "username: This field is required."),
        ({"client_id": ["Unknown.", "Gone."], "username": ["Bad."]}, "client_id: Unknown. Gone. username: Bad."),
        ({"detail": "JSON parse error"}, "JSON parse error."),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_credentials_are_an_auth_error_with_the_consoles_own_words(
    status: int, body: dict[str, Any], words: str
) -> None:
    with pytest.raises(AngusAuthError) as refused:
        drive(stream().entities({}), answer(status, body))
    assert words in str(refused.value)
    assert "Check Login (the console login), Password (the stream's access token) and client_id." in str(refused.value)


@pytest.mark.parametrize("status", [204, 301, 302, 400, 401, 403, 404, 405])
def test_a_console_that_does_not_speak_like_one_is_a_response_error_that_says_which_url_to_check(status: int) -> None:
    with pytest.raises(AngusResponseError, match="Check that the connection's console_url is an Angus server"):
        drive(stream().entities({}), answer(status, b"<html>Hello</html>", Location="https://elsewhere.example/"))


@pytest.mark.parametrize("value", [None, "", 7, ["T"], {"a": "T"}, "T\nX-Evil: 1", "T T", "é", "missing"])
def test_a_200_without_a_usable_token_is_a_response_error(value: object) -> None:
    body = {"other": 1} if value == "missing" else {"token": value}
    with pytest.raises(AngusResponseError, match="was answered 200 without a token"):
        drive(stream().entities({}), answer(200, body))


# Refusals: the data API


@pytest.mark.parametrize("code", ["authorization_header_missing", "expired_jwt", "invalid_jwt", "what_is_this"])
def test_a_refused_token_is_replaced_by_one_new_one_and_the_question_is_asked_once_more(
    code: str, signed_in: TokenCache
) -> None:
    asked: list[Request] = []
    refusal = answer(401, {"code": code, "message": "No."})
    flow = next_page(pages(tokens=signed_in))
    rows = drive(flow, refusal, answer(200, {"token": "NEW"}), answer(200, PAGE), asked=asked)
    assert [row["passing_by"] for row in rows] == [3]
    assert [request.method for request in asked] == ["GET", "POST", "GET"]
    assert asked[0].params == asked[2].params
    assert (asked[0].token, asked[2].token) == (token(), "NEW")


@pytest.mark.parametrize("code", ["authorization_header_missing", "expired_jwt", "invalid_jwt"])
def test_a_fresh_token_that_is_refused_is_an_auth_error_with_the_apis_own_words(
    code: str, signed_in: TokenCache
) -> None:
    refusal = answer(401, {"code": code, "message": "Not you."})
    with pytest.raises(AngusAuthError, match=f"also with a new token: {code}: Not you. Check .* stream '3bd15f50'"):
        drive(next_page(pages(tokens=signed_in)), refusal, answer(200, {"token": "NEW"}), refusal)


@pytest.mark.parametrize(
    "code", ["missing_mandatory_param", "unexisting_metric", "unexisting_time", "page_not_existing", "other", None]
)
def test_a_wrong_request_is_a_request_error_with_the_apis_own_words_and_is_not_asked_again(
    code: str | None, signed_in: TokenCache
) -> None:
    body = {"code": code, "message": "It is wrong"} if code else {"message": "It is wrong"}
    with pytest.raises(AngusRequestError) as refused:
        drive(next_page(pages(tokens=signed_in)), answer(400, body))
    words = f"{code}: It is wrong" if code else "It is wrong"
    start = "GET https://data.example/api/1/entities was refused with 400: "
    assert str(refused.value) == f"{start}{words}. Asking again cannot help."


@pytest.mark.parametrize(
    ("status", "error"), [(403, AngusAuthError), (404, AngusResponseError), (302, AngusResponseError)]
)
def test_other_refusals_have_their_class(status: int, error: type[AngusError], signed_in: TokenCache) -> None:
    with pytest.raises(error, match=f"{status}"):
        drive(next_page(pages(tokens=signed_in)), answer(status, b"<html>No</html>"))


# Answers that are not what the API documents


def raw(text: str) -> bytes:
    return json.dumps(PAGE).replace('{"passing_by": {"value": 3}}', text).encode()


TWICE = b'{"entities": {"2017-09-03T00:00:00+00:00": {}, "2017-09-03T00:00:00+00:00": {}}, "total_results": 2}'
NOT_A_PAGE = {
    "html": (b"<html>Log in</html>", "not JSON .*: <html>Log in</html>"),
    "empty": (b"", "not JSON .*nothing"),
    "cut short": (json.dumps(PAGE).encode()[:-9], "not JSON"),
    "two documents": (json.dumps(PAGE).encode() * 2, "not JSON"),
    "no utf-8": (json.dumps(PAGE).encode().replace(b"passing", b"\xff\xfe"), "not JSON"),
    "deeply nested list": (b"[" * 200_000, "not JSON"),
    "deeply nested object": (b'{"a":' * 200_000, "not JSON"),
    "a bucket twice": (TWICE, "a key comes twice"),
    "a number twice": (raw('{"passing_by": {"value": 3, "value": 4}}'), "a key comes twice"),
    "NaN": (raw('{"passing_by": {"value": NaN}}'), "NaN is no JSON number"),
    "Infinity": (raw('{"passing_by": {"value": -Infinity}}'), "-Infinity is no JSON number"),
    "too large": (raw('{"passing_by": {"value": 1e999}}'), "1e999"),
    "too long": (raw('{"passing_by": {"value": ' + "9" * 5000 + "}}"), "not JSON"),
    "list": (b"[1]", r"with list .*not an object"),
    "null": (b"null", "with null, not an object"),
    "text": (b'"2017"', "with str .*not an object"),
    "number": (b"3", "with int .*not an object"),
}


@pytest.mark.parametrize(("body", "wrong"), NOT_A_PAGE.values(), ids=NOT_A_PAGE.keys())
def test_a_body_that_is_no_json_object_is_a_response_error(body: bytes, wrong: str, signed_in: TokenCache) -> None:
    with pytest.raises(AngusResponseError, match=f"(?s){wrong}"):
        drive(next_page(pages(tokens=signed_in)), answer(200, body))


WRONG_PAGES = {
    "no entities": ({"total_results": 0, "nb_of_pages": 1}, "entities is null, not an object"),
    "null entities": (PAGE | {"entities": None}, "entities is null, not an object"),
    "list of entities": (PAGE | {"entities": []}, "entities is list .*, not an object"),
    "no total": (PAGE | {"total_results": None}, "total_results is null, not a count"),
    "text total": (PAGE | {"total_results": "1"}, "total_results is str '1', not a count"),
    "bool total": (PAGE | {"total_results": True}, "total_results is bool 'True', not a count"),
    "float total": (PAGE | {"total_results": 1.0}, "total_results is float '1.0', not a count"),
    "a total of thousands of digits": (
        PAGE | {"total_results": 10**4000},
        r"total_results is int '10{49}', not a count",
    ),
    "negative total": (PAGE | {"total_results": -1}, "total_results is int '-1', not a count"),
    "no pages": (PAGE | {"nb_of_pages": None}, "nb_of_pages is null, not a count"),
    "list of pages": (PAGE | {"nb_of_pages": [1]}, r"nb_of_pages is list '\[1\]', not a count"),
    "no pages but buckets": (PAGE | {"nb_of_pages": 0}, "1 buckets came with 1 of 0 pages"),
    "too few": (PAGE | {"total_results": 2}, "1 buckets came with 1 of 1 pages, but total_results is 2"),
    "too many": (PAGE | {"total_results": 0}, "1 buckets came with 1 of 1 pages, but total_results is 0"),
    "too many of the first pages": (page("2017-09-03", "2017-09-02", total=1, of=2), "but total_results is 1"),
    "an empty page before the last": (page(total=2, of=2), "0 buckets came with 1 of 2 pages, but total_results is 2"),
    "more than there can be": (
        PAGE | {"total_results": 4},
        "total_results is 4, but there cannot be more than 3 buckets",
    ),
    "a million pages": (PAGE | {"nb_of_pages": 10**6}, "nb_of_pages is 1000000, but total_results is 1"),
    "another year": (page("2018-09-03"), "bucket '2018-09-03.*' was not asked for"),
    "two days before": (page("2017-09-01"), "bucket '2017-09-01.*' was not asked for"),
    "another page": (PAGE | {"page": 2}, "page is .*2.*, asked for was 1"),
    "a text page": (PAGE | {"page": "1"}, "page is .*1.*, asked for was 1"),
    "another time": (PAGE | {"time": "by_hour"}, "time is .*'by_hour', asked for was 'by_day'"),
    "null time": (PAGE | {"time": None}, "time is .*, asked for was 'by_day'"),
    "twice as Z": (page("2017-09-03", "2017-09-03T00:00:00Z"), "a bucket came twice"),
    "twice in two zones": (page("2017-09-03", "2017-09-03T02:00:00+02:00"), "a bucket came twice"),
    "no midnight": (page("2017-09-03T01:00:00+00:00"), "which starts at no UTC day"),
    "global": (PAGE | {"entities": {"global": {}}}, "bucket 'global', which is not a date"),
    "null bucket": (PAGE | {"entities": {"2017-09-03T00:00:00Z": None}}, "holds null"),
    "number for a metric": (
        PAGE | {"entities": {"2017-09-03T00:00:00Z": {"passing_by": 3}}},
        "'passing_by' is int '3'",
    ),
}


@pytest.mark.parametrize(("body", "wrong"), WRONG_PAGES.values(), ids=WRONG_PAGES.keys())
def test_a_page_that_does_not_add_up_is_a_response_error_that_says_what_is_wrong(
    body: dict[str, Any], wrong: str, signed_in: TokenCache
) -> None:
    with pytest.raises(AngusResponseError, match=wrong):
        drive(next_page(pages(tokens=signed_in)), answer(200, body))


WRONG_SECOND_PAGES = {
    "total changes": (page("2017-09-04", total=3, of=2, number=2), "total_results was 2 before and is 3 now"),
    "pages change": (page("2017-09-04", total=2, of=3, number=2), "nb_of_pages was 2 before and is 3 now"),
    "same bucket": (page("2017-09-03", total=2, of=2, number=2), "a bucket came twice"),
    "same bucket as Z": (page("2017-09-03T00:00:00Z", total=2, of=2, number=2), "a bucket came twice"),
    "same page": (page("2017-09-04", total=2, of=2), "page is .*1.*, asked for was 2"),
    "nothing": (page(total=2, of=2, number=2), "1 buckets came with 2 of 2 pages, but total_results is 2"),
    "too much": (page("2017-09-04", "2017-09-05", total=2, of=2, number=2), "3 buckets came .* total_results is 2"),
}


@pytest.mark.parametrize(("body", "wrong"), WRONG_SECOND_PAGES.values(), ids=WRONG_SECOND_PAGES.keys())
def test_a_page_that_does_not_go_with_the_one_before_is_a_response_error(
    body: dict[str, Any], wrong: str, signed_in: TokenCache
) -> None:
    question = pages("by_day", TWO_DAYS, signed_in)
    with pytest.raises(AngusResponseError, match=rf"page 2 of by_day, .*{wrong}"):
        drive_all(question, answer(200, page("2017-09-03", total=2, of=2)), answer(200, body))


def test_pages_are_asked_for_ahead_once_the_first_has_said_how_many_there_are(signed_in: TokenCache) -> None:
    question, asked = pages("by_day", TWO_DAYS, signed_in), list[Request]()
    first = question.ask()
    assert first
    assert question.ask() is None
    question.take(drive(first, answer(200, page("2017-09-03", total=4, of=3)), asked=asked))
    flows = [question.ask(), question.ask(), question.ask()]
    assert flows[2] is None
    for flow in flows[1::-1]:
        assert flow
        drive(flow, answer(200, {}), asked=asked)
    assert [request.params["page"] for request in asked] == ["1", "3", "2"]


def test_each_window_is_held_against_its_own_first_page(signed_in: TokenCache) -> None:
    question = Pages(stream(signed_in), "passing_by", TWO_DAYS, "by_day", timedelta(days=1))
    asked: list[Request] = []
    rows = drive(next_page(question), answer(200, page("2017-09-03", "2017-09-04")), asked=asked)
    assert (len(rows), question.finished) == (1, False)
    rows += drive(next_page(question), answer(200, page("2017-09-04")), asked=asked)
    assert (len(rows), question.finished) == (2, True)
    ranges = [(request.params["from_date"][:10], request.params["to_date"][:10]) for request in asked]
    assert ranges == [("2017-09-03", "2017-09-04"), ("2017-09-04", "2017-09-05")]


def test_a_window_that_is_not_whole_is_a_response_error_though_others_follow(signed_in: TokenCache) -> None:
    question = Pages(stream(signed_in), "passing_by", TWO_DAYS, "by_day", timedelta(days=1))
    with pytest.raises(AngusResponseError, match="1 buckets came with 1 of 1 pages, but total_results is 2"):
        drive(next_page(question), answer(200, page("2017-09-03", total=2)))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
keys = st.sampled_from(
    ["2017-09-03T00:00:00+00:00", "2017-09-03T00:00:00Z", "0001-01-01T00:00+05:00", "9999-12-31T00Z"]
)
buckets = values | st.dictionaries(st.sampled_from(["passing_by", "gender", "bucket"]) | st.text(), values)
answers = values | st.fixed_dictionaries(
    {
        "entities": st.dictionaries(keys | st.just("global") | st.text(), buckets, max_size=3),
        "total_results": st.integers(-1, 3),
        "nb_of_pages": st.integers(0, 2),
    },
    optional=dict.fromkeys(["page", "time", "next_page", "from_date"], values),
)


@settings(deadline=None)
@given(answers, st.sampled_from(["by_day", "by_hour", "global"]))
def test_any_json_becomes_rows_or_an_error_of_ours(value: object, time: str) -> None:
    try:
        rows = drive(next_page(pages(time)), answer(200, {"token": "T"}), answer(200, value))
    except AngusError:
        return
    assert all(row["stream"] == "3bd15f50" for row in rows)
    json.dumps(rows, allow_nan=False)


@settings(deadline=None)
@given(st.binary() | values.map(lambda value: json.dumps(value).encode()), st.sampled_from([200, 302, 400, 403, 404]))
def test_any_bytes_are_an_answer_or_an_error_of_ours(body: bytes, status: int) -> None:
    for sent in ([answer(status, body)], [answer(200, {"token": "T"}), answer(status, body)]):
        with suppress(AngusError):
            drive(next_page(Pages(stream(), "gender", DAY, "global")), *sent)


# Rows


def test_nothing_at_all_is_an_answer_too(signed_in: TokenCache) -> None:
    assert drive_all(pages(tokens=signed_in), answer(200, page(of=0))) == []
    assert drive_all(pages(tokens=signed_in), answer(200, page(of=1))) == []


def test_a_bucket_that_starts_at_the_end_is_left_out_and_still_counts_as_sent(signed_in: TokenCache) -> None:
    rows = drive_all(pages(tokens=signed_in), answer(200, page("2017-09-03", "2017-09-04")))
    assert [row["bucket_start"] for row in rows] == ["2017-09-03T00:00:00+00:00"]


def test_a_bucket_that_ends_at_the_start_is_left_out_and_still_counts_as_sent(signed_in: TokenCache) -> None:
    rows = drive_all(pages(tokens=signed_in), answer(200, page("2017-09-02", "2017-09-03")))
    assert [row["bucket_start"] for row in rows] == ["2017-09-03T00:00:00+00:00"]


def test_a_bucket_that_the_interval_cuts_is_kept(signed_in: TokenCache) -> None:
    paris = Interval(THIRD - timedelta(hours=2), THIRD + timedelta(hours=22))
    rows = drive_all(pages("by_day", paris, signed_in), answer(200, page("2017-09-02", "2017-09-03")))
    assert [row["bucket_start"][:10] for row in rows] == ["2017-09-02", "2017-09-03"]


def test_the_row_of_global_is_of_the_interval(signed_in: TokenCache) -> None:
    interval = Interval(THIRD + timedelta(minutes=1), THIRD + timedelta(minutes=2))
    body = PAGE | {"time": "global", "entities": {"global": {"passing_by": {"value": 9}}}}
    (row,) = drive_all(pages("global", interval, signed_in), answer(200, body))
    assert (row["bucket_start"], row["bucket_end"]) == tuple(edge.isoformat() for edge in interval)


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(1, 7))
def test_the_rows_of_consecutive_intervals_partition_time_though_each_answer_reaches_over_its_end(
    hours: list[int], page_size: int
) -> None:
    edges = [THIRD]
    for count in hours:
        edges.append(edges[-1] + timedelta(hours=count))
    tokens, starts = TokenCache(), list[str]()
    for interval in map(Interval, edges, edges[1:]):
        sent = [start.isoformat() for start in bucket_starts(interval, "by_hour")] + [interval.end.isoformat()]
        parts = [sent[first : first + page_size] for first in range(0, len(sent), page_size)]
        question = pages("by_hour", interval, tokens)
        for number, part in enumerate(parts, 1):
            body = page(*part, total=len(sent), of=len(parts), number=number, time="by_hour")
            login = [] if starts or number > 1 else [answer(200, {"token": "T"})]
            starts += [row["bucket_start"] for row in drive(next_page(question), *login, answer(200, body))]
        assert question.finished
    assert starts == [start.isoformat() for start in bucket_starts(Interval(edges[0], edges[-1]), "by_hour")]


def test_what_no_message_may_show_is_not_taken_out_of_data() -> None:
    # A proxy's password and an access token that honest answers hold by chance.
    tokens = TokenCache()
    chance = Stream(Credentials("me", "like-the-stream", "like-the-stream"), "https://c", "https://d", tokens)
    jwt_of_it = jwt.encode({"client_id": "like-the-stream"}, "k" * 32)
    asked: list[Request] = []
    honest = replace(answer(200, PAGE), secrets=["passing_by", "entities"])
    flow = next_page(Pages(chance, "passing_by", DAY, "by_day"))
    (row,) = drive(flow, answer(200, {"token": jwt_of_it}), honest, asked=asked)
    assert (row["passing_by"], asked[1].token) == (3, jwt_of_it)


def test_a_token_that_comes_as_data_is_hidden_in_it(signed_in: TokenCache) -> None:
    asked: list[Request] = []
    drive(next_page(pages(tokens=signed_in)), answer(200, PAGE), asked=asked)
    told = PAGE | {"entities": {"2017-09-03T00:00:00Z": {"news": {"is": asked[0].token}}}}
    (row,) = drive(next_page(pages(tokens=signed_in)), answer(200, told))
    assert row["news_is"] == "***"


def test_a_time_out_halves_a_long_range_twice_at_most_and_only_one_of_pages(signed_in: TokenCache) -> None:
    year = pages("by_hour", Interval(THIRD, THIRD + timedelta(days=365)), signed_in)
    error = AngusUnavailableError("too slow")
    year.ask()
    with pytest.raises(AngusUnavailableError):
        year.take_error(error)
    error.timed_out = True
    for hours in (4380, 2190):
        year.take_error(error)
        assert year.interval.end - year.interval.start == timedelta(hours=hours)
        year.ask()
    with pytest.raises(AngusUnavailableError):
        year.take_error(error)
    assert Request("GET", "https://d", {"from_date": "x"}).has_range
    assert not Request("POST", "https://c", body={}).has_range
