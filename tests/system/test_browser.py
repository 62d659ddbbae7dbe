"""The provider in Airflow's UI: a browser and the Airflow of ``make ui``."""

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
import pictures
import pytest
import requests
import secret_search
import ui
from airflow_versions import AIRFLOW_3, only_airflow_2, only_airflow_3
from browser import open_browser
from PIL import Image
from playwright.sync_api import expect
from sensors import EVENING

from airflow_provider_angus._provider_info import CONNECTION_FIELD_BEHAVIOUR, CONNECTION_FIELDS
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

HOME = Path(f"{os.environ['AIRFLOW_HOME']}-ui")
#: The folder of the screenshots. ``make pictures`` sets it to the folder of the documentation.
PICTURES = Path(os.environ.get("ANGUS_PICTURES", HOME / "pictures"))
WRONG_TOKEN = "not-a-valid-access-token"
PROXY_PASSWORD = "the-password-of-a-proxy"

#: Short scheduler intervals, and sensors that wait in the triggerer.
SETTINGS = {
    "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
}

#: The labels of the form's standard fields.
LABELS = {"description": "Description", "port": "Port", **CONNECTION_FIELD_BEHAVIOUR["relabeling"]}


@pytest.fixture(scope="module")
def angus() -> Iterator[Sandbox]:
    """A sandbox without the last hour of the day."""
    with Sandbox() as sandbox:
        sandbox.clock.set(EVENING)
        yield sandbox


@pytest.fixture(scope="module")
def airflow_ui(angus: Sandbox) -> Iterator[pages.Airflow3 | pages.Airflow2]:
    """The UI of ``make ui`` in a browser without network access. Afterwards, its traffic and files are searched."""
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "config").mkdir(parents=True)
    (HOME / "config" / "airflow_local_settings.py").write_text(demo.POLICY)
    har = Path(f"{HOME}.har")
    token = requests.post(f"{angus.url}/api-token-authstream/", json=_credentials(angus), timeout=10).json()["token"]
    # The payloads of all tokens of the sandbox have this start. Other tokens do not.
    secrets = [*angus.streams.values(), WRONG_TOKEN, PROXY_PASSWORD, token.split(".")[1][:48]]
    options: dict[str, Any] = {
        "locale": "en-US",
        "viewport": {"width": 1200, "height": 1100},
        "record_har_path": har,
        "record_har_url_filter": re.compile(r"^(?!.*/(static|assets)/)"),
    }
    with ui.standalone(HOME, angus, SETTINGS, port=0) as url, open_browser(**options) as context:
        context.set_default_timeout(pages.TIMEOUT)
        expect.set_options(timeout=pages.TIMEOUT)
        page = context.new_page()
        yield pages.Ui(page, url, HOME)
        page_text = page.content()
    assert secret_search.find_leaks([url], secret_search.read_requests(har)), "the search does not work"
    assert secret_search.find_leaks(secrets, [("page", page_text.encode())]) == []
    assert secret_search.find_leaks(secrets, secret_search.read_responses(har)) == []
    assert secret_search.find_leaks(secrets, secret_search.read_files(HOME)) == []


def _credentials(angus: Sandbox) -> dict[str, str]:
    client_id, access_token = next(iter(angus.streams.items()))
    return {"username": angus.username, "client_id": client_id, "access_token": access_token}


@pytest.fixture
def take_screenshot() -> Callable[..., None]:
    """Save a screenshot of a part of a page, smaller than 100 kB."""

    def save(name: str, part: Locator | Page, **clip: Any) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        Image.open(io.BytesIO(part.screenshot(**clip))).convert("RGB").quantize(256).save(path, optimize=True)
        assert path.stat().st_size < 100_000
        pictures.record(name, PICTURES)

    return save


def form_values(angus: Sandbox) -> dict[str, dict[str, str]]:
    """Return the values of the form by section and label, with the port, which the Test button of Airflow 3.3 needs."""
    connection = ui.with_port(angus.connection())
    return {
        "Standard": {
            LABELS["host"]: connection["host"],
            LABELS["login"]: connection["login"],
            LABELS["password"]: connection["password"],
            LABELS["port"]: str(connection["port"]),
        },
        "Extra": {
            "Client ID": connection["extra"]["client_id"],
            "Console URL": connection["extra"]["console_url"],
            "Timeout (seconds)": "20",
            "Verify TLS": "true",
        },
    }


