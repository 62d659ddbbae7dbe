"""What is sent to Angus and what an answer means, without a network: requests out, answers in."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_angus.answers import Answer, Request, raise_if_unavailable
from airflow_provider_angus.entities import bucket_starts
from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusError,
    AngusRequestError,
    AngusResponseError,
    AngusUnavailableError,
)
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.protocol import Alone, Credentials, Pages, Stream
from airflow_provider_angus.tokens import TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_angus.protocol import Flow

SECRET = "543eb007-1bfe-89d7-b092-e127a78fe91c"
THIRD = datetime(2017, 9, 3, tzinfo=UTC)
DAY = Interval(THIRD, THIRD + timedelta(days=1))
TWO_DAYS = Interval(THIRD, THIRD + timedelta(days=2))
CREDENTIALS = Credentials("shop@example.com", "3bd15f50", SECRET)

#: The sample of the API's own page; its payload is not JSON.
UNREADABLE = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImF1cmVsaWVuLm1vcmVhdUBhbmd1cy5haSIsIm9yaWdfaWF0IjoxNTA1Mzk4"
    "MDM4LCJleHAiOjE1D8DU0MTYwMzgsImNsaWVudF9pZCI6IjNiZDk1ZjIwLWM2OWYtMTFlNS1hZWVjLTAyNDJhYzExMDAwMiIsInVzZXJfaWQiOjgy"
    "NiwiZW1haWwiOiJhdXJlbGllbi5tb3JlYXVAYW5ndXMuYWkifQ.K70YXQYMAcdeW7dfscFGxUhenoXXGBAQTiWhNv-9cVc"
)
EXPIRED = {"code": "expired_jwt", "message": "The token is expired."}


def stream(tokens: TokenCache | None = None) -> Stream:
    return Stream(CREDENTIALS, "https://console.example", "https://data.example", tokens or TokenCache())


def pages(time: str = "by_day", interval: Interval = DAY, tokens: TokenCache | None = None) -> Pages:
    return Pages(stream(tokens), "passing_by", interval, time)


def answer(status: int, body: object = b"", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def token(exp: object = 2_000_000_000) -> str:
    return jwt.encode({"exp": exp} if exp is not None else {}, "k" * 32)


def page(*days: str, total: int | None = None, of: int = 1, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a page as the API documents it, with the buckets of these days and whatever is changed of it."""
    return {
        "entities": {day if "T" in day else f"{day}T00:00:00+00:00": {"passing_by": {"value": 3}} for day in days},
        "time": "by_day",
        "total_results": len(days) if total is None else total,
        "nb_of_pages": of,
        "page": number,
        "next_page": "https://elsewhere.example/steal" if number < of else "",
        **changes,
    }


PAGE = page("2017-09-03")


def drive(flow: Flow[Any], *answers: Answer, asked: list[Request] | None = None) -> Any:
    """Run a flow against these answers, all of which must be used up; ``asked`` collects its requests."""
    waiting = list(answers)

    def run(flow: Flow[Any]) -> Any:
        sent: Any = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                return end.value
            if isinstance(step, Alone):
                sent = run(step.flow)
                continue
            if asked is not None:
                asked.append(step)
            sent = waiting.pop(0)

    try:
        return run(flow)
    finally:
        assert not waiting


