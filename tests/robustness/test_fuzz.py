"""More examples for ``unit/api/test_fuzz.py``, and one minute of coverage-guided fuzzing."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import fuzzing
import pytest
from fuzzing import FuzzTarget, replies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outcome_table import Record

    from airflow_provider_angus.sandbox import Reply

EXAMPLES = 20_000
SECONDS = 60
SCRIPT = Path(fuzzing.__file__).with_name("fuzz_page_reader.py")


@pytest.fixture(scope="module")
def target() -> Iterator[FuzzTarget]:
    with FuzzTarget() as target:
        yield target


def peak_memory() -> float:
    """Return the peak memory of this process in MiB. Linux counts KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_clients_20000_replies_are_rows_or_our_errors(target: FuzzTarget, record: Record) -> None:
    """Both clients have equal results, and memory stays bounded."""
    outcomes: Counter[str] = Counter()

    # Seconds of the slowest example on a busy machine.
    @settings(max_examples=EXAMPLES, deadline=timedelta(seconds=5), suppress_health_check=list(HealthCheck))
    @given(first=st.none() | replies(), second=st.none() | replies())
    def fuzz(first: Reply | None, second: Reply | None) -> None:
        outcomes[target.check(first, second)] += 1

    target.check(None, None)
    before = peak_memory()
    fuzz()
    for outcome, times in outcomes.items():
        record("random replies of hypothesis", "both clients", outcome, times)
    assert outcomes.total() >= EXAMPLES
    # In MiB, with the memory of hypothesis.
    assert peak_memory() - before < 300


def test_page_reader_coverage_guided_fuzzing_raises_our_errors(tmp_path: Path, record: Record) -> None:
    pytest.importorskip("atheris", reason="make hostile installs atheris if it has a wheel for this Python")
    env = os.environ | {"PYTHONPATH": str(SCRIPT.parent), "PYTHONWARNINGS": "ignore"}
    process = subprocess.run(
        [sys.executable, SCRIPT, str(SECONDS), str(tmp_path)],
        env=env,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=10 * SECONDS,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    runs = re.search(r"Done (\d+) runs", process.stderr)
    assert runs, process.stderr[-3000:]
    record("inputs of atheris", "page reader", "rows or our errors", int(runs[1]))
