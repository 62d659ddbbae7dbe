"""The provider in Airflow's UI, as a person uses it: in a browser, with all of Airflow behind it (``make ui``'s)."""

from __future__ import annotations

import io
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import demo
import pages
import pytest
import requests
import secret_search
import ui
from airflow_runs import AIRFLOW_3, only_airflow_2, only_airflow_3
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from airflow_provider_angus import CONNECTION_FIELD_BEHAVIOUR, CONNECTION_FIELDS
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

CHROMIUM = "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
NOT_LOOPBACK = re.compile(r"^(https?|wss?)://(?!127\.0\.0\.1[:/])")
HOME = Path(f"{os.environ['AIRFLOW_HOME']}-ui")
#: Where pictures go; ``make pictures`` says where README looks for them.
PICTURES = Path(os.environ.get("ANGUS_PICTURES", HOME / "pictures"))
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
WRONG_TOKEN = "not-the-access-token-of-anything"
PROXY_PASSWORD = "the-password-of-a-proxy"

#: Quick looks, so that the tests are; sensors wait in the triggerer.
SETTINGS = {
    "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
}

#: What the form's standard fields are called.
SHOWN_LABELS = {"description": "Description", "port": "Port", **CONNECTION_FIELD_BEHAVIOUR["relabeling"]}


@pytest.fixture(scope="module")
def angus() -> Iterator[Sandbox]:
    """The local Angus, where the day's last hour is missing."""
    with Sandbox() as sandbox:
        sandbox.clock.set(EVENING)
        yield sandbox


@pytest.fixture(scope="module")
def airflow_ui(angus: Sandbox) -> Iterator[pages.Airflow3 | pages.Airflow2]:
    """What ``make ui`` starts, in a browser that reaches this machine only; in the end all is searched for secrets."""
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "config").mkdir(parents=True)
    (HOME / "config" / "airflow_local_settings.py").write_text(demo.POLICY)
    har = Path(f"{HOME}.har")
    token = requests.post(f"{angus.url}/api-token-authstream/", json=_credentials(angus), timeout=10).json()["token"]
    # The payloads of all of the sandbox's tokens begin alike, and no other token's does.
    secrets = [*angus.streams.values(), WRONG_TOKEN, PROXY_PASSWORD, token.split(".")[1][:48]]
    outside: list[str] = []
    with ui.standalone(HOME, angus, SETTINGS, port=0) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = browser.new_context(
            locale="en-US",
            viewport={"width": 1200, "height": 1100},
            record_har_path=har,
            record_har_url_filter=re.compile(r"^(?!.*/(static|assets)/)"),
        )
        context.route(NOT_LOOPBACK, lambda route: (outside.append(route.request.url), route.abort()))
        context.set_default_timeout(pages.PATIENCE)
        expect.set_options(timeout=pages.PATIENCE)
        page = context.new_page()
        yield pages.Ui(page, url, HOME)
        page_text = page.content()
        context.close()
        browser.close()
    assert outside == []
    assert secret_search.leaks([url], secret_search.requests(har)), "the search finds nothing"
    assert secret_search.leaks(secrets, [("the page", page_text.encode())]) == []
    assert secret_search.leaks(secrets, secret_search.answers(har)) == []
    assert secret_search.leaks(secrets, secret_search.files(HOME)) == []


def _credentials(angus: Sandbox) -> dict[str, str]:
    client_id, access_token = next(iter(angus.streams.items()))
    return {"username": angus.username, "client_id": client_id, "access_token": access_token}


@pytest.fixture
def photograph() -> Callable[..., None]:
    """Save a picture of a part of a page: for README; a big one is refused."""

    def save(name: str, part: Locator | Page, **clip: Any) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        Image.open(io.BytesIO(part.screenshot(**clip))).convert("RGB").quantize(256).save(path, optimize=True)
        assert path.stat().st_size < 100_000

    return save


def filled_in(angus: Sandbox) -> dict[str, dict[str, str]]:
    """Return what a person types, by section and label; the port too, which Airflow 3.3's Test button needs."""
    connection = ui.with_port(angus.connection())
    return {
        "Standard": {
            SHOWN_LABELS["host"]: connection["host"],
            SHOWN_LABELS["login"]: connection["login"],
            SHOWN_LABELS["password"]: connection["password"],
            SHOWN_LABELS["port"]: str(connection["port"]),
        },
        "Extra": {
            "Client ID": connection["extra"]["client_id"],
            "Console URL": connection["extra"]["console_url"],
            "Timeout (seconds)": "20",
            "Verify TLS": "true",
        },
    }


def test_the_form_shows_each_field_with_its_label_placeholder_and_help_and_hides_the_schema(
    airflow_ui: Any, angus: Sandbox, photograph: Callable[..., None]
) -> None:
    airflow_ui.open_form("angus_by_hand")
    placeholders = CONNECTION_FIELD_BEHAVIOUR["placeholders"]
    standard = [
        pages.Field(SHOWN_LABELS[name], placeholders.get(name, ""), "", hidden=name == "password")
        for name in ("description", "host", "login", "password", "port")
    ]
    extra = [
        pages.Field(
            field["label"],
            # Airflow 3 has no placeholders for these.
            "" if AIRFLOW_3 else placeholders[name],
            field["description"],
            hidden=field["schema"].get("format") == "password",
        )
        for name, field in CONNECTION_FIELDS.items()
    ]
    raw_json = [] if AIRFLOW_3 else [pages.Field("Extra", "", "", hidden=False)]
    assert airflow_ui.fields() == standard + raw_json + extra
    if AIRFLOW_3:
        expect(airflow_ui.form.get_by_role("button", name="Save")).to_be_disabled()
        expect(airflow_ui.form).to_contain_text("This field is required")
    airflow_ui.fill(**filled_in(angus))
    photograph("connection-extra", airflow_ui.form)
    if AIRFLOW_3:
        airflow_ui.show("Standard Fields")
        photograph("connection", airflow_ui.form)