def test_form_shows_fields_of_provider_info(
    airflow_ui: Any, angus: Sandbox, take_screenshot: Callable[..., None]
) -> None:
    """With label, placeholder and help. The field Schema is hidden."""
    airflow_ui.open_form("angus_by_hand")
    placeholders = CONNECTION_FIELD_BEHAVIOUR["placeholders"]
    standard = [
        pages.Field(LABELS[name], placeholders.get(name, ""), "", hidden=name == "password")
        for name in ("description", "host", "login", "password", "port")
    ]
    extra = [
        pages.Field(
            field["label"],
            # Airflow 3 has no placeholders for extra fields.
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
    airflow_ui.fill(**form_values(angus))
    take_screenshot("connection-extra", airflow_ui.form)
    if AIRFLOW_3:
        airflow_ui.show("Standard Fields")
        take_screenshot("connection", airflow_ui.form)


def test_test_button_is_green_for_valid_connection(airflow_ui: Any, angus: Sandbox) -> None:
    airflow_ui.open_form("angus_by_hand")
    airflow_ui.fill(**form_values(angus))
    result = airflow_ui.save_and_test("angus_by_hand")
    assert result.green
    stream = next(iter(angus.streams))
    assert re.fullmatch(rf"Connection successful: stream '{stream}' responded \(.*\)\.", result.message)


#: Invalid values by section and label, and the error message.
INVALID: dict[str, tuple[dict[str, dict[str, str]], str]] = {
    "wrong access token": ({"Standard": {LABELS["password"]: WRONG_TOKEN}}, "credentials refused with status 400"),
    "http to a public host": ({"Standard": {LABELS["host"]: "http://data.angus.ai"}}, "credentials need https"),
    "invalid URL": ({"Extra": {"Console URL": "what is this?"}}, "console_url is not a URL of the form"),
    "negative timeout": ({"Extra": {"Timeout (seconds)": "-3"}}, "timeout must be a number of seconds greater than 0"),
    "missing CA bundle": (
        {"Extra": {"Console URL": "https://127.0.0.1:1", "Verify TLS": "/no/such/bundle.pem"}},
        "/no/such/bundle.pem",
    ),
    "unreachable proxy": ({"Extra": {"Proxy URL": f"http://me:{PROXY_PASSWORD}@127.0.0.1:1"}}, "no response"),
}


@pytest.mark.parametrize("problem", INVALID)
def test_test_button_is_red_for_invalid_connection(airflow_ui: Any, angus: Sandbox, problem: str) -> None:
    """The message names the problem and contains no secret."""
    changes, message = INVALID[problem]
    values = form_values(angus)
    airflow_ui.open_form("angus_by_hand")
    airflow_ui.fill(**{section: texts | changes.get(section, {}) for section, texts in values.items()})
    result = airflow_ui.save_and_test("angus_by_hand")
    assert message in result.message
    assert "Traceback" not in result.message
    assert result.green is not AIRFLOW_3
    content = airflow_ui.page.content().encode()
    assert secret_search.find_leaks([WRONG_TOKEN, PROXY_PASSWORD], [("page", content)]) == []


@only_airflow_2
def test_test_button_names_missing_fields(airflow_ui: Any) -> None:
    """Before the connection is saved."""
    airflow_ui.open_form("angus_empty")
    result = airflow_ui.save_and_test("angus_empty")
    for field in ("console login", "access token", "client ID"):
        assert field in result.message


@only_airflow_3
def test_triggered_run_waits_until_data_appears(
    airflow_ui: pages.Airflow3, angus: Sandbox, take_screenshot: Callable[..., None]
) -> None:
    """The example ``angus_daily_audience``, triggered by hand for a past day. Its sensor is deferred."""
    run_id = airflow_ui.trigger("angus_daily_audience", "2026/11/21")
    airflow_ui.wait_for_task("wait_for_day", "Deferred")
    angus.clock.set(datetime.now(UTC) + timedelta(minutes=5))
    airflow_ui.wait_for_task("wait_for_day", "Success")
    airflow_ui.wait_for_run("Success")
    for task_id in ("wait_for_day", "fetch_hours", "sum_up"):
        assert "success" in airflow_ui.grid_tooltip(run_id, task_id).lower()
    airflow_ui.wait_for_runs("angus_daily_audience", run_id, "Success")
    airflow_ui.page.mouse.move(600, 800)
    take_screenshot("grid", airflow_ui.page, clip={"x": 64, "y": 0, "width": 1136, "height": 510})
    expect(airflow_ui.log(run_id, "wait_for_day")).to_contain_text("2026-11-21T00:00:00+00:00 is available.")
    expect(airflow_ui.log(run_id, "fetch_hours")).to_contain_text("Fetched 24 rows; totals: passing_by 778")
    airflow_ui.wrap_log()
    airflow_ui.page.mouse.move(600, 800)
    expect(airflow_ui.page.get_by_role("tooltip").filter(visible=True)).to_have_count(0)
    take_screenshot("log", airflow_ui.page, clip={"x": 308, "y": 62, "width": 892, "height": 390})


@only_airflow_3
def test_unpaused_examples_run_for_last_interval(airflow_ui: pages.Airflow3, angus: Sandbox) -> None:
    angus.clock.set(datetime.now(UTC) + timedelta(minutes=5))
    # First the DAG that an asset triggers: a paused DAG misses asset events.
    run_types = {"angus_on_hour_file": "Asset", "angus_hourly_files": "Scheduled", "angus_daily_to_sql": "Scheduled"}
    for dag_id in run_types:
        airflow_ui.unpause(dag_id)
    for dag_id, run_type in run_types.items():
        airflow_ui.wait_for_runs(dag_id, run_type, "Success")