def drive_all(pages: Pages, *answers: Answer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    waiting = list(answers)
    while not pages.finished:
        rows += drive(pages.next_page(), waiting.pop(0))
    assert not waiting
    return rows


@pytest.fixture
def signed_in() -> TokenCache:
    """A cache that has the stream's token already."""
    tokens = TokenCache()
    drive(stream(tokens).entities({}), answer(200, {"token": token()}), answer(200, {}))
    return tokens


# What is sent


def test_the_token_comes_from_a_post_of_the_credentials_to_the_path_with_its_slash() -> None:
    asked: list[Request] = []
    drive(stream().entities({}), answer(200, {"token": token()}), answer(200, {}), asked=asked)
    body = {"username": "shop@example.com", "client_id": "3bd15f50", "access_token": SECRET}
    assert asked[0] == Request("POST", "https://console.example/api-token-authstream/", body=body)


def test_the_question_goes_out_with_every_parameter_and_the_token_in_the_header() -> None:
    asked: list[Request] = []
    question = Pages(stream(), ["stop_time", "passing_by"], DAY, "by_day")
    drive(question.next_page(), answer(200, {"token": "T"}), answer(200, PAGE), asked=asked)
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
    first = drive(question.next_page(), answer(200, page("2017-09-03", total=2, of=2)), asked=asked)
    assert not question.finished
    last = drive(question.next_page(), answer(200, page("2017-09-04", total=2, of=2, number=2)), asked=asked)
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
    flow = pages(tokens=signed_in).next_page()
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
        drive(pages(tokens=signed_in).next_page(), refusal, answer(200, {"token": "NEW"}), refusal)


@pytest.mark.parametrize(
    "code", ["missing_mandatory_param", "unexisting_metric", "unexisting_time", "page_not_existing", "other", None]
)
def test_a_wrong_request_is_a_request_error_with_the_apis_own_words_and_is_not_asked_again(
    code: str | None, signed_in: TokenCache
) -> None:
    body = {"code": code, "message": "It is wrong"} if code else {"message": "It is wrong"}
    with pytest.raises(AngusRequestError) as refused:
        drive(pages(tokens=signed_in).next_page(), answer(400, body))
    words = f"{code}: It is wrong" if code else "It is wrong"
    start = "GET https://data.example/api/1/entities was refused with 400: "
    assert str(refused.value) == f"{start}{words}. Asking again cannot help."


@pytest.mark.parametrize(
    ("status", "error"), [(403, AngusAuthError), (404, AngusResponseError), (302, AngusResponseError)]
)
def test_other_refusals_have_their_class(status: int, error: type[AngusError], signed_in: TokenCache) -> None:
    with pytest.raises(error, match=f"{status}"):
        drive(pages(tokens=signed_in).next_page(), answer(status, b"<html>No</html>"))


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
        drive(pages(tokens=signed_in).next_page(), answer(200, body))


WRONG_PAGES = {
    "no entities": ({"total_results": 0, "nb_of_pages": 1}, "entities is null, not an object"),
    "null entities": (PAGE | {"entities": None}, "entities is null, not an object"),
    "list of entities": (PAGE | {"entities": []}, "entities is list .*, not an object"),
    "no total": (PAGE | {"total_results": None}, "total_results is null, not a count"),
    "text total": (PAGE | {"total_results": "1"}, "total_results is str '1', not a count"),
    "bool total": (PAGE | {"total_results": True}, "total_results is bool 'True', not a count"),
    "float total": (PAGE | {"total_results": 1.0}, "total_results is float '1.0', not a count"),
    "negative total": (PAGE | {"total_results": -1}, "total_results is int '-1', not a count"),
    "no pages": (PAGE | {"nb_of_pages": None}, "nb_of_pages is null, not a count"),
    "list of pages": (PAGE | {"nb_of_pages": [1]}, r"nb_of_pages is list '\[1\]', not a count"),
    "no pages but buckets": (PAGE | {"nb_of_pages": 0}, "1 buckets came with 1 of 0 pages"),
    "too few": (PAGE | {"total_results": 2}, "1 buckets came with 1 of 1 pages, but total_results is 2"),
    "too many": (PAGE | {"total_results": 0}, "1 buckets came with 1 of 1 pages, but total_results is 0"),
    "too many of the first pages": (page("2017-09-03", "2017-09-02", total=1, of=2), "but total_results is 1"),
    "an empty page before the last": (page(total=2, of=2), "0 buckets came with 1 of 2 pages, but total_results is 2"),
    "another page": (PAGE | {"page": 2}, "page is .*2.*, asked for was 1"),
    "a text page": (PAGE | {"page": "1"}, "page is .*1.*, asked for was 1"),
    "another time": (PAGE | {"time": "by_hour"}, "time is .*'by_hour', asked for was 'by_day'"),
    "null time": (PAGE | {"time": None}, "time is .*, asked for was 'by_day'"),
    "twice as Z": (page("2017-09-03", "2017-09-03T00:00:00Z"), "a bucket came twice"),
    "twice in two zones": (page("2017-09-03", "2017-09-03T02:00:00+02:00"), "a bucket came twice"),
    "no midnight": (page("2017-09-03T01:00:00+00:00"), "which starts at no UTC day"),
    "global": (PAGE | {"entities": {"global": {}}}, "bucket 'global', which is not a date"),
    "null bucket": (PAGE | {"entities": {"2017-09-03T00:00:00Z": None}}, "holds null"),
    "number for a metric": (PAGE | {"entities": {"2017-09-03T00:00:00Z": {"passing_by": 3}}}, "passing_by is int '3'"),
}


@pytest.mark.parametrize(("body", "wrong"), WRONG_PAGES.values(), ids=WRONG_PAGES.keys())
def test_a_page_that_does_not_add_up_is_a_response_error_that_says_what_is_wrong(
    body: dict[str, Any], wrong: str, signed_in: TokenCache
) -> None:
    with pytest.raises(AngusResponseError, match=wrong):
        drive(pages(tokens=signed_in).next_page(), answer(200, body))


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


@settings(deadline=None, max_examples=300)
@given(answers, st.sampled_from(["by_day", "by_hour", "global"]))
def test_any_json_becomes_rows_or_an_error_of_ours(value: object, time: str) -> None:
    try:
        rows = drive(pages(time).next_page(), answer(200, {"token": "T"}), answer(200, value))
    except AngusError:
        return
    assert all(row["stream"] == "3bd15f50" for row in rows)
    json.dumps(rows, allow_nan=False)


@settings(deadline=None)
@given(st.binary() | values.map(lambda value: json.dumps(value).encode()), st.sampled_from([200, 302, 400, 403, 404]))
def test_any_bytes_are_an_answer_or_an_error_of_ours(body: bytes, status: int) -> None:
    for sent in ([answer(status, body)], [answer(200, {"token": "T"}), answer(status, body)]):
        with suppress(AngusError):
            drive(Pages(stream(), "gender", DAY, "global").next_page(), *sent)


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
            starts += [row["bucket_start"] for row in drive(question.next_page(), *login, answer(200, body))]
        assert question.finished
    assert starts == [start.isoformat() for start in bucket_starts(Interval(edges[0], edges[-1]), "by_hour")]


# Tokens


def test_a_token_is_kept_until_a_minute_before_it_ends() -> None:
    now = [1_000_000.0]
    tokens = TokenCache(now=lambda: now[0])
    first, second = token(1_018_000), token(1_040_000)
    drive(pages(tokens=tokens).next_page(), answer(200, {"token": first}), answer(200, PAGE))
    now[0] = 1_017_939.9
    drive(pages(tokens=tokens).next_page(), answer(200, PAGE))
    now[0] = 1_017_940.0
    asked: list[Request] = []
    drive(pages(tokens=tokens).next_page(), answer(200, {"token": second}), answer(200, PAGE), asked=asked)
    assert asked[-1].token == second


UNREADABLE_TOKENS = {
    "the sample": UNREADABLE,
    "no JWT": "T",
    "no exp": token(None),
    "text": token("soon"),
    "a huge exp": token(10**400),
    "bool": token(True),  # noqa: FBT003
    "over by our clock": token(5),
    "over in a minute": token(1_000_060),
}


@pytest.mark.parametrize("kept", UNREADABLE_TOKENS.values(), ids=UNREADABLE_TOKENS.keys())
def test_a_token_that_does_not_say_when_it_ends_is_used_until_it_is_refused(kept: str) -> None:
    now, asked = [1_000_000.0], list[Request]()
    tokens = TokenCache(now=lambda: now[0])
    drive(pages(tokens=tokens).next_page(), answer(200, {"token": kept}), answer(200, PAGE), asked=asked)
    now[0] *= 1000
    drive(pages(tokens=tokens).next_page(), answer(200, PAGE), asked=asked)
    assert [request.token for request in asked] == [None, kept, kept]
    sent = [answer(401, EXPIRED), answer(200, {"token": token(10**10)}), answer(200, PAGE)]
    drive(pages(tokens=tokens).next_page(), *sent, asked=asked)
    assert [request.token for request in asked[3:]] == [kept, None, token(10**10)]


@pytest.mark.parametrize("other", [("other@example.com", "3bd15f50", SECRET), ("shop@example.com", "b", SECRET)])
def test_a_token_is_used_for_its_own_credentials_only(other: tuple[str, str, str], signed_in: TokenCache) -> None:
    stranger = Stream(Credentials(*other), "https://console.example", "https://data.example", signed_in)
    elsewhere = Stream(CREDENTIALS, "https://console2.example", "https://data.example", signed_in)
    for theirs in (stranger, elsewhere):
        asked: list[Request] = []
        drive(theirs.entities({}), answer(200, {"token": "THEIRS"}), answer(200, {}), asked=asked)
        assert [request.token for request in asked] == [None, "THEIRS"]
    drive(stream(signed_in).entities({}), answer(200, {}))


def test_whoever_waited_for_a_token_uses_the_one_that_came_meanwhile() -> None:
    tokens = TokenCache()
    flow = stream(tokens).entities({})
    waiting = flow.send(None)
    assert isinstance(waiting, Alone)
    drive(stream(tokens).entities({}), answer(200, {"token": "T"}), answer(200, {}))
    assert drive(waiting.flow) == "T"


def test_a_refused_token_does_not_take_with_it_the_newer_one_that_came_meanwhile(signed_in: TokenCache) -> None:
    flow = stream(signed_in).entities({})
    asked = flow.send(None)
    assert isinstance(asked, Request)
    drive(stream(signed_in).entities({}), answer(401), answer(200, {"token": "NEWER"}), answer(200, {}))
    waiting = flow.send(answer(401, EXPIRED))
    assert isinstance(waiting, Alone)
    assert drive(waiting.flow) == "NEWER"


# Away or overloaded


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
def test_an_answer_that_says_that_the_api_is_away_is_an_unavailable_error(status: int) -> None:
    request = Request("GET", "https://data.example/api/1/entities")
    with pytest.raises(AngusUnavailableError, match=rf"^GET https://data.*entities was answered {status}: Later\.$"):
        raise_if_unavailable(request, answer(status, b"Later"))


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 404, 428])
def test_any_other_answer_is_not_unavailable(status: int) -> None:
    raise_if_unavailable(Request("GET", "https://data.example"), answer(status))


