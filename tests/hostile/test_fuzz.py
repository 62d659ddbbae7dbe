"""The fuzzing of tests/test_fuzz.py for longer, and a minute of a fuzzer that sees which lines are reached."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from fuzzing import Parrot, answers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_angus import retrying

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = 20_000
SECONDS = 60
MIB = 2**20


@pytest.fixture(scope="module")
def parrot() -> Iterator[Parrot]:
    with pytest.MonkeyPatch.context() as patch, Parrot() as parrot:
        patch.setattr(retrying, "_backoff", tenacity.wait_none())
        patch.setattr(retrying, "LONGEST_WAIT", 0.0)
        yield parrot


def memory() -> float:
    # In KiB on Linux.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_twenty_thousand_answers_are_rows_or_errors_of_ours_with_both_drivers(parrot: Parrot, tell: Any) -> None:
    outcomes: Counter[str] = Counter()

    # As long as the slowest of them may take, on a busy machine.
    @settings(max_examples=EXAMPLES, deadline=timedelta(seconds=5), suppress_health_check=list(HealthCheck))
    @given(first=st.none() | answers(), second=st.none() | answers())
    def fuzz(first: Any, second: Any) -> None:
        outcomes[parrot.check(first, second)] += 1

    parrot.check(None, None)
    before = memory()
    fuzz()
    for outcome, times in outcomes.items():
        tell("answers made by hypothesis", "both drivers", outcome, times)
    assert outcomes.total() >= EXAMPLES
    # All of hypothesis' own memory included.
    assert memory() - before < 300


def test_a_minute_of_coverage_guided_fuzzing_finds_no_exception_but_ours(tmp_path: Path, tell: Any) -> None:
    pytest.importorskip("atheris", reason="make hostile installs atheris where it is to be had")
    here = Path(__file__)
    command = [sys.executable, here.with_name("fuzz_page_reader.py"), str(SECONDS), str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(here.parent.parent), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, cwd=tmp_path, timeout=10 * SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tried = re.search(r"Done (\d+) runs", done.stderr)
    assert tried, done.stderr[-3000:]
    tell("inputs made by atheris", "page reader", "rows or errors of ours", int(tried[1]))
