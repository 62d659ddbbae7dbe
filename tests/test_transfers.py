"""Landing through Airflow: the rows of a run are in the file or the table afterwards, whole and once."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import databases
import pytest
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow_runs import AIRFLOW_3

from airflow_provider_angus.exceptions import (
    AngusAuthError,
    AngusIntervalError,
    AngusRequestError,
    AngusResponseError,
    AngusStorageError,
    AngusTargetError,
    AngusUnavailableError,
)
from airflow_provider_angus.operators import AngusEntitiesOperator
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_runs import Airflow, Outcome

    from airflow_provider_angus.sandbox import Sandbox

DAILY = CronDataIntervalTimetable("@daily", timezone="UTC")
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
RETRY: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(0)}

pytestmark = pytest.mark.usefixtures("connection")


@pytest.fixture
def shops(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connections to the sandbox's streams, one for each: ``shop_0`` to ``shop_2``."""
    for number, client_id in enumerate(sandbox.streams):
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{number}", sandbox.connection_json(client_id))
    return [f"shop_{number}" for number in range(len(sandbox.streams))]


@pytest.fixture(params=["sqlite", "postgres", "duckdb", "mysql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[databases.Database]:
    """Each kind of database in turn, with a table that is not there yet."""
    yield from databases.made(request.param, tmp_path, monkeypatch)


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[databases.Database]:
    yield from databases.made("sqlite", tmp_path, monkeypatch)


@pytest.fixture
def postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[databases.Database]:
    yield from databases.made("postgres", tmp_path, monkeypatch)


def to_file(path: Path | str, **arguments: Any) -> AngusToObjectStorageOperator:
    given = {"task_id": "land", "metrics": "passing_by", "time": "by_hour", "path": str(path)}
    return AngusToObjectStorageOperator(**given | arguments)


def to_table(database: databases.Database, **arguments: Any) -> AngusToSqlOperator:
    given = {
        "task_id": "land",
        "metrics": "passing_by",
        "time": "by_hour",
        "sql_conn_id": database.conn_id,
        "table": database.table,
        "create_table": True,
    }
    return AngusToSqlOperator(**given | arguments)


def land(airflow: Airflow, build: Any, **run: Any) -> Outcome:
    return airflow.run(build, **{"schedule": DAILY} | run)["land"]


def fetched(airflow: Airflow, **arguments: Any) -> list[dict[str, Any]]:
    """Return what the entities operator returns for the same run."""
    given = {"task_id": "fetch", "metrics": "passing_by", "time": "by_hour"}
    rows = airflow.run(lambda: AngusEntitiesOperator(**given | arguments), schedule=DAILY)["fetch"].returned
    return [dict(row) for row in rows]


def columns_of(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


# Files.


def read(path: Path, form: str) -> list[dict[str, Any]]:
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = gzip.decompress(content)
    if form == "jsonl":
        return [json.loads(line) for line in content.decode().splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(content.decode())))
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
def test_a_file_has_the_run_s_rows_in_the_format_of_its_ending(airflow: Airflow, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"{{{{ ds }}}}.{ending}"
    metrics = "stop_time,passing_by"
    manifest = land(airflow, lambda: to_file(path, metrics=metrics)).returned
    (written,) = tmp_path.iterdir()
    rows, want = read(written, ending.partition(".")[0]), fetched(airflow, metrics=metrics)
    assert list(rows[0]) == ["stream", "bucket_start", "bucket_end", "passing_by", "stop_time", "other"]
    if ending.startswith("csv"):
        want = [{name: "" if value is None else str(value) for name, value in row.items()} for row in want]
    if ending == "parquet":
        want = [
            row | {name: datetime.fromisoformat(row[name]) for name in ("bucket_start", "bucket_end")} for row in want
        ]
    assert len(rows) == 24
    assert [{name: row[name] for name in want[0]} for row in rows] == want
    assert (manifest["path"], manifest["rows"], manifest["bytes"]) == (str(written), 24, written.stat().st_size)
    assert manifest["checksum"] == f"sha256:{hashlib.sha256(written.read_bytes()).hexdigest()}"


def test_the_manifest_says_stream_and_interval(airflow: Airflow, sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = land(airflow, lambda: to_file(tmp_path / "day.csv")).returned
    assert list(manifest) == ["path", "stream", "from_date", "to_date", "rows", "bytes", "checksum"]
    assert manifest["stream"] == next(iter(sandbox.streams))
    assert (manifest["from_date"], manifest["to_date"]) == ("2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00")


@pytest.mark.parametrize("ending", ["jsonl.gz", "parquet"])
def test_a_rerun_replaces_the_file_by_the_same_bytes(airflow: Airflow, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"day.{ending}"
    first, again = (land(airflow, lambda: to_file(path)).returned for _ in range(2))
    assert first == again
    assert list(tmp_path.iterdir()) == [path]


def test_columns_are_those_of_the_metrics_also_when_the_answer_lacks_them(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path
) -> None:
    def strange(answer: dict[str, Any]) -> dict[str, Any]:
        for number, bucket in enumerate(answer["entities"].values()):
            del bucket["gender"]
            bucket["satisfaction"] = {"smiles": number}
        return answer

    sandbox.change_next(strange, on="entities")
    land(airflow, lambda: to_file(tmp_path / "day.csv", metrics="passing_by,gender,satisfaction"))
    rows = read(tmp_path / "day.csv", "csv")
    genders = ["gender_female", "gender_male", "gender_unknown"]
    assert list(rows[0]) == ["stream", "bucket_start", "bucket_end", "passing_by", *genders, "other"]
    assert columns_of(rows[:2], *genders, "other") == [
        ("", "", "", '{"satisfaction_smiles": 0}'),
        ("", "", "", '{"satisfaction_smiles": 1}'),
    ]


def test_folders_are_made_and_the_format_may_be_named(airflow: Airflow, tmp_path: Path) -> None:
    path = tmp_path / "shop" / "{{ ds }}" / "audience.gz"
    land(airflow, lambda: to_file(path, format="jsonl"))
    (written,) = tmp_path.glob("shop/*/audience.gz")
    assert len(read(written, "jsonl")) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "/data/day.xlsx"}, "names no format: name one of jsonl, csv, parquet with format="),
        ({"path": "/data/day"}, "names no format"),
        ({"path": "/data/day.csv", "format": "xml"}, "Unknown format 'xml'"),
        ({"path": "/data/day.parquet.gz"}, "leave out .gz"),
    ],
)
def test_parsing_a_dag_refuses_a_path_without_a_format(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusTargetError, match=message):
        to_file(**arguments)


def test_a_store_that_airflow_does_not_know_is_not_retried(airflow: Airflow) -> None:
    outcome = land(airflow, lambda: to_file("nowhere://bucket/day.csv", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusTargetError)
    assert "nowhere://bucket/day.csv cannot be written" in str(outcome.errors[0])


def test_a_path_that_cannot_be_written_is_named_and_leaves_what_was_there(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("was here")
    outcome = land(airflow, lambda: to_file(tmp_path / "file" / "day.csv"))
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert f"{tmp_path}/file/day.csv could not be written" in str(outcome.errors[0])
    assert isinstance(outcome.errors[0].__cause__, OSError)
    assert (tmp_path / "file").read_text() == "was here"


def test_a_folder_in_the_file_s_place_is_an_error(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "day.csv").mkdir()
    outcome = land(airflow, lambda: to_file(tmp_path / "day.csv"))
    assert "is a folder" in str(outcome.errors[0])
    assert list(tmp_path.iterdir()) == [tmp_path / "day.csv"]


def test_a_failure_on_a_later_page_leaves_the_file_that_was_there(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "days.csv"
    path.write_text("was here")

    def second_page_fails(answer: dict[str, Any]) -> dict[str, Any]:
        sandbox.fail_next(400, body={"code": "x", "message": "no"}, on="entities")
        return answer

    sandbox.change_next(second_page_fails, on="entities")
    outcome = land(airflow, lambda: to_file(path, from_date="2026-11-01", to_date="2026-11-11"))
    assert [type(error) for error in outcome.errors] == [AngusRequestError]
    assert (list(tmp_path.iterdir()), path.read_text()) == ([path], "was here")


@pytest.mark.parametrize(("allow_empty", "left"), [(True, ""), (False, "was here")])
def test_an_empty_answer_replaces_a_file_only_where_it_may(
    airflow: Airflow, sandbox: Sandbox, tmp_path: Path, *, allow_empty: bool, left: str
) -> None:
    path = tmp_path / "day.jsonl"
    path.write_text("was here")
    sandbox.change_next(lambda answer: answer | {"entities": {}, "total_results": 0, "nb_of_pages": 0}, on="entities")
    outcome = land(airflow, lambda: to_file(path, allow_empty=allow_empty))
    assert [type(error) for error in outcome.errors] == ([] if allow_empty else [AngusResponseError])
    assert path.read_text() == left


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; skips where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_an_error_and_leaves_the_file_that_was_there(airflow: Airflow, small_disk: Path) -> None:
    path = small_disk / "days.csv"
    path.write_text("was here")
    outcome = land(
        airflow,
        lambda: to_file(path, metrics="passing_by,gender,category", from_date="2026-08-01", to_date="2026-11-01"),
    )
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "No space left on device" in str(outcome.errors[0])
    assert (list(small_disk.iterdir()), path.read_text()) == ([path], "was here")


# Tables.


def test_a_table_is_made_and_has_the_run_s_rows(airflow: Airflow, database: databases.Database) -> None:
    metrics = "passing_by,stop_time,gender"
    outcome = land(airflow, lambda: to_table(database, metrics=metrics))
    want = fetched(airflow, metrics=metrics)
    assert outcome.returned == {
        "table": database.table,
        "stream": want[0]["stream"],
        "from_date": "2026-11-20T00:00:00+00:00",
        "to_date": "2026-11-21T00:00:00+00:00",
        "rows": 24,
    }
    columns = ("stream", "passing_by", "stop_time", "gender_female")
    assert [tuple(row) for row in database.rows(", ".join(columns))] == columns_of(want, *columns)
    starts = [row[0] for row in database.rows("bucket_start")]
    assert [as_utc(start) for start in starts] == [datetime.fromisoformat(row["bucket_start"]) for row in want]


def as_utc(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def test_the_types_of_columns_are_the_database_s_own(airflow: Airflow, postgres: databases.Database) -> None:
    land(airflow, lambda: to_table(postgres, metrics="passing_by,stop_time,satisfaction"))
    schema, _, table = postgres.table.partition(".")
    types = dict(
        postgres.run(
            "SELECT column_name, data_type FROM information_schema.columns "  # noqa: S608 (a test's)
            f"WHERE table_schema = '{schema}' AND table_name = '{table}'"
        )
    )
    assert types == {
        "stream": "text",
        "bucket_start": "timestamp with time zone",
        "bucket_end": "timestamp with time zone",
        "passing_by": "bigint",
        "stop_time": "double precision",
        "other": "jsonb",
    }


def test_a_rerun_leaves_each_interval_once_and_the_others_alone(
    airflow: Airflow, database: databases.Database, shops: list[str]
) -> None:
    for day in (19, 20, 21, 20):
        land(
            airflow,
            lambda: to_table(database, angus_conn_id=shops[0]),
            logical_date=datetime(2026, 11, day, tzinfo=UTC),
        )
    land(airflow, lambda: to_table(database, angus_conn_id=shops[1]))
    rows = database.rows()
    assert len(rows) == len({(stream, str(start)) for stream, start, _ in rows}) == 4 * 24


def test_a_rerun_takes_away_rows_that_are_no_longer_there(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    land(airflow, lambda: to_table(database))

    def shorter(answer: dict[str, Any]) -> dict[str, Any]:
        answer["entities"].popitem()
        return answer | {"total_results": len(answer["entities"])}

    sandbox.change_next(shorter, on="entities")
    outcome = land(airflow, lambda: to_table(database))
    assert database.count() == outcome.returned["rows"] < 25


def test_one_table_may_hold_the_parts_of_a_bucket_that_two_intervals_share(
    airflow: Airflow, sqlite: databases.Database
) -> None:
    for noon in (18, 19, 20):
        land(
            airflow,
            lambda noon=noon: to_table(
                sqlite, time="by_day", from_date=f"2026-11-{noon}T12:00:00Z", to_date=f"2026-11-{noon + 1}T12:00:00Z"
            ),
        )
    edges = sqlite.rows("bucket_start, bucket_end")
    assert [(start[5:13], end[5:13]) for start, end in edges] == [
        ("11-18T12", "11-19T00"),
        ("11-19T00", "11-19T12"),
        ("11-19T12", "11-20T00"),
        ("11-20T00", "11-20T12"),
        ("11-20T12", "11-21T00"),
        ("11-21T00", "11-21T12"),
    ]


def test_a_table_that_lacks_columns_is_named_with_them_and_not_retried(
    airflow: Airflow, database: databases.Database
) -> None:
    database.run(f"CREATE TABLE {database.table} (stream VARCHAR(40), bucket_start VARCHAR(40), passing_by INTEGER)")
    outcome = land(airflow, lambda: to_table(database, metrics="passing_by,stop_time", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusTargetError)
    message = str(outcome.errors[0])
    assert f"Table {database.table} has no column bucket_end (" in message
    assert "stop_time (" in message
    assert "it has stream, bucket_start, passing_by." in message


def test_a_table_that_is_not_there_is_made_only_when_asked_for(airflow: Airflow, database: databases.Database) -> None:
    outcome = land(airflow, lambda: to_table(database, create_table=False, **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert f"Table {database.table} is not there or not to be read: create it, or let cre" in str(outcome.errors[0])
    assert outcome.errors[0].__cause__ is not None


def test_a_table_with_more_columns_than_ours_is_filled(airflow: Airflow, database: databases.Database) -> None:
    land(airflow, lambda: to_table(database))
    database.run(f"ALTER TABLE {database.table} ADD COLUMN note VARCHAR(10)")
    land(airflow, lambda: to_table(database))
    assert database.count() == 24


def test_what_nobody_documented_is_kept_or_refused_but_never_dropped(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    def smiling(answer: dict[str, Any]) -> dict[str, Any]:
        for bucket in answer["entities"].values():
            bucket["satisfaction"] = {"smiles": 3}
        return answer

    sandbox.change_next(smiling, on="entities")
    land(airflow, lambda: to_table(database, metrics="passing_by,satisfaction"))
    (kept,) = {json.dumps(row[0]) if isinstance(row[0], dict) else row[0] for row in database.rows("other")}
    assert json.loads(kept) == {"satisfaction_smiles": 3}
    database.run(f"ALTER TABLE {database.table} DROP COLUMN other")
    land(airflow, lambda: to_table(database))
    sandbox.change_next(smiling, on="entities")
    outcome = land(airflow, lambda: to_table(database, metrics="passing_by,satisfaction"))
    assert "sent satisfaction_smiles of stream" in str(outcome.errors[0])
    assert "needs a column other (" in str(outcome.errors[0])
    assert database.count() == 24


@pytest.mark.parametrize("table", ['audience"; DROP TABLE x; --', "audience'", "a b", "a.b.c.d", "1st", "", "a."])
def test_parsing_a_dag_refuses_a_table_that_is_no_name(sqlite: databases.Database, table: str) -> None:
    with pytest.raises(AngusTargetError, match="is no name of a table"):
        to_table(sqlite, table=table)


def test_a_templated_table_is_checked_when_rendered(airflow: Airflow, sqlite: databases.Database) -> None:
    outcome = land(airflow, lambda: to_table(sqlite, table="{{ 'audi\"ence' }}", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert "is no name of a table" in str(outcome.errors[0])


def test_a_connection_that_is_not_to_a_database_is_named(airflow: Airflow, sqlite: databases.Database) -> None:
    for conn_id, words in (("angus_default", "its hook is AngusHook"), ("not_there", "'not_there' cannot be used")):
        outcome = land(airflow, lambda conn_id=conn_id: to_table(sqlite, sql_conn_id=conn_id))
        assert isinstance(outcome.errors[0], AngusTargetError)
        assert words in str(outcome.errors[0])


def test_a_database_that_cannot_be_reached_is_named_and_retried(
    airflow: Airflow, postgres: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", "postgres://me:hunter2@127.0.0.1:9/none")
    outcome = land(airflow, lambda: to_table(postgres, sql_conn_id="away", **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 2)
    assert [type(error) for error in outcome.errors] == [AngusStorageError] * 2
    assert "of connection 'away' could not be written" in str(outcome.errors[0])
    assert "hunter2" not in str(outcome.errors[0])


def test_a_failure_of_the_api_leaves_the_table_as_it_was(
    airflow: Airflow, sandbox: Sandbox, database: databases.Database
) -> None:
    land(airflow, lambda: to_table(database))
    before = database.rows()
    sandbox.fail_next(400, on="entities")
    assert land(airflow, lambda: to_table(database)).state == "failed"
    assert database.rows() == before


@pytest.mark.parametrize(("allow_empty", "left"), [(True, 0), (False, 24)])
def test_an_empty_answer_replaces_an_interval_only_where_it_may(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database, *, allow_empty: bool, left: int
) -> None:
    land(airflow, lambda: to_table(sqlite))
    sandbox.change_next(lambda answer: answer | {"entities": {}, "total_results": 0, "nb_of_pages": 0}, on="entities")
    outcome = land(airflow, lambda: to_table(sqlite, allow_empty=allow_empty))
    assert [type(error) for error in outcome.errors] == ([] if allow_empty else [AngusResponseError])
    assert sqlite.count() == left


def test_an_insert_that_fails_leaves_what_was_there(airflow: Airflow, sqlite: databases.Database) -> None:
    land(airflow, lambda: to_table(sqlite))
    before = sqlite.rows()
    sqlite.run(
        f"CREATE TRIGGER no BEFORE INSERT ON {sqlite.table} WHEN new.bucket_start > '2026-11-20T12' "
        "BEGIN SELECT RAISE(ABORT, 'not today'); END"
    )
    outcome = land(airflow, lambda: to_table(sqlite))
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "not today What was there before still is." in str(outcome.errors[0])
    assert type(outcome.errors[0].__cause__).__name__ == "IntegrityError"
    assert sqlite.rows() == before


def test_a_full_disk_leaves_the_table_as_it_was(airflow: Airflow, small_disk: Path, monkeypatch: Any) -> None:
    (sqlite,) = databases.made("sqlite", small_disk, monkeypatch)
    land(airflow, lambda: to_table(sqlite))
    before = sqlite.rows()
    outcome = land(airflow, lambda: to_table(sqlite, from_date="2026-05-01", to_date="2026-11-21"))
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "disk is full" in str(outcome.errors[0])
    assert sqlite.rows() == before


SLOW_INSERT = """
    CREATE FUNCTION {schema}.slowly() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(30); RETURN new; END $$
    LANGUAGE plpgsql;
    CREATE TRIGGER slowly BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.slowly();
"""


def inserting(postgres: databases.Database) -> int:
    """Wait until somebody is between delete and insert, and return the ID of the server's process for them."""
    waited = threading.Event()
    for _ in range(600):
        found = postgres.run(
            "SELECT pid FROM pg_stat_activity "  # noqa: S608 (a test's)
            f"WHERE query LIKE 'INSERT INTO {postgres.table}%' AND wait_event = 'PgSleep'"
        )
        if found:
            return int(found[0][0])
        waited.wait(0.05)
    pytest.fail("Nobody has come to the insert.")


def test_a_database_that_goes_away_in_the_middle_keeps_what_it_had(
    airflow: Airflow, postgres: databases.Database
) -> None:
    land(airflow, lambda: to_table(postgres))
    before = postgres.rows()
    postgres.run(SLOW_INSERT.format(schema=postgres.table.partition(".")[0], table=postgres.table))
    killer = threading.Thread(target=lambda: postgres.run(f"SELECT pg_terminate_backend({inserting(postgres)})"))
    killer.start()
    outcome = land(airflow, lambda: to_table(postgres))
    killer.join()
    assert [type(error) for error in outcome.errors] == [AngusStorageError]
    assert "terminat" in str(outcome.errors[0])
    postgres.run(f"DROP TRIGGER slowly ON {postgres.table}")
    assert postgres.rows() == before
    land(airflow, lambda: to_table(postgres))
    assert postgres.rows() == before


#: A worker's process: it loads a day, as the test says, without anything of Airflow around it.
WORKER = """
    import sys
    from airflow_provider_angus.transfers import AngusToSqlOperator

    {before}
    AngusToSqlOperator(
        task_id="land", metrics="passing_by", time="by_hour", sql_conn_id={conn_id!r}, table={table!r},
        from_date="2026-11-20", to_date="2026-11-21",
    ).execute({{}})
"""

DIES_AT_INSERT = """
    import os, signal
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    connect = SqliteHook.get_conn
    def get_conn(self):
        connection = connect(self)
        connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
        return connection
    SqliteHook.get_conn = get_conn
"""


def worker(database: databases.Database, before: str = "") -> subprocess.Popen[bytes]:
    script = textwrap.dedent(WORKER).format(
        before=textwrap.dedent(before), conn_id=database.conn_id, table=database.table
    )
    return subprocess.Popen([sys.executable, "-c", script], env=os.environ)


def test_a_worker_killed_between_delete_and_insert_leaves_what_was_there_in_sqlite(
    airflow: Airflow, sqlite: databases.Database
) -> None:
    land(airflow, lambda: to_table(sqlite))
    before = sqlite.rows()
    sqlite.run(f"CREATE TRIGGER kills BEFORE INSERT ON {sqlite.table} BEGIN SELECT die(); END")
    assert worker(sqlite, DIES_AT_INSERT).wait(60) == -signal.SIGKILL
    assert sqlite.rows() == before


def test_a_worker_killed_between_delete_and_insert_leaves_what_was_there_in_postgres(
    airflow: Airflow, postgres: databases.Database
) -> None:
    land(airflow, lambda: to_table(postgres))
    before = postgres.rows()
    postgres.run(SLOW_INSERT.format(schema=postgres.table.partition(".")[0], table=postgres.table))
    process = worker(postgres)
    backend = inserting(postgres)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    # The server has not noticed yet; what its process does is what it would do half a minute later.
    postgres.run(f"SELECT pg_terminate_backend({backend}, 10000)")
    assert postgres.rows() == before


# Several streams in one task.


def test_a_list_of_connections_is_fetched_in_one_task_stream_by_stream(
    airflow: Airflow, sandbox: Sandbox, shops: list[str]
) -> None:
    rows = fetched(airflow, angus_conn_id=shops)
    assert [row["stream"] for row in rows] == [stream for stream in sandbox.streams for _ in range(24)]
    assert rows == [row for shop in shops for row in fetched(airflow, angus_conn_id=shop)]


def refuse(sandbox: Sandbox, client_id: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    wrong = sandbox.connection(client_id) | {"password": "wrong"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(wrong))


def test_a_stream_that_is_refused_does_not_take_the_others_rows_but_fails_the_task(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = sandbox.streams
    refuse(sandbox, second, monkeypatch, "shop_1")
    outcome = land(airflow, lambda: to_table(sqlite, angus_conn_id=[*shops, "not_there"], **RETRY))
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusAuthError)
    lines = str(outcome.errors[0]).splitlines()
    assert lines[0] == "2 of 4 streams failed:"
    assert sorted(line.partition(":")[0] for line in lines[1:]) == ["- not_there", "- shop_1"]
    assert {row[0] for row in sqlite.rows()} == {first, third}
    assert outcome.returned["rows"] == sqlite.count() == 48


def test_a_stream_that_is_away_is_worth_another_try_of_the_task(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(sandbox, list(sandbox.streams)[1], monkeypatch, "shop_1")
    away = sandbox.connection(list(sandbox.streams)[2]) | {"host": "http://127.0.0.1", "port": 9}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_2", json.dumps(away))
    outcome = airflow.run(
        lambda: AngusEntitiesOperator(task_id="land", metrics="passing_by", angus_conn_id=shops, **RETRY),
        schedule=DAILY,
    )["land"]
    assert (outcome.state, outcome.tries) == ("failed", 2)
    assert isinstance(outcome.errors[0], AngusUnavailableError)
    assert [row["stream"] for row in outcome.returned] == list(sandbox.streams)[:1]


def test_a_stream_whose_rows_the_table_cannot_take_does_not_take_the_others_with_it(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], database: databases.Database
) -> None:
    metrics = "passing_by,satisfaction"
    land(airflow, lambda: to_table(database, angus_conn_id=shops, metrics=metrics))
    database.run(f"ALTER TABLE {database.table} DROP COLUMN other")

    def smiling(answer: dict[str, Any]) -> dict[str, Any]:
        for bucket in answer["entities"].values():
            bucket["satisfaction"] = {"smiles": 3}
        return answer

    sandbox.change_next(smiling, on="entities")
    outcome = land(airflow, lambda: to_table(database, angus_conn_id=shops, metrics=metrics, on_stream_error="skip"))
    assert (outcome.state, outcome.returned["rows"]) == ("success", 48)
    assert "needs a column other (" in airflow.log
    assert database.count() == 72


def test_when_the_table_can_take_no_stream_s_rows_the_task_fails(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database
) -> None:
    land(airflow, lambda: to_table(sqlite, angus_conn_id=shops))
    sqlite.run(f"ALTER TABLE {sqlite.table} DROP COLUMN other")

    def smiling(answer: dict[str, Any]) -> dict[str, Any]:
        for bucket in answer["entities"].values():
            bucket["passing_by"]["smiles"] = 3
        return answer

    sandbox.change_next(smiling, times=3, on="entities")
    outcome = land(airflow, lambda: to_table(sqlite, angus_conn_id=shops, on_stream_error="skip"))
    assert str(outcome.errors[0]).startswith("3 of 3 streams failed:")
    assert sqlite.count() == 72


def test_streams_that_fail_are_only_logged_where_they_may_be_skipped(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = sandbox.streams
    refuse(sandbox, first, monkeypatch, "shop_0")
    path = tmp_path / "shops.jsonl"
    outcome = land(airflow, lambda: to_file(path, angus_conn_id=shops, on_stream_error="skip"))
    assert outcome.state == "success"
    assert outcome.returned["stream"] == others
    assert [row["stream"] for row in read(path, "jsonl")] == [stream for stream in others for _ in range(24)]
    assert "Connection shop_0 failed: POST" in airflow.log


def test_when_all_streams_fail_the_task_does_and_nothing_is_replaced(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "shops.jsonl"
    path.write_text("was here")
    sandbox.fail_next(400, times=3, on="entities")
    outcome = land(airflow, lambda: to_file(path, angus_conn_id=shops, on_stream_error="skip"))
    assert (outcome.state, path.read_text()) == ("failed", "was here")
    assert str(outcome.errors[0]).startswith("3 of 3 streams failed:\n- shop_0: GET")


def test_a_stream_that_comes_by_two_connections_is_not_landed_twice(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AGAIN", sandbox.connection_json(next(iter(sandbox.streams))))
    outcome = airflow.run(
        lambda: AngusEntitiesOperator(task_id="land", metrics="passing_by", angus_conn_id=[*shops, *shops, "again"]),
        schedule=DAILY,
    )["land"]
    assert "again: It is stream" in str(outcome.errors[0])
    assert len(outcome.returned) == 3


def test_an_operator_may_be_mapped_over_lists_of_connections(airflow: Airflow, shops: list[str]) -> None:
    lists = [shops[:2], shops[2:]]
    outcomes = airflow.run(
        lambda: AngusEntitiesOperator.partial(task_id="fetch", metrics="passing_by").expand(angus_conn_id=lists),
        schedule=DAILY,
    )
    assert [len(outcomes[f"fetch[{number}]"].returned) for number in range(2)] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angus_conn_id": []}, "a connection or a list of such"),
        ({"angus_conn_id": ["a", None]}, "a connection or a list of such"),
        ({"on_stream_error": "ignore"}, "must be 'fail' or 'skip'"),
    ],
)
def test_parsing_a_dag_refuses_what_names_no_streams(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AngusRequestError, match=message):
        AngusEntitiesOperator(task_id="land", metrics="passing_by", **arguments)


# As the entities operator is, so are both.


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 has no such runs")
def test_a_run_without_an_interval_is_refused_before_anything_is_asked(
    airflow: Airflow, sandbox: Sandbox, sqlite: databases.Database
) -> None:
    outcome = land(airflow, lambda: to_table(sqlite, **RETRY), schedule="@daily")
    assert (outcome.state, outcome.tries) == ("failed", 1)
    assert isinstance(outcome.errors[0], AngusIntervalError)
    assert sandbox.count() == 0


def test_both_may_be_mapped_over_connections(
    airflow: Airflow, sandbox: Sandbox, shops: list[str], sqlite: databases.Database, tmp_path: Path
) -> None:
    def build() -> None:
        shared = {"metrics": "passing_by", "time": "by_hour"}
        AngusToSqlOperator.partial(
            task_id="table", sql_conn_id=sqlite.conn_id, table=sqlite.table, create_table=True, **shared
        ).expand(angus_conn_id=shops)
        AngusToObjectStorageOperator.partial(task_id="file", **shared).expand_kwargs(
            [{"angus_conn_id": shop, "path": f"{tmp_path}/{shop}/{{{{ ds }}}}.jsonl"} for shop in shops]
        )

    outcomes = airflow.run(build, schedule=DAILY)
    assert {outcome.state for outcome in outcomes.values()} == {"success"}
    assert sqlite.count() == 72
    assert {path.parent.name for path in tmp_path.glob("shop_*/*.jsonl")} == set(shops)
    assert [outcomes[f"file[{number}]"].returned["stream"] for number in range(3)] == list(sandbox.streams)