@settings(deadline=None)
@given(st.text(st.characters(codec="latin-1")))
@example(f"Wed, 21 Oct 2015 07:28:00 +{'9' * 20}")
@example("Wed, 21 Oct 2015 07:28:00")
def test_any_retry_after_is_a_number_of_seconds_or_none(value: str) -> None:
    with pytest.raises(AngusUnavailableError) as away:
        raise_if_unavailable(Request("GET", "https://data.example"), answer(503, Retry_After=value))
    assert isinstance(away.value.retry_after, float | None)


# What messages say


def chain(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


ECHOES: dict[str, Callable[[str], bytes]] = {
    "text": lambda secret: f"<html>You sent {secret}</html>".encode(),
    "message": lambda secret: json.dumps({"code": secret, "message": f"Not {secret}."}).encode(),
    "object": lambda secret: json.dumps({"detail": {"you": {secret: secret}}}).encode(),
    "list": lambda secret: json.dumps([secret]).encode(),
    "string": lambda secret: json.dumps(secret).encode(),
    "token as list": lambda secret: json.dumps({"token": [secret]}).encode(),
    "repeated key": lambda secret: f'{{"token": "{secret}", "token": "{secret}"}}'.encode(),
    "invalid utf-8": lambda secret: f'{{"token": "{secret}'.encode() + b'\xff"}',
    "straddling": lambda secret: b" " * 1180 + secret.encode() + b" x",
    "entities": lambda secret: json.dumps(PAGE | {"entities": secret}).encode(),
    "time": lambda secret: json.dumps(PAGE | {"time": secret}).encode(),
    "bucket": lambda secret: json.dumps(PAGE | {"entities": {secret: {}}}).encode(),
}
echoes = pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())


