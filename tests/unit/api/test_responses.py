from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from flows import PAGE, drive, pages, read_page, response, token_response
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_angus.api.messages import Request
from airflow_provider_angus.api.responses import (
    error_message,
    is_json_object,
    parse_json_object,
    raise_if_unavailable,
    timed_out,
    unexpected_response,
)
from airflow_provider_angus.exceptions import AngusError, AngusResponseError, AngusUnavailableError

REQUEST = Request("GET", "https://data.example/api/1/entities")
LONG_REQUEST = Request("GET", "https://data.example/api/1/entities", hint="Set window=.")

# Unavailability


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_raise_if_unavailable_temporary_status_raises(status: int) -> None:
    with pytest.raises(AngusUnavailableError) as raised:
        raise_if_unavailable(REQUEST, response(status, b"Later", Content_Type="text/html"))
    expected = f"GET https://data.example/api/1/entities: status {status}: text/html: Later."
    assert (str(raised.value), raised.value.retry_after) == (expected, None)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 404, 428])
def test_raise_if_unavailable_other_status_passes(status: int) -> None:
    raise_if_unavailable(REQUEST, response(status))


@pytest.mark.parametrize(("status", "hinted"), [(504, True), (503, False), (429, False)])
def test_raise_if_unavailable_gateway_timeout_has_hint(status: int, hinted: bool) -> None:  # noqa: FBT001
    with pytest.raises(AngusUnavailableError) as raised:
        raise_if_unavailable(LONG_REQUEST, response(status, b"Later"))
    assert str(raised.value).endswith("Later. Set window=.") is hinted


@pytest.mark.parametrize(
    ("value", "advice"), [("90", " The API asks to retry after 90 s."), ("0", ""), ("-5", ""), ("soon", "")]
)
def test_raise_if_unavailable_message_has_retry_after(value: str, advice: str) -> None:
    with pytest.raises(AngusUnavailableError) as raised:
        raise_if_unavailable(REQUEST, response(429, b"Later", Retry_After=value))
    assert str(raised.value).endswith(f"Later.{advice}")


def retry_after(value: str) -> float | None:
    with pytest.raises(AngusUnavailableError) as raised:
        raise_if_unavailable(REQUEST, response(503, Retry_After=value))
    return raised.value.retry_after


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), (" 0 ", 0.0), ("-5", None), ("soon", None), ("", None)])
def test_retry_after_is_seconds_or_none(value: str, seconds: float | None) -> None:
    assert retry_after(value) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(40, 40), (-60, 0)])
def test_retry_after_date_is_seconds_from_now(ahead: int, seconds: float) -> None:
    date = datetime.now(UTC) + timedelta(seconds=ahead)
    assert retry_after(format_datetime(date, usegmt=True)) == pytest.approx(seconds, abs=5)


@given(st.text(st.characters(codec="latin-1")))
@example(f"Wed, 21 Oct 2015 07:28:00 +{'9' * 20}")
@example("Wed, 21 Oct 2015 07:28:00")
def test_retry_after_any_text_is_seconds_or_none(value: str) -> None:
    assert isinstance(retry_after(value), float | None)


@pytest.mark.parametrize(("request_", "hint"), [(REQUEST, ""), (LONG_REQUEST, " Set window=.")], ids=["short", "long"])
def test_timed_out_names_seconds_and_hint(request_: Request, hint: str) -> None:
    expected = f"GET https://data.example/api/1/entities: no complete response within 0.5 s.{hint}"
    assert str(timed_out(request_, 0.5)) == expected


@pytest.mark.parametrize(
    ("headers", "redirect"),
    [({}, ""), ({"Location": "https://login.example/"}, " (redirect to https://login.example/)")],
)
def test_unexpected_response_names_redirect_and_setting(headers: dict[str, str], redirect: str) -> None:
    error = unexpected_response(REQUEST, response(302, b"", **headers), "console_url")
    assert str(error) == (
        f"GET https://data.example/api/1/entities: unexpected status 302{redirect}: empty body. "
        "Check that the connection's console_url is an Angus server."
    )


# JSON


def with_bucket(text: str) -> bytes:
    """Return a page whose only bucket is this JSON text."""
    return json.dumps(PAGE).replace('{"passing_by": {"value": 3}}', text).encode()


