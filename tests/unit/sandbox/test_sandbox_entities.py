"""The entities endpoint: refused parameters, buckets, metrics, and the data that can be read."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from sandbox_client import METRICS, SAMPLE_INTERVAL, status_and_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox_client import SandboxClient

    from airflow_provider_angus.sandbox import Sandbox

QUERY = {"metrics": METRICS, **SAMPLE_INTERVAL}


# Refused parameters


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
def test_wrong_parameter_is_refused(client: SandboxClient, change: dict[str, str | None], code: str) -> None:
    assert status_and_code(client.get(f"Bearer {client.token()}", **QUERY | change)) == (400, code)


def test_date_with_unencoded_plus_is_refused(sandbox: Sandbox, client: SandboxClient) -> None:
    url = f"{sandbox.url}/api/1/entities?metrics=gender&from_date=2017-09-03T05:45:00+02:00"
    headers = {"Authorization": f"Bearer {client.token()}"}
    assert status_and_code(requests.get(url, headers=headers, timeout=5)) == (400, "invalid_date")


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_range_longer_than_max_range_is_refused(start: Callable[..., SandboxClient], time: str) -> None:
    client = start(max_range=timedelta(days=3))
    query = {"metrics": METRICS, "from_date": "2017-09-03T00:00:00Z", "time": time}
    header = f"Bearer {client.token()}"
    assert client.get(header, to_date="2017-09-06T00:00:00Z", **query).json()["total_results"]
    refused = client.get(header, to_date="2017-09-06T00:00:01Z", **query)
    assert status_and_code(refused) == (400, "range_too_long")


# Buckets


def test_days_start_at_utc_midnight_as_in_the_sample(client: SandboxClient) -> None:
    page = client.page(**SAMPLE_INTERVAL, time="by_day")
    assert list(page["entities"]) == [f"2017-09-{day:02}T00:00:00+00:00" for day in range(3, 15)]
    assert page["total_results"] == 12


def test_hours_start_at_the_utc_hour(client: SandboxClient) -> None:
    page = client.page("2017-09-03T05:45:00+05:30", "2017-09-03T07:15:00+05:30", time="by_hour")
    assert list(page["entities"]) == ["2017-09-03T00:00:00+00:00", "2017-09-03T01:00:00+00:00"]


def test_page_states_the_parameters_used(client: SandboxClient) -> None:
    page = client.page(SAMPLE_INTERVAL["from_date"], time="by_day")
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


def test_range_up_to_midnight_includes_the_next_day(client: SandboxClient) -> None:
    """The API also returns the bucket that starts at ``to_date``, with zeros."""
    page = client.page("2017-09-03T00:00:00+00:00", "2017-09-04T00:00:00+00:00", time="by_day")
    sunday, monday = page["entities"].items()
    assert sunday[1]["passing_by"]["value"] > 0
    assert monday == ("2017-09-04T00:00:00+00:00", {"passing_by": {"value": 0}})
    page = client.page("2017-09-03T00:00:00+00:00", "2017-09-03T23:59:59+00:00", time="by_day")
    assert len(page["entities"]) == 1


def test_empty_range_returns_its_bucket_with_zeros(client: SandboxClient) -> None:
    page = client.page("2017-09-03T14:20:00+00:00", "2017-09-03T14:20:00+00:00", time="by_hour")
    assert page["entities"] == {"2017-09-03T14:00:00+00:00": {"passing_by": {"value": 0}}}


def test_time_defaults_to_global_with_one_entity(client: SandboxClient) -> None:
    page = client.page("2017-09-03T14:20:00+00:00", "2017-09-03T16:00:00+00:00")
    assert (page["time"], list(page["entities"]), page["total_results"]) == ("global", ["global"], 1)


def test_empty_bucket_contains_zeros_and_nulls(client: SandboxClient) -> None:
    page = client.page("2017-09-03T14:20:00+00:00", "2017-09-03T14:20:00+00:00", metrics=METRICS)
    assert page["entities"]["global"] == {
        "interested": {"value": 0},
        "passing_by": {"value": 0},
        "stop_time": {"value": None},
        "attention_time": {"value": None},
        "category": {"senior_female": 0, "senior_male": 0, "young_female": 0, "young_male": 0},
        "gender": {"?": 0, "female": 0, "male": 0},
    }


def test_bucket_contains_requested_metrics_only(client: SandboxClient) -> None:
    """``satisfaction`` is accepted as a metric, but no known response contains it."""
    page = client.page("2017-09-03T14:00:00+00:00", metrics="gender,satisfaction,stop_time")
    assert list(page["entities"]["global"]) == ["gender", "stop_time"]


def test_means_are_seconds_per_interested_person(client: SandboxClient) -> None:
    page = client.page("2017-09-03T14:00:00+00:00", metrics=METRICS)
    values = page["entities"]["global"]
    assert 2 <= values["attention_time"]["value"] <= values["stop_time"]["value"] <= 30
    assert values["stop_time"]["value"] != round(values["stop_time"]["value"])


# Readable data


def test_current_bucket_exists_once_partly_readable(sandbox: Sandbox, client: SandboxClient) -> None:
    def hours() -> list[str]:
        page = client.page("2017-09-15T10:00:00+00:00", "2017-09-16T00:00:00+00:00", time="by_hour")
        return [key[11:13] for key in page["entities"]]

    assert hours() == ["10", "11"]
    sandbox.clock.move(timedelta(seconds=60))
    assert hours() == ["10", "11"]
    sandbox.clock.move(timedelta(microseconds=1))
    assert hours() == ["10", "11", "12"]


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_unreadable_data_is_not_counted(sandbox: Sandbox, client: SandboxClient, time: str) -> None:
    def passing_by(to_date: str) -> list[int]:
        entities = client.page("2017-09-15T00:00:00+00:00", to_date, time=time)["entities"]
        return [values["passing_by"]["value"] for values in entities.values()]

    sandbox.clock.set(datetime(2017, 9, 15, 14, 31, tzinfo=UTC))
    early = passing_by("2017-09-15T23:00:00+00:00")
    assert sum(early) > 0
    assert early == passing_by("2017-09-15T14:30:00+00:00")
    sandbox.clock.move(timedelta(hours=1))
    assert sum(passing_by("2017-09-15T23:00:00+00:00")) > sum(early)


@pytest.mark.parametrize("time", ["by_hour", "by_day", "global"])
def test_future_range_is_one_empty_page(sandbox: Sandbox, client: SandboxClient, time: str) -> None:
    sandbox.clock.set(datetime(2017, 9, 15, 0, 1, tzinfo=UTC))
    page = client.page("2017-09-15T00:00:00+00:00", "2017-09-17T00:00:00+00:00", time=time)
    values = page["entities"], page["total_results"], page["nb_of_pages"], page["page"], page["next_page"]
    assert values == ({}, 0, 1, 1, "")


def test_lag_delays_readable_data(start: Callable[..., SandboxClient]) -> None:
    page = start(lag=3600).page("2017-09-15T09:00:00+00:00", time="by_hour")
    assert [key[11:13] for key in page["entities"]] == ["09", "10"]


# Consistency


def test_hours_and_days_of_unaligned_range_add_up(client: SandboxClient) -> None:
    sums = []
    for time in ("by_hour", "by_day", "global"):
        page = client.page("2017-09-08T15:17:31.5+02:00", "2017-09-11T16:53:07+02:00", time=time, metrics=METRICS)
        total: Counter[str] = Counter()
        for values in page["entities"].values():
            people = values["interested"]["value"]
            for metric, numbers in values.items():
                for key, number in numbers.items():
                    total[metric + key] += (number or 0) * (people if metric.endswith("_time") else 1)
        sums.append(total)
    by_hour, by_day, expected = sums
    assert expected["interestedvalue"] > 0
    for key in expected:
        # Means are rounded to two decimals, which limits the precision of their sums.
        tolerance = 0.005 * 2 * expected["interestedvalue"] if "_time" in key else 0
        assert by_hour[key] == pytest.approx(expected[key], abs=tolerance)
        assert by_day[key] == pytest.approx(expected[key], abs=tolerance)


def test_unaligned_range_has_partial_buckets(client: SandboxClient) -> None:
    def passing_by(start: str, end: str) -> int:
        page = client.page(f"2017-09-09T{start}+00:00", f"2017-09-09T{end}+00:00", time="by_hour")
        return int(page["entities"]["2017-09-09T15:00:00+00:00"]["passing_by"]["value"])

    early, late = passing_by("14:10:00", "15:20:00"), passing_by("15:20:00", "16:10:00")
    assert 0 < early < late
    assert early + late == passing_by("14:10:00", "16:10:00")


def test_streams_have_different_visitors(sandbox: Sandbox, client: SandboxClient) -> None:
    bodies = [client.get(f"Bearer {client.token(stream)}", **QUERY).text for stream in sandbox.streams]
    assert len(set(bodies)) == len(bodies) == 3


def test_stream_is_identical_in_every_sandbox(client: SandboxClient, start: Callable[..., SandboxClient]) -> None:
    other = start()
    assert other.sandbox.streams == client.sandbox.streams
    assert other.page("2017-09-03T00:00:00Z") == client.page("2017-09-03T00:00:00Z")


def test_sandboxes_can_share_a_clock(sandbox: Sandbox, start: Callable[..., SandboxClient]) -> None:
    other = start(clock=sandbox.clock)
    sandbox.clock.move(timedelta(hours=-20))
    assert other.page("2017-09-15T00:00:00Z", "2017-09-15T01:00:00Z")["entities"] == {}
