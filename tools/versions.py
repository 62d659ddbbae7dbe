"""``make compat``: write docs/versions.md, which shows the features of the provider on each version of Airflow.

The tests write a JSON file per version of Airflow and Python (``seen_features.py``). A version without such a file
keeps its column. Exits with 1 if the page changed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "docs" / "versions.md"
RESULTS = ROOT / ".cache" / "features"

#: Whether a version has a feature, by feature and version: ``{"Lineage": {"3.0": True}}``.
Table = dict[str, dict[str, bool]]


class Feature(NamedTuple):
    """The start of the node IDs of the tests of a feature, and what happens on versions without it."""

    tests: str
    remarks: str = ""


FEATURES = {
    "Connection form": Feature(
        "tests/unit/test_provider_info.py::test_form_has_all_fields_with_labels",
        "Airflow 3.0 and 3.1 show connection forms only if `apache-airflow-providers-fab` is installed.",
    ),
    "**Test** button": Feature("tests/unit/test_hook_test_connection.py::"),
    "Link to the Angus console": Feature("tests/unit/test_links.py::"),
    "Rows of the data interval": Feature(
        "tests/tasks/test_operator_interval.py::test_operator_run_with_data_interval_fetches_it"
    ),
    "Runs without a logical date": Feature(
        "tests/tasks/test_operator_interval.py::test_operator_run_without_logical_date_",
        "Airflow gives each run a logical date.",
    ),
    "Partitioned runs": Feature(
        "tests/tasks/test_operator_interval.py::test_operator_partitioned_run_needs_interval",
        "Airflow 3.2 passes no partition date to tasks: pass `from_date` and `to_date`. Older: no partitions.",
    ),
    "Calendar partitions (`RollupMapper`)": Feature(
        "tests/tasks/test_operator_interval.py::test_operator_rolled_up_run_fetches_calendar_period",
        "Schedule the second DAG on an asset.",
    ),
    "Partition events (`partition_events`)": Feature(
        "tests/tasks/test_partition_events.py::", "The operator rejects the argument."
    ),
    "Asset events with a manifest": Feature("tests/tasks/test_asset_events.py::test_asset_event_has_stream_"),
    "Asset watcher (`AngusBucketTrigger`)": Feature(
        "tests/unit/test_docstring_examples.py::test_docstring_example_runs[triggers.AngusBucketTrigger]",
        "Use a sensor.",
    ),
    "Several streams in one task": Feature("tests/tasks/test_operator_multi_stream.py::"),
    "Sensor, modes `poke` and `reschedule`": Feature("tests/tasks/test_sensor_poke.py::"),
    "Deferrable sensor": Feature("tests/tasks/test_sensor_deferrable.py::test_sensor_deferrable_"),
    "Sensor starts in the triggerer (`start_from_trigger`)": Feature(
        "tests/unit/test_sensor_start.py::test_sensor_starts_in_the_triggerer", "A worker starts the sensor."
    ),
    "Retry when the API asks (`AngusRetryPolicy`)": Feature(
        "tests/tasks/test_operator_retry.py::test_operator_is_retried_when_the_api_asks",
        "Airflow retries after `retry_delay`.",
    ),
    "Files in object storage": Feature("tests/tasks/test_transfer_object_storage.py::"),
    "SQL tables": Feature("tests/tasks/test_transfer_sql.py::test_table_rerun_"),
    "Late data (`lookback`)": Feature("tests/tasks/test_transfer_lookback.py::"),
    "Audit of a table": Feature("tests/tasks/test_audit.py::test_audit_repair_loads_"),
    "OpenLineage": Feature("tests/tasks/test_openlineage.py::"),
}

TOP = """\
# Airflow versions

The provider works on Airflow 2.11 and 3. `make compat` runs the tests on the last patch release of each
minor version and on several versions of Python, and writes this page from the results: **yes** means that the tests of
a feature passed.

If your version of Airflow lacks a feature, the last column says what to expect.
"""


def versions() -> dict[str, str]:
    """Return the tested patch release of each minor version, oldest first: ``{"2.11": "2.11.2"}``."""
    texts = [path.read_text() for path in (ROOT / "constraints").glob("airflow-*.txt")]
    found = (re.search(r"^apache-airflow==((\d+)\.(\d+)\.\S+)", text, re.MULTILINE) for text in texts)
    pins = sorted((int(pin[2]), int(pin[3]), pin[1]) for pin in found if pin)
    return {f"{major}.{minor}": release for major, minor, release in pins}


def read_page(text: str) -> Table:
    """Return the table of a page."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    header = rows[0] if rows else []
    return {
        row[0]: {version: cell == "yes" for version, cell in zip(header, row, strict=False) if cell in {"yes", "no"}}
        for row in rows[2:]
    }


def read_results() -> Table:
    """Return what the tests saw, from the files of all sessions."""
    table: Table = {}
    for path in sorted(RESULTS.glob("*.json")):
        session = json.loads(path.read_text())
        for feature, seen in session["features"].items():
            table.setdefault(feature, {})[session["airflow"]] = seen
    return table


def page(table: Table) -> str:
    """Return the text of the page. A result that is not known is a question mark."""
    releases = versions()
    rows = [
        ["feature", *releases, "remarks"],
        ["---"] * (len(releases) + 2),
        ["tested release", *releases.values(), ""],
    ]
    for name, feature in FEATURES.items():
        cells = [{True: "yes", False: "no", None: "?"}[table.get(name, {}).get(version)] for version in releases]
        rows.append([name, *cells, feature.remarks])
    return TOP + "\n" + "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows) + "\n"


def main() -> int:
    """Write the page and return the exit code."""
    before = PATH.read_text() if PATH.exists() else ""
    known, seen = read_page(before), read_results()
    text = page({name: known.get(name, {}) | seen.get(name, {}) for name in FEATURES})
    if text == before:
        return 0
    PATH.write_text(text)
    print(f"{PATH.relative_to(ROOT)} has changed. Read and commit it.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