DUPLICATE = b'{"entities": {"2017-09-03T00:00:00+00:00": {}, "2017-09-03T00:00:00+00:00": {}}, "total_results": 2}'
NO_JSON_OBJECT = {
    "html": (b"<html>Log in</html>", "expected JSON .*: <html>Log in</html>"),
    "empty": (b"", "expected JSON .*: empty body"),
    "truncated": (json.dumps(PAGE).encode()[:-9], "expected JSON"),
    "two documents": (json.dumps(PAGE).encode() * 2, "expected JSON"),
    "no utf-8": (json.dumps(PAGE).encode().replace(b"passing", b"\xff\xfe"), r"expected JSON \(invalid UTF-8 at byte"),
    "deep list": (b"[" * 200_000, "expected JSON"),
    "deep object": (b'{"a":' * 200_000, "expected JSON"),
    "duplicate bucket": (DUPLICATE, "duplicate key"),
    "duplicate number": (with_bucket('{"passing_by": {"value": 3, "value": 4}}'), "duplicate key"),
    "NaN": (with_bucket('{"passing_by": {"value": NaN}}'), "NaN is not a JSON number"),
    "Infinity": (with_bucket('{"passing_by": {"value": -Infinity}}'), "-Infinity is not a JSON number"),
    "too large": (with_bucket('{"passing_by": {"value": 1e999}}'), "number 1e999 is too large"),
    "too long": (with_bucket('{"passing_by": {"value": ' + "9" * 5000 + "}}"), "expected JSON"),
    "list": (b"[1]", r"expected a JSON object, got list '\[1\]'"),
    "null": (b"null", "expected a JSON object, got null"),
    "text": (b'"2017"', "expected a JSON object, got str '2017'"),
    "number": (b"3", "expected a JSON object, got int '3'"),
}


@pytest.mark.parametrize(("body", "problem"), NO_JSON_OBJECT.values(), ids=NO_JSON_OBJECT.keys())
def test_parse_json_object_other_body_raises(body: bytes, problem: str) -> None:
    with pytest.raises(AngusResponseError, match=rf"^GET .*/entities: status 200: .*{problem}"):
        parse_json_object(REQUEST, response(200, body))
    assert not is_json_object(response(200, body))


@pytest.mark.parametrize("body", [b'{"a": 1}', b'\xef\xbb\xbf {"a": 1}\n'])
def test_parse_json_object_returns_object(body: bytes) -> None:
    assert parse_json_object(REQUEST, response(200, body)) == {"a": 1}
    assert is_json_object(response(200, body))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"abc.def", "body not shown, it may contain a token."),
        (b'["abc.def"]', "expected a JSON object, got list."),
        (b"null", "expected a JSON object, got null."),
    ],
)
def test_parse_json_object_without_quotation_hides_body(body: bytes, shown: str) -> None:
    with pytest.raises(AngusResponseError) as raised:
        parse_json_object(REQUEST, response(200, body), quote_body=False)
    assert str(raised.value).endswith(shown)
    assert "abc.def" not in str(raised.value)


# Messages


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"code": "unexisting_metric", "message": "No such metric."}, "unexisting_metric: No such metric."),
        ({"message": "No such metric", "code": "unexisting_metric"}, "unexisting_metric: No such metric."),
        ({"message": "Really?"}, "Really?"),
        ({"code": 7}, "7."),
        ({"code": None, "message": ["One.", "Two."]}, "One. Two."),
        ({"detail": "JSON parse error"}, "JSON parse error."),
        ({"detail": ["One.", "Two."]}, "One. Two."),
        ({"non_field_errors": ["Unable to login."]}, "Unable to login."),
        ({"username": ["This field is required."]}, "username: This field is required."),
        ({"client_id": ["Unknown.", "Gone."], "username": ["Bad."]}, "client_id: Unknown. Gone. username: Bad."),
        ({"message": "two\nlines\x1b[0m"}, "two lines [0m."),
    ],
)
def test_error_message_quotes_documented_fields(body: dict[str, Any], message: str) -> None:
    assert error_message(response(400, body | {"status": "private", "trace": {"a": "private"}})) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty body."),
        (b" \n\n", "empty body."),
        (b"\n<h1>Not\x07 found</h1>\r\n<p>private</p>", "text/html: <h1>Not found</h1>."),
        (b"Stop!\nprivate", "text/html: Stop!"),
        (b"caf\xe9", "text/html: caf\ufffd."),
        (b'["private"]\n', 'text/html: ["private"].'),
    ],
)
def test_error_message_quotes_first_line_of_other_bodies(body: bytes, message: str) -> None:
    assert error_message(response(400, body, Content_Type="text/html")) == message


def test_error_message_without_content_type_says_so() -> None:
    assert error_message(response(400, b"Stop!")) == "no content type: Stop!"


LONG = "x" * 10**6
LONG_BODIES: dict[str, object] = {
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


@pytest.mark.parametrize("body", LONG_BODIES.values(), ids=LONG_BODIES.keys())
@pytest.mark.parametrize("status", [200, 302, 400, 401])
def test_error_of_long_body_is_short(body: object, status: int) -> None:
    again = [token_response("other"), response(status, body)] if status == 401 else []
    with pytest.raises(AngusError) as raised:
        drive(read_page(pages()), token_response(), response(status, body), *again)
    assert len(str(raised.value)) < 800