def test_test_is_green_and_says_that_all_is_well(airflow_ui: Any, angus: Sandbox) -> None:
    airflow_ui.open_form("angus_by_hand")
    airflow_ui.fill(**filled_in(angus))
    answer = airflow_ui.save_and_test("angus_by_hand")
    assert answer.green
    stream = next(iter(angus.streams))
    assert re.fullmatch(rf"All well: the console gave a token and stream '{stream}' answered \(.*\)\.", answer.sentence)


WRONG: dict[str, tuple[dict[str, dict[str, str]], str]] = {
    "a wrong token": ({"Standard": {SHOWN_LABELS["password"]: WRONG_TOKEN}}, "refused the credentials with 400"),
    "clear text to a public host": ({"Standard": {SHOWN_LABELS["host"]: "http://data.angus.ai"}}, "https only"),
    "nonsense for a URL": ({"Extra": {"Console URL": "what is this?"}}, "check the connection's URLs"),
    "a time below zero": ({"Extra": {"Timeout (seconds)": "-3"}}, "timeout must be a number of seconds above zero"),
    "no CA bundle": (
        {"Extra": {"Console URL": "https://127.0.0.1:1", "Verify TLS": "/no/such/bundle.pem"}},
        "/no/such/bundle.pem",
    ),
    "a proxy that is away": (
        {"Extra": {"Proxy URL": f"http://me:{PROXY_PASSWORD}@127.0.0.1:1"}},
        "got no answer",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_test_is_red_and_says_what_is_wrong(airflow_ui: Any, angus: Sandbox, what: str) -> None:
    changes, words = WRONG[what]
    values = filled_in(angus)
    airflow_ui.open_form("angus_by_hand")
    airflow_ui.fill(**{section: texts | changes.get(section, {}) for section, texts in values.items()})
    answer = airflow_ui.save_and_test("angus_by_hand")
    assert words in answer.sentence
    assert "Traceback" not in answer.sentence
    assert answer.green is not AIRFLOW_3
    seen = airflow_ui.page.content().encode()
    assert secret_search.leaks([WRONG_TOKEN, PROXY_PASSWORD], [("the page", seen)]) == []


@only_airflow_2
def test_test_names_what_is_missing_before_anything_is_saved(airflow_ui: Any) -> None:
    airflow_ui.open_form("angus_empty")
    answer = airflow_ui.save_and_test("angus_empty")
    for field in ("console login", "access token", "client ID"):
        assert field in answer.sentence


@only_airflow_3
def test_a_run_of_a_past_day_waits_deferred_and_succeeds_when_the_data_comes(
    airflow_ui: pages.Airflow3, angus: Sandbox, photograph: Callable[..., None]
) -> None:
    """The example angus_daily_audience, triggered by hand."""
    run_id = airflow_ui.trigger("angus_daily_audience", "2026/11/21")
    airflow_ui.wait_for_task("wait_for_day", "Deferred")
    angus.clock.set(datetime.now(UTC) + timedelta(minutes=5))
    airflow_ui.wait_for_task("wait_for_day", "Success")
    airflow_ui.wait_for_run("Success")
    for task_id in ("wait_for_day", "fetch_hours", "sum_up"):
        assert "success" in airflow_ui.grid_says(run_id, task_id).lower()
    airflow_ui.wait_for_runs("angus_daily_audience", run_id, "Success")
    airflow_ui.page.mouse.move(600, 800)
    photograph("grid", airflow_ui.page, clip={"x": 64, "y": 0, "width": 1136, "height": 510})
    expect(airflow_ui.log(run_id, "wait_for_day")).to_contain_text("2026-11-21T00:00:00+00:00 is there.")
    expect(airflow_ui.log(run_id, "fetch_hours")).to_contain_text("Fetched 24 rows; totals: passing_by 778")
    airflow_ui.wrap_log()
    photograph("log", airflow_ui.page, clip={"x": 308, "y": 62, "width": 892, "height": 390})


@only_airflow_3
def test_examples_that_are_unpaused_run_for_the_last_interval(airflow_ui: pages.Airflow3, angus: Sandbox) -> None:
    """The examples angus_daily_to_sql and, with the DAG on its asset, angus_hourly_files ("angus_hourly_files")."""
    angus.clock.set(datetime.now(UTC) + timedelta(minutes=5))
    # What an asset triggers first: while it is paused, events pass it by.
    kinds = {"angus_on_hour_file": "Asset", "angus_hourly_files": "Scheduled", "angus_daily_to_sql": "Scheduled"}
    for dag_id in kinds:
        airflow_ui.unpause(dag_id)
    for dag_id, kind in kinds.items():
        airflow_ui.wait_for_runs(dag_id, kind, "Success")
