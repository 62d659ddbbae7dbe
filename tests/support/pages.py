"""Page objects of Airflow's UI. The only module that knows the elements of its pages, on 2.11 and 3."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_versions import AIRFLOW_3
from playwright.sync_api import TimeoutError, expect  # noqa: A004 (Playwright's name)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

#: Milliseconds. The time limit of a page on a busy machine.
TIMEOUT = 60_000

#: Milliseconds. The time limit of a DAG run. Data may settle for two minutes before the sensor's first request.
RUN_TIMEOUT = 420_000
FORM_TABLE = "#model_form tr"


@dataclass(frozen=True)
class Field:
    """A field of a form: its label, its placeholder, the text below it, and whether it hides its value."""

    label: str
    placeholder: str
    help: str
    hidden: bool


@dataclass(frozen=True)
class ButtonResult:
    """The message of a Test button, and whether it is green. Messages of Airflow 2.11 have one colour, green here."""

    green: bool
    message: str


class Airflow3:
    """The UI of Airflow 3, without a login."""

    def __init__(self, page: Page, url: str, home: Path) -> None:
        del home
        self.page, self.url = page, url

    def _open_connections(self) -> None:
        self.page.goto(self.url)
        self.page.get_by_role("button", name="Admin").click()
        self.page.get_by_role("menuitem", name="Connections").click()
        expect(self.page.get_by_role("button", name="Add Connection")).to_be_visible()

    def open_form(self, conn_id: str) -> None:
        """Open the form of a connection. If the connection does not exist, select the type Angus.ai."""
        self._open_connections()
        row = self.page.get_by_role("row").filter(has_text=conn_id)
        expect(self.page.get_by_role("row").filter(has_text="audience_db")).to_be_visible()
        if row.count():
            row.get_by_role("button", name="Edit Connection").click()
            return
        self.page.get_by_role("button", name="Add Connection").click()
        self.form.get_by_label("Connection ID").fill(conn_id)
        self.form.get_by_label("Connection Type").fill("Angus")
        self.form.get_by_role("option", name="Angus.ai").click()
        expect(self.form.get_by_label("Data API URL")).to_be_visible()

    @property
    def form(self) -> Locator:
        """The form of the open connection."""
        return self.page.get_by_role("dialog")

    def show(self, section: str) -> None:
        """Open a section of the form: "Standard Fields" or "Extra Fields"."""
        button = self.form.get_by_role("button", name=section, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        expect(button).to_have_attribute("aria-expanded", "true")
        self.page.wait_for_timeout(300)  # an animation

    def fields(self) -> list[Field]:
        """Return all visible fields of the form, in order."""
        visible = []
        for section in ("Standard Fields", "Extra Fields"):
            self.show(section)
            fields = self.form.get_by_role("region").locator("[data-scope=field][data-part=root]").all()
            visible += [_field(field, "label", "[data-part=helper-text]") for field in fields if field.is_visible()]
        return visible

    def _input(self, label: str) -> Locator:
        field = self.form.locator("[data-scope=field][data-part=root]").filter(
            has=self.page.locator("label").filter(has_text=re.compile(rf"^\s*{re.escape(label)}[\s*]*$"))
        )
        return field.locator("input, textarea").first

    def fill(self, **values: str) -> None:
        """Fill in fields by section and label: ``Standard={label: text}``, ``Extra={label: text}``."""
        for section, texts in values.items():
            self.show(f"{section} Fields")
            for label, text in texts.items():
                self._input(label).fill(text)
                self._input(label).blur()

    def save_and_test(self, conn_id: str) -> ButtonResult:
        """Press Save, then Test. Airflow 3 tests the saved connection."""
        self.form.get_by_role("button", name="Save").click()
        expect(self.form).to_have_count(0)
        row = self.page.get_by_role("row").filter(has_text=conn_id)
        row.get_by_role("button", name="Test Connection").click()
        toast = self.page.locator("[data-scope=toast][data-part=root]").filter(has_text="Test Connection")
        expect(toast).to_be_visible()
        icon_is_green = row.get_by_role("button", name="Test Connection").locator("svg[color=green]")
        green = toast.get_attribute("data-type") == "success"
        expect(icon_is_green).to_have_count(int(green))
        return ButtonResult(green, toast.locator("[data-part=description]").inner_text())

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG with its switch in the list of DAGs."""
        self.page.goto(f"{self.url}/dags")
        card = f"//a[text()='{dag_id}']/ancestor::div[.//input[@type='checkbox']][1]"
        switch = self.page.locator(card).locator("label").first
        switch.click()
        expect(self.page.locator(card).locator("input[type=checkbox]").first).to_be_checked()

    def trigger(self, dag_id: str, date: str) -> str:
        """Trigger a DAG with its Trigger button for midnight of a date (``2026/11/21``). Return the run's ID."""
        self.page.goto(f"{self.url}/dags/{dag_id}")
        self.page.get_by_role("button", name="Trigger Dag").click()
        dialog = self.page.get_by_role("dialog").filter(has_text="Trigger Dag -")
        dialog.get_by_test_id("datetime-input").click()
        self.page.get_by_placeholder("YYYY/MM/DD").fill(date)
        self.page.get_by_placeholder("HH:mm").fill("00:00")
        self.page.keyboard.press("Escape")
        dialog.get_by_role("button", name="Trigger", exact=True).click()
        self.page.wait_for_url(re.compile("/runs/manual__"))
        return self.page.url.split("/runs/")[1].split("/")[0].split("?")[0]

    def wait_for_task(self, task_id: str, state: str) -> None:
        """Wait until the open page of a run shows a task in a state."""
        row = self.page.get_by_role("row").filter(has=self.page.get_by_role("link", name=task_id, exact=True))
        expect(row).to_contain_text(state, timeout=RUN_TIMEOUT)

    def wait_for_run(self, state: str) -> None:
        """Wait until the open page of a run shows that the run is in a state."""
        expect(self.page.get_by_test_id("header-card").get_by_test_id("state-badge")).to_contain_text(
            state, timeout=RUN_TIMEOUT
        )

    def wait_for_runs(self, dag_id: str, run_type: str, state: str) -> None:
        """Wait until the list of a DAG's runs has a run of a type ("Scheduled") in a state ("Success")."""
        self.page.goto(f"{self.url}/dags/{dag_id}/runs")
        run = self.page.get_by_role("row").filter(has_text=run_type).filter(has_text=state)
        expect(run.first).to_be_visible(timeout=RUN_TIMEOUT)

    def grid_tooltip(self, run_id: str, task_id: str) -> str:
        """Return the tooltip of a task's square in the grid."""
        tip = self.page.get_by_role("tooltip").filter(has_text=f"Task ID: {task_id}")
        for _ in range(10):
            # The page may redraw the square under the mouse.
            self.page.mouse.move(600, 600)
            self.page.get_by_test_id(f"grid-{run_id}-{task_id}").hover()
            with contextlib.suppress(TimeoutError):
                tip.wait_for(timeout=3_000)
                return tip.inner_text()
        raise AssertionError(f"The grid has no tooltip for {task_id}.")

    def log(self, run_id: str, task_id: str) -> Locator:
        """Open the log of a task with its square in the grid. Return the log."""
        self.page.get_by_test_id(f"grid-{run_id}-{task_id}").click()
        return self.page.get_by_test_id("virtual-scroll-container")

    def wrap_log(self) -> None:
        """Wrap the long lines of the open log."""
        self.page.keyboard.press("w")
        self.page.wait_for_timeout(500)  # the page redraws the log


