"""Many task runs at once against an API that fails now and then: all right, and hardly a request more than needed."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forked import Run, execute

from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.sandbox import Sandbox

if TYPE_CHECKING:
    from conftest import Tell

PROCESSES = 8
THREADS = 25
RUNS = PROCESSES * THREADS

#: A run asks for ten days by the hour; the API also sends the hour after, and all of it on so many pages.
PAGES = 10
HOURS = 240
PAGE_SIZE = 25

#: The share of requests that fail, and of those the share that the API answers; the others it drops.
FAILING = 0.01
ANSWERED = 0.5
SEED = 20_261_121


def fetch(**arguments: Any) -> list[dict[str, Any]]:
    """Return the rows of one task run."""
    rows: list[dict[str, Any]] = execute(
        AngusEntitiesOperator,
        metrics="passing_by,gender",
        time="by_hour",
        from_date="2026-11-10",
        to_date="2026-11-20",
        **arguments,
    )
    return rows


def fetch_at_once(conn_ids: list[str]) -> list[Any]:
    """Return what becomes of one task run for each of these connections, all at once, each in a thread of its own."""

    def outcome(conn_id: str) -> Any:
        try:
            return fetch(angus_conn_id=conn_id)
        except Exception as error:  # noqa: BLE001 (whatever it is, the test is to see it)
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(len(conn_ids)) as pool:
        return list(pool.map(outcome, conn_ids))


def fail_now_and_then(sandbox: Sandbox, requests: int) -> int:
    """Order failures among so many requests, and return how many."""
    dice = random.Random(SEED)  # noqa: S311 (no secret)
    failures = 0
    for _ in range(requests):
        if dice.random() >= FAILING:
            # The true answer.
            sandbox.fail_next(200)
            continue
        sandbox.fail_next(503 if dice.random() < ANSWERED else 0)
        failures += 1
    return failures


def test_200_task_runs_at_once_have_the_right_rows_and_retry_less_than_2_percent(tell: Tell) -> None:
    with Sandbox(page_size=PAGE_SIZE) as sandbox:
        sandbox.clock.set(datetime(2026, 11, 21, tzinfo=UTC))
        shops = [f"shop_{number}" for number in range(len(sandbox.streams))]
        env = {
            f"AIRFLOW_CONN_{shop.upper()}": sandbox.connection_json(client_id)
            for shop, client_id in zip(shops, sandbox.streams, strict=True)
        }
        right = {shop: Run(fetch, env, angus_conn_id=shop).go().result() for shop in shops}
        assert [len(rows) for rows in right.values()] == [HOURS] * len(shops)

        sandbox.forget_calls()
        asked = [[shops[number % len(shops)] for number in range(THREADS)] for _ in range(PROCESSES)]
        # Each process gets a token for each stream.
        needed = RUNS * PAGES + PROCESSES * len(shops)
        failures = fail_now_and_then(sandbox, needed)
        runs = [Run(fetch_at_once, env, conn_ids=conn_ids) for conn_ids in asked]
        outcomes = [run.result() for run in [run.go() for run in runs]]

        for conn_ids, results in zip(asked, outcomes, strict=True):
            for conn_id, result in zip(conn_ids, results, strict=True):
                assert result == right[conn_id]
        retries = sandbox.count() - needed
        print(f"{sandbox.count():,} requests, {failures} failed, {retries} more than needed; seed {SEED}.")
        assert failures > 10
        assert retries == failures
        assert retries / needed < 0.02
        tell(f"{RUNS} task runs at once, 1 % of requests fail", "operator", "right rows", RUNS)
        tell("... and their requests", "operator", f"{retries} more than {needed:,}, {retries / needed:.2%}")