def assert_silent(secret: str, attempt: Callable[[], Any]) -> None:
    with pytest.raises(AngusError) as raised:
        attempt()
    errors = chain(raised.value)
    shown = "".join([*traceback.format_exception(raised.value), *map(str, errors), *map(repr, errors)])
    assert secret[:12] not in shown
    assert secret[-12:] not in shown


@echoes
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404])
def test_a_console_that_echoes_the_access_token_does_not_bring_it_into_an_error(
    echo: Callable[[str], bytes], status: int
) -> None:
    location = {"Location": f"https://elsewhere.example/{SECRET}"} if status == 302 else {}
    sent = answer(status, echo(SECRET), **location)
    assert_silent(SECRET, lambda: drive(pages().next_page(), sent))


@echoes
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404])
def test_a_data_api_that_echoes_the_token_does_not_bring_it_into_an_error(
    echo: Callable[[str], bytes], status: int, signed_in: TokenCache
) -> None:
    location = {"Location": f"https://elsewhere.example/{token()}"} if status == 302 else {}
    sent = answer(status, echo(token()), **location)
    again = [answer(200, {"token": token()}), sent] if status == 401 else []
    assert_silent(token(), lambda: drive(pages(tokens=signed_in).next_page(), sent, *again))


def test_a_secret_that_json_writes_in_its_own_way_does_not_come_into_an_error_either() -> None:
    secret = 'pass"wörd "of mine'
    sent = answer(400, {"access_token": [f"{secret} is wrong."]})
    odd = Stream(
        replace(CREDENTIALS, access_token=secret), "https://console.example", "https://data.example", TokenCache()
    )
    with pytest.raises(AngusAuthError, match=r"access_token: \*\*\* is wrong"):
        drive(odd.entities({}), sent)