class Airflow2:
    """The UI of Airflow 2.11. ``airflow standalone`` has generated the administrator's password."""

    def __init__(self, page: Page, url: str, home: Path) -> None:
        self.page, self.url = page, url
        page.goto(url)
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill((home / "standalone_admin_password.txt").read_text())
        page.get_by_role("button", name="Sign In").click()
        expect(page.get_by_role("link", name="Admin")).to_be_visible()

    def open_form(self, conn_id: str) -> None:
        """Open the form of a connection. If the connection does not exist, select the type Angus.ai."""
        self.page.get_by_role("link", name="Admin").hover()
        self.page.get_by_role("link", name="Connections").click()
        row = self.page.get_by_role("row").filter(has_text=conn_id)
        expect(self.page.get_by_role("row").filter(has_text="audience_db")).to_be_visible()
        if row.count():
            row.locator("a[href*='connection/edit']").click()
            return
        self.page.locator("a[href*='connection/add']").first.click()
        self.page.get_by_label("Connection Id").fill(conn_id)
        self.page.locator("#select2-conn_type-container").click()
        self.page.locator(".select2-search__field").fill("Angus")
        self.page.locator(".select2-search__field").press("Enter")
        expect(self.page.get_by_label("Data API URL")).to_be_visible()

    @property
    def form(self) -> Locator:
        """The form of the open connection."""
        return self.page.locator("#model_form")

    def fields(self) -> list[Field]:
        """Return all visible fields of the form below the connection type, in order."""
        rows = [row for row in self.page.locator(FORM_TABLE).all() if row.is_visible()]
        return [_field(row, "label", ".help-block") for row in rows[2:]]

    def fill(self, **values: str) -> None:
        """Fill in fields by section and label: ``Standard={label: text}``, ``Extra={label: text}``."""
        for texts in values.values():
            for label, text in texts.items():
                self.page.get_by_label(label, exact=True).fill(text)

    def save_and_test(self, conn_id: str) -> ButtonResult:
        """Press Test, then Save. Airflow 2 tests the values in the form."""
        del conn_id
        with self.page.expect_response("**/connections/test"):
            self.page.get_by_role("button", name="Test").click()
        alert = self.page.locator(".container .row .alert")
        expect(alert).to_be_visible()
        result = ButtonResult(green=True, message=alert.inner_text().strip())
        self.page.get_by_role("button", name="Save").click()
        expect(self.page).to_have_url(re.compile("/connection/list"))
        return result


def _field(field: Locator, label: str, help_selector: str) -> Field:
    text = field.locator("input, textarea").first
    help_text = field.locator(help_selector)
    return Field(
        label=field.locator(label).first.inner_text().rstrip(" *\n"),
        placeholder=text.get_attribute("placeholder") or "",
        help=help_text.first.inner_text().strip() if help_text.count() else "",
        hidden=text.get_attribute("type") == "password",
    )


Ui = Airflow3 if AIRFLOW_3 else Airflow2
