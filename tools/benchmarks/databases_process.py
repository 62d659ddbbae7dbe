"""Load a table or compare it with the API, and write the measurements: a process of ``databases.py``."""

from __future__ import annotations

import json
import sys
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plain_loop
import psycopg

from airflow_provider_angus.audits import AngusSqlAuditOperator
from airflow_provider_angus.loading import sql
from airflow_provider_angus.transfers import AngusToSqlOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_angus.loading.sql_compare import Comparison
    from airflow_provider_angus.model.entities import Row

METRICS = ["passing_by", "interested", "stop_time", "attention_time", "gender", "category", "satisfaction"]
TABLE = "angus_bench"


class BlindTable(sql.SqlTable):
    """Deletes the interval's rows and inserts the new ones, without comparison."""

    def _comparison(self, stream: str, interval: Any, rows: Iterable[Row]) -> Comparison:
        self._rows = rows
        return super()._comparison(stream, interval, ())

    def _delete_stale(self, stream: str, comparison: Comparison, *_: Any) -> Iterator[Row]:
        self._cursor.execute(
            f"DELETE FROM {self.name} WHERE stream = %s AND bucket_start >= %s AND bucket_end <= %s",  # noqa: S608 (a constant)
            [stream, *comparison.interval],
        )
        yield from self._rows


def load_table(plan: dict[str, Any]) -> Callable[[], object]:
    """Return a function that loads a table with AngusToSqlOperator."""
    if plan["target"] != "rerun":
        execute(plan, f"DROP TABLE IF EXISTS {TABLE}")
    if plan["target"] == "blind":
        sql.SqlTable = BlindTable  # type: ignore[misc]
    table = {"sql_conn_id": "bench_postgres", "table": TABLE, "create_table": True}
    operator = AngusToSqlOperator(**query(plan), **table)
    return lambda: operator.execute({})


def load_with_loop(plan: dict[str, Any]) -> Callable[[], object]:
    """Return a function that loads a table with psycopg."""

    def load() -> None:
        rows = plain_loop.rows(plan, METRICS)
        first = next(rows)
        names = [name for name in first if name != "bucket_start"]
        columns = ", ".join(f'"{name}" DOUBLE PRECISION' for name in names)
        execute(plan, f"DROP TABLE IF EXISTS {TABLE}", f"CREATE TABLE {TABLE} (bucket_start TIMESTAMPTZ, {columns})")
        values = ([row["bucket_start"], *map(row.get, names)] for row in chain([first], rows))
        with psycopg.connect(plan["postgres"]) as connection, connection.cursor() as cursor:
            if plan["target"] == "copy":
                with cursor.copy(f"COPY {TABLE} FROM STDIN") as copy:
                    for each in values:
                        copy.write_row(each)
            else:
                marks = ", ".join(["%s"] * (len(names) + 1))
                cursor.executemany(f"INSERT INTO {TABLE} VALUES ({marks})", values)  # noqa: S608 (a constant)

    return load


def audit(plan: dict[str, Any]) -> Callable[[], object]:
    """Return a function that compares a table with the API. First, fill the table or change all its rows."""
    table = {"sql_conn_id": "bench_sqlite", "table": TABLE}
    if plan["target"] == "audit":
        AngusToSqlOperator(**query(plan), **table, create_table=True).execute({})
    else:
        hook = AngusToSqlOperator(**query(plan), **table)._get_sql_hook()  # noqa: SLF001 (our own)
        hook.run(f"UPDATE {TABLE} SET passing_by = -1")  # noqa: S608 (a constant)
    operator = AngusSqlAuditOperator(**query(plan), **table, repair=plan["target"] == "repair")
    return lambda: operator.execute({})["rows"]


def query(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a transfer without its target."""
    connections = [f"angus_{number}" for number in range(plan["streams"])]
    arguments = {"task_id": "bench", "metrics": METRICS, "time": "by_hour", "angus_conn_id": connections}
    return arguments | {name: plan[name] for name in ("from_date", "to_date")}


def execute(plan: dict[str, Any], *statements: str) -> int:
    """Run statements in PostgreSQL and return the number that the last one selects, or 0."""
    with psycopg.connect(plan["postgres"]) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    return int(row[0]) if row else 0


TARGETS = {
    "first": load_table,
    "rerun": load_table,
    "blind": load_table,
    "copy": load_with_loop,
    "executemany": load_with_loop,
    "audit": audit,
    "repair": audit,
}


def main() -> int:
    """Measure the plan's target."""
    plan = json.loads(sys.argv[1])
    run = TARGETS[plan["target"]](plan)
    started = time.perf_counter()
    rows = run()
    seconds = time.perf_counter() - started
    if plan["target"] not in {"audit", "repair"}:
        rows = execute(plan, f"SELECT COUNT(*) FROM {TABLE}")  # noqa: S608 (a constant)
        if plan["target"] not in {"first", "rerun"}:
            execute(plan, f"DROP TABLE {TABLE}")
    Path(plan["result"]).write_text(json.dumps({"rows": rows, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
