"""What the sandbox answers, row by row of the API page, over HTTP."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_angus.sandbox import Sandbox
    from tests.sandbox.conftest import Client

    Start = Callable[..., Client]

METRICS = "interested,passing_by,stop_time,attention_time,category,gender,satisfaction"
REQUEST = {
    "metrics": METRICS,
    "from_date": "2017-09-03T05:45:00+02:00",
    "to_date": "2017-09-14T16:53:00+02:00",
}


def payload(token: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")))


# --- ranges ---


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_a_range_that_is_longer_than_ordered_is_refused(start: Start, time: str) -> None:
    client = start(max_range=timedelta(days=3))
    day = {"metrics": METRICS, "from_date": "2017-09-03T00:00:00Z", "time": time}
    header = f"Bearer {client.token()}"
    assert client.get(header, to_date="2017-09-06T00:00:00Z", **day).json()["total_results"]
    assert refused(client.get(header, to_date="2017-09-06T00:00:01Z", **day)) == (400, "range_too_long")


# --- tokens ---


def test_a_token_has_the_payload_of_the_sample(sandbox: Sandbox, client: Client) -> None:
    before = int(time.time())
    response = client.login()
    claims = payload(response.json()["token"])
    assert response.status_code == 200
    assert set(claims) == {"username", "orig_iat", "exp", "client_id", "user_id", "email"}
    assert claims["username"] == claims["email"] == sandbox.username
    assert claims["client_id"] == next(iter(sandbox.streams))
    # Real time, whatever the sandbox's clock says.
    assert before <= claims["orig_iat"] <= time.time()
    assert claims["exp"] - claims["orig_iat"] == 18_000


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_every_missing_field_is_named(client: Client, blank: str | None) -> None:
    response = client.login(username=blank, access_token=blank)
    assert response.status_code == 400
    required = ["This field is required."]
    assert response.json() == {"username": required, "access_token": required}


@pytest.mark.parametrize("field", ["username", "client_id", "access_token"])
def test_wrong_credentials_are_refused(client: Client, field: str) -> None:
    response = client.login(**{field: "wrong"})
    assert response.status_code == 400
    assert response.json() == {"non_field_errors": ["Unable to login with provided credentials."]}


def test_a_stream_does_not_open_with_another_ones_secret(sandbox: Sandbox, client: Client) -> None:
    first, second, *_ = sandbox.streams
    assert client.login(first, access_token=sandbox.streams[second]).status_code == 400


@pytest.mark.parametrize("body", ["username=somebody", "", b"\xff"])
def test_a_body_that_is_not_json_is_refused(sandbox: Sandbox, body: str | bytes) -> None:
    response = requests.post(f"{sandbox.url}/api-token-authstream/", data=body, timeout=5)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("JSON parse error")


def test_a_json_body_that_is_no_object_is_refused(sandbox: Sandbox) -> None:
    response = requests.post(f"{sandbox.url}/api-token-authstream/", json=["somebody"], timeout=5)
    assert response.status_code == 400
    assert "non_field_errors" in response.json()


def test_a_token_cannot_be_got_with_get(sandbox: Sandbox) -> None:
    response = requests.get(f"{sandbox.url}/api-token-authstream/", timeout=5)
    assert (response.status_code, list(response.json())) == (405, ["detail"])


def test_the_token_url_without_its_last_slash_redirects_so_the_post_becomes_a_get(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/api-token-authstream"
    response = requests.post(url, json={}, allow_redirects=False, timeout=5)
    assert (response.status_code, response.headers["Location"]) == (301, "/api-token-authstream/")
    assert requests.post(url, json={}, timeout=5).status_code == 405


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/api/1/entities/"), ("POST", "/api/1/entities")])
def test_anything_else_is_not_found(sandbox: Sandbox, method: str, path: str) -> None:
    response = requests.request(method, sandbox.url + path, json={}, timeout=5)
    assert (response.status_code, response.json()) == (404, {"detail": "Not found."})


# --- 401 ---


def refused(response: requests.Response) -> tuple[int, str]:
    """Return status and code of a refusal, which must have a message for a person."""
    body = response.json()
    assert set(body) == {"code", "message"}
    assert len(body["message"].split()) >= 3
    return response.status_code, body["code"]


@pytest.mark.parametrize("header", [None, ""])
def test_without_a_token_there_is_no_answer(client: Client, header: str | None) -> None:
    assert refused(client.get(header, **REQUEST)) == (401, "authorization_header_missing")


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer a.b.c", "Bearer ..", "Bearer \xe9.\xe9.\xe9"])
def test_what_is_no_token_is_invalid(client: Client, header: str) -> None:
    assert refused(client.get(header, **REQUEST)) == (401, "invalid_jwt")


def test_a_token_goes_as_bearer_only(client: Client) -> None:
    assert refused(client.get(f"Basic {client.token()}", **REQUEST)) == (401, "invalid_jwt")


def test_a_token_with_a_changed_payload_is_invalid(sandbox: Sandbox, client: Client) -> None:
    header, claims, signature = client.token().split(".")
    other = client.token(list(sandbox.streams)[1]).split(".")[1]
    assert claims != other
    assert refused(client.get(f"Bearer {header}.{other}.{signature}", **REQUEST)) == (401, "invalid_jwt")


def test_a_token_of_another_sandbox_is_invalid(client: Client, start: Start) -> None:
    token = start().token()
    assert refused(client.get(f"Bearer {token}", **REQUEST)) == (401, "invalid_jwt")


def test_a_token_ends_with_its_lifetime(start: Start) -> None:
    client = start(token_lifetime=0)
    assert refused(client.get(f"Bearer {client.token()}", **REQUEST)) == (401, "expired_jwt")


def test_tokens_can_be_made_to_expire_and_the_next_one_works(sandbox: Sandbox, client: Client) -> None:
    old = client.token()
    assert client.get(f"Bearer {old}", **REQUEST).status_code == 200
    sandbox.expire_tokens()
    assert refused(client.get(f"Bearer {old}", **REQUEST)) == (401, "expired_jwt")
    assert client.get(f"Bearer {client.token()}", **REQUEST).status_code == 200


# --- 400 ---


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"metrics": None}, "missing_mandatory_param"),
        ({"metrics": ""}, "missing_mandatory_param"),
        ({"from_date": None}, "missing_mandatory_param"),
        ({"metrics": "interested,age"}, "unexisting_metric"),
        ({"metrics": "interested, gender"}, "unexisting_metric"),
        ({"time": "by_minute"}, "unexisting_time"),
        ({"time": ""}, "unexisting_time"),
        ({"page": "0"}, "page_not_existing"),
        ({"page": "2"}, "page_not_existing"),
        ({"page": "one"}, "page_not_existing"),
        ({"page": ""}, "page_not_existing"),
        ({"from_date": "yesterday"}, "invalid_date"),
        ({"from_date": "2017-09-03T05:45:00"}, "invalid_date"),
        ({"from_date": "2017-09-03"}, "invalid_date"),
        ({"to_date": "2017-09-14T16:53:00"}, "invalid_date"),
        ({"to_date": ""}, "invalid_date"),
        ({"to_date": "2017-09-03T05:44:59+02:00"}, "invalid_date"),
        ({"from_date": "0001-01-01T00:00:00+02:00"}, "invalid_date"),
        ({"from_date": "2017-09-15T12:00:01+00:00", "to_date": None}, "invalid_date"),
    ],
)
def test_a_wrong_request_is_refused(client: Client, change: dict[str, str | None], code: str) -> None:
    assert refused(client.get(f"Bearer {client.token()}", **REQUEST | change)) == (400, code)


def test_a_plus_that_is_not_encoded_makes_the_date_invalid(sandbox: Sandbox, client: Client) -> None:
    url = f"{sandbox.url}/api/1/entities?metrics=gender&from_date=2017-09-03T05:45:00+02:00"
    headers = {"Authorization": f"Bearer {client.token()}"}
    assert refused(requests.get(url, headers=headers, timeout=5)) == (400, "invalid_date")


# --- buckets ---


def test_days_are_cut_at_utc_midnight_as_in_the_sample(client: Client) -> None:
    page = client.ask(REQUEST["from_date"], REQUEST["to_date"], time="by_day")
    assert list(page["entities"]) == [f"2017-09-{day:02}T00:00:00+00:00" for day in range(3, 15)]
    assert page["total_results"] == 12


def test_hours_are_cut_at_the_utc_hour(client: Client) -> None:
    page = client.ask("2017-09-03T05:45:00+05:30", "2017-09-03T07:15:00+05:30", time="by_hour")
    assert list(page["entities"]) == ["2017-09-03T00:00:00+00:00", "2017-09-03T01:00:00+00:00"]


def test_the_answer_says_what_was_used(client: Client) -> None:
    page = client.ask(REQUEST["from_date"], time="by_day")
    del page["entities"]
    assert page == {
        "time": "by_day",
        "from_date": "2017-09-03T03:45:00+00:00",
        "to_date": "2017-09-15T12:00:00+00:00",
        "total_results": 13,
        "nb_of_pages": 1,
        "page": 1,
        "next_page": "",
    }


def test_a_request_up_to_midnight_also_gets_the_day_that_starts_there_with_zeros(client: Client) -> None:
    page = client.ask("2017-09-03T00:00:00+00:00", "2017-09-04T00:00:00+00:00", time="by_day")
    sunday, monday = page["entities"].items()
    assert sunday[1]["passing_by"]["value"] > 0
    assert monday == ("2017-09-04T00:00:00+00:00", {"passing_by": {"value": 0}})
    page = client.ask("2017-09-03T00:00:00+00:00", "2017-09-03T23:59:59+00:00", time="by_day")
    assert len(page["entities"]) == 1


def test_a_request_for_no_time_at_all_gets_the_bucket_around_it(client: Client) -> None:
    page = client.ask("2017-09-03T14:20:00+00:00", "2017-09-03T14:20:00+00:00", time="by_hour")
    assert page["entities"] == {"2017-09-03T14:00:00+00:00": {"passing_by": {"value": 0}}}


def test_global_is_the_default_and_has_one_entity(client: Client) -> None:
    page = client.ask("2017-09-03T14:20:00+00:00", "2017-09-03T16:00:00+00:00")
    assert (page["time"], list(page["entities"]), page["total_results"]) == ("global", ["global"], 1)


def test_an_empty_bucket_comes_as_zeros_and_nulls(client: Client) -> None:
    page = client.ask("2017-09-03T14:20:00+00:00", "2017-09-03T14:20:00+00:00", metrics=METRICS)
    assert page["entities"]["global"] == {
        "interested": {"value": 0},
        "passing_by": {"value": 0},
        "stop_time": {"value": None},
        "attention_time": {"value": None},
        "category": {"senior_female": 0, "senior_male": 0, "young_female": 0, "young_male": 0},
        "gender": {"?": 0, "female": 0, "male": 0},
    }


def test_only_requested_metrics_come_and_satisfaction_never_does(client: Client) -> None:
    page = client.ask("2017-09-03T14:00:00+00:00", metrics="gender,satisfaction,stop_time")
    assert list(page["entities"]["global"]) == ["gender", "stop_time"]


def test_means_are_seconds_per_interested_person(client: Client) -> None:
    page = client.ask("2017-09-03T14:00:00+00:00", metrics=METRICS)
    values = page["entities"]["global"]
    assert 2 <= values["attention_time"]["value"] <= values["stop_time"]["value"] <= 30
    assert values["stop_time"]["value"] != round(values["stop_time"]["value"])


# --- what exists already ---


def test_the_current_bucket_comes_once_anything_of_it_can_be_read(sandbox: Sandbox, client: Client) -> None:
    def hours() -> list[str]:
        page = client.ask("2017-09-15T10:00:00+00:00", "2017-09-16T00:00:00+00:00", time="by_hour")
        return [key[11:13] for key in page["entities"]]

    assert hours() == ["10", "11"]
    sandbox.clock.move(timedelta(seconds=60))
    assert hours() == ["10", "11"]
    sandbox.clock.move(timedelta(microseconds=1))
    assert hours() == ["10", "11", "12"]


def test_nothing_is_counted_that_cannot_be_read_yet(sandbox: Sandbox, client: Client) -> None:
    def passing_by(to_date: str, time: str) -> list[int]:
        entities = client.ask("2017-09-15T00:00:00+00:00", to_date, time=time)["entities"]
        return [values["passing_by"]["value"] for values in entities.values()]

    sandbox.clock.set(datetime(2017, 9, 15, 14, 31, tzinfo=UTC))
    for time_ in ("by_hour", "by_day", "global"):
        early = passing_by("2017-09-15T23:00:00+00:00", time_)
        assert sum(early) > 0
        assert early == passing_by("2017-09-15T14:30:00+00:00", time_)
        sandbox.clock.move(timedelta(hours=1))
        assert sum(passing_by("2017-09-15T23:00:00+00:00", time_)) > sum(early)
        sandbox.clock.move(-timedelta(hours=1))


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_the_future_is_empty(sandbox: Sandbox, client: Client, time: str) -> None:
    sandbox.clock.set(datetime(2017, 9, 15, 0, 1, tzinfo=UTC))
    page = client.ask("2017-09-15T00:00:00+00:00", "2017-09-17T00:00:00+00:00", time=time)
    shown = page["entities"], page["total_results"], page["nb_of_pages"], page["page"], page["next_page"]
    assert shown == ({}, 0, 1, 1, "")


def test_the_lag_can_be_chosen(start: Start) -> None:
    page = start(lag=3600).ask("2017-09-15T09:00:00+00:00", time="by_hour")
    assert [key[11:13] for key in page["entities"]] == ["09", "10"]


# --- adding up ---


def test_hours_and_days_and_global_add_up_for_an_unaligned_interval(client: Client) -> None:
    sums = []
    for time_ in ("by_hour", "by_day", "global"):
        page = client.ask("2017-09-08T15:17:31.5+02:00", "2017-09-11T16:53:07+02:00", time=time_, metrics=METRICS)
        total: Counter[str] = Counter()
        for values in page["entities"].values():
            people = values["interested"]["value"]
            for metric, numbers in values.items():
                for key, number in numbers.items():
                    total[metric + key] += (number or 0) * (people if metric.endswith("_time") else 1)
        sums.append(total)
    by_hour, by_day, whole = sums
    assert whole["interestedvalue"] > 0
    for key in whole:
        # Means are rounded to two decimals, so they add up as well as that.
        slack = 0.005 * 2 * whole["interestedvalue"] if "_time" in key else 0
        assert by_hour[key] == pytest.approx(whole[key], abs=slack)
        assert by_day[key] == pytest.approx(whole[key], abs=slack)


def test_first_and_last_bucket_hold_only_the_part_asked_for(client: Client) -> None:
    def passing_by(start: str, end: str) -> int:
        page = client.ask(f"2017-09-09T{start}+00:00", f"2017-09-09T{end}+00:00", time="by_hour")
        return int(page["entities"]["2017-09-09T15:00:00+00:00"]["passing_by"]["value"])

    early, late = passing_by("14:10:00", "15:20:00"), passing_by("15:20:00", "16:10:00")
    assert 0 < early < late
    assert early + late == passing_by("14:10:00", "16:10:00")


def test_streams_have_people_of_their_own(sandbox: Sandbox, client: Client) -> None:
    answers = [client.get(f"Bearer {client.token(stream)}", **REQUEST).text for stream in sandbox.streams]
    assert len(set(answers)) == len(answers) == 3


def test_another_sandbox_gives_the_same_answer(client: Client, start: Start) -> None:
    other = start()
    assert other.sandbox.streams == client.sandbox.streams
    assert other.ask("2017-09-03T00:00:00Z") == client.ask("2017-09-03T00:00:00Z")


def test_sandboxes_can_share_a_clock(sandbox: Sandbox, start: Start) -> None:
    other = start(clock=sandbox.clock)
    sandbox.clock.move(timedelta(hours=-20))
    assert other.ask("2017-09-15T00:00:00Z", "2017-09-15T01:00:00Z")["entities"] == {}


# --- pages ---


def test_pages_follow_one_another_and_make_up_the_whole(start: Start) -> None:
    client = start(page_size=10)
    asked = {
        "from_date": "2017-09-03T00:00:00+02:00",
        "to_date": "2017-09-03T23:30:00+02:00",
        "time": "by_hour",
    }
    pages = [client.ask(**asked, page=page) for page in (1, 2, 3)]
    assert [len(page["entities"]) for page in pages] == [10, 10, 4]
    assert {(page["total_results"], page["nb_of_pages"]) for page in pages} == {(24, 3)}
    assert [page["page"] for page in pages] == [1, 2, 3]
    keys = [datetime.fromisoformat(key) for page in pages for key in page["entities"]]
    assert keys == [datetime(2017, 9, 2, 22, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24)]
    unpaged = start().ask(**asked)["entities"]
    assert unpaged == {key: values for page in pages for key, values in page["entities"].items()}


def test_next_page_is_a_path_to_the_next_page(start: Start) -> None:
    client = start(page_size=10)
    asked = {
        "from_date": "2017-09-03T00:00:00+02:00",
        "to_date": "2017-09-03T23:30:00+02:00",
        "time": "by_hour",
    }
    first, second, third = (client.ask(**asked, page=page) for page in (1, 2, 3))
    assert first["next_page"].startswith("/api/1/entities?")
    headers = {"Authorization": f"Bearer {client.token()}"}
    url = client.sandbox.url
    assert requests.get(url + first["next_page"], headers=headers, timeout=5).json() == second
    assert requests.get(url + second["next_page"], headers=headers, timeout=5).json() == third
    assert third["next_page"] == ""


def test_a_page_that_is_exactly_full_is_the_last(start: Start) -> None:
    client = start(page_size=12)
    page = client.ask("2017-09-03T00:00:00Z", "2017-09-03T23:30:00Z", time="by_hour", page=2)
    assert (page["nb_of_pages"], len(page["entities"]), page["next_page"]) == (2, 12, "")


def test_a_page_of_ten_years_is_quick(start: Start) -> None:
    client = start(page_size=1000)
    began = time.monotonic()
    page = client.ask("2007-01-01T00:00:00Z", "2016-12-31T23:30:00Z", time="by_hour", page=88)
    assert (page["total_results"], page["nb_of_pages"], len(page["entities"])) == (87_672, 88, 672)
    assert time.monotonic() - began < 0.5
