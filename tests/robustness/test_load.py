"""200 concurrent task runs and an API with failures: all rows are correct, with few additional requests."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forked import Run, execute, execute_concurrently

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from outcome_table import Record

PROCESSES = 8
THREADS = 25
RUNS = PROCESSES * THREADS

#: Each run fetches ten days by the hour. The API adds the hour after them and sends ten pages.
QUERY: dict[str, Any] = {
    "operator": AngusEntitiesOperator,
    "metrics": "passing_by,gender",
    "time": "by_hour",
    "from_date": "2026-11-10",
    "to_date": "2026-11-20",
}
HOURS = 240
PAGE_SIZE = 25
PAGES = 10

#: The share of requests that fail. Half of the failures are responses, half are closed connections.
FAILURE_RATE = 0.01
RESPONSE_RATE = 0.5
SEED = 20_261_121


def fail_randomly(sandbox: Sandbox, requests: int) -> int:
    """Let some of the next requests fail. Return the number of failures."""
    generator = random.Random(SEED)  # noqa: S311 (not for cryptography)
    failures = 0
    for _ in range(requests):
        if generator.random() >= FAILURE_RATE:
            # The API's own response.
            sandbox.fail_next(200)
            continue
        sandbox.fail_next(503 if generator.random() < RESPONSE_RATE else 0)
        failures += 1
    return failures


def test_200_concurrent_runs_have_correct_rows(record: Record) -> None:
    """The number of additional requests is the number of failures, less than 2 percent."""
    with Sandbox(page_size=PAGE_SIZE) as sandbox:
        sandbox.clock.set(datetime(2026, 11, 21, tzinfo=UTC))
        shops = [f"shop_{number}" for number in range(len(sandbox.streams))]
        env = {
            f"AIRFLOW_CONN_{shop.upper()}": sandbox.connection_json(client_id)
            for shop, client_id in zip(shops, sandbox.streams, strict=True)
        }
        expected = {shop: Run(execute, env, angus_conn_id=shop, **QUERY).start().result() for shop in shops}
        assert [len(rows) for rows in expected.values()] == [HOURS] * len(shops)

        sandbox.forget_calls()
        lists = [[shops[number % len(shops)] for number in range(THREADS)] for _ in range(PROCESSES)]
        # Each process gets a token for each stream.
        needed = RUNS * PAGES + PROCESSES * len(shops)
        failures = fail_randomly(sandbox, needed)
        runs = [Run(execute_concurrently, env, conn_ids=conn_ids, **QUERY) for conn_ids in lists]
        outcomes = [run.result() for run in [run.start() for run in runs]]

        for conn_ids, results in zip(lists, outcomes, strict=True):
            for conn_id, result in zip(conn_ids, results, strict=True):
                assert result == expected[conn_id]
        retries = sandbox.count() - needed
        print(f"{sandbox.count():,} requests, {failures} failures, {retries} additional requests, seed {SEED}.")
        assert failures > 10
        assert retries == failures
        assert retries / needed < 0.02
        record(f"{RUNS} concurrent task runs, 1 % of requests fail", "operator", "correct rows", RUNS)
        record("requests of these runs", "operator", f"{retries} more than {needed:,}, {retries / needed:.2%}")