@echoes
def test_a_console_that_hands_out_a_token_in_an_odd_way_does_not_bring_it_into_an_error(
    echo: Callable[[str], bytes],
) -> None:
    assert_silent(token(), lambda: drive(pages().next_page(), answer(200, echo(token()))))


@echoes
def test_an_api_that_is_away_and_echoes_a_secret_does_not_bring_it_into_an_error(echo: Callable[[str], bytes]) -> None:
    console = Request("POST", "https://console.example", body={"access_token": SECRET})
    data = Request("GET", "https://data.example", token=token())
    assert_silent(SECRET, lambda: raise_if_unavailable(console, answer(503, echo(SECRET))))
    assert_silent(token(), lambda: raise_if_unavailable(data, answer(503, echo(token()))))


LONG = "x" * 10**6
LONG_ANSWERS: dict[str, object] = {
    "text": LONG.encode(),
    "message": {"message": LONG},
    "entities": PAGE | {"entities": LONG},
    "bucket": PAGE | {"entities": {LONG: {}}},
    "metric": PAGE | {"entities": {"2017-09-03T00:00:00Z": {LONG: 1}}},
    "key": PAGE | {"entities": {"2017-09-03T00:00:00Z": {"a": {f"b_{LONG}": 1}, "a_b": {LONG: 1}}}},
    "value": PAGE | {"entities": {"2017-09-03T00:00:00Z": {"gender": {"?": LONG}}}},
    "time": PAGE | {"time": LONG},
    "page": PAGE | {"page": [1] * 10**5},
}


@pytest.mark.parametrize("body", LONG_ANSWERS.values(), ids=LONG_ANSWERS.keys())
@pytest.mark.parametrize("status", [200, 400])
def test_a_message_stays_short_however_long_the_answer_is(body: object, status: int, signed_in: TokenCache) -> None:
    with pytest.raises(AngusError) as raised:
        drive(pages(tokens=signed_in).next_page(), answer(status, body))
    assert len(str(raised.value)) < 800


def test_no_repr_shows_a_secret() -> None:
    request = Request("POST", "https://console.example", body={"access_token": SECRET}, token=token())
    shown = repr([CREDENTIALS, request, answer(200, {"token": token()}, Location=token()), str(request)])
    assert SECRET not in shown
    assert token() not in shown
