"""Tables of real databases: two who write at once, columns that are not ours, and what a database refuses."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import databases
import pytest

from airflow_provider_angus import tables
from airflow_provider_angus.exceptions import AngusStorageError, AngusTargetError
from airflow_provider_angus.interval import Interval
from airflow_provider_angus.schema import schema
from airflow_provider_angus.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from airflow_provider_angus.entities import Row

COLUMNS = schema(["passing_by"])
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOURS = Interval(NOON, NOON + timedelta(hours=3))


@pytest.fixture(params=["postgres", "mysql"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[databases.Database]:
    """Each kind of database that several may write at once."""
    yield from databases.made(request.param, tmp_path, monkeypatch)


def rows(stream: str = "camera", interval: Interval = HOURS) -> list[Row]:
    hours = [interval.start + timedelta(hours=hour) for hour in range(3)]
    return [
        {
            "stream": stream,
            "bucket_start": hour.isoformat(),
            "bucket_end": (hour + timedelta(hours=1)).isoformat(),
            "passing_by": 7,
            "other": None,
        }
        for hour in hours
    ]


def replace(
    database: databases.Database, some: Iterable[Row], *, stream: str = "camera", interval: Interval = HOURS
) -> None:
    with Table(database.hook, database.table, COLUMNS, create=True) as table:
        table.replace(stream, interval, some)


#: What says how many wait for a lock that only these tests' tables have.
WAITING = {
    "postgres": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'",
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'",
}


def at_the_same_time(database: databases.Database, first: str, second: str) -> list[BaseException]:
    """Let the second begin while the first is between delete and insert; return what they raised."""
    inside, go_on, raised = threading.Event(), threading.Event(), []

    def slowly() -> Iterator[Row]:
        inside.set()
        assert go_on.wait(60)
        yield from rows(first)

    def attempt(do: Callable[[], None]) -> None:
        try:
            do()
        except BaseException as error:  # noqa: BLE001 (whatever it is, the test says so)
            raised.append(error)

    one = threading.Thread(target=attempt, args=(lambda: replace(database, slowly(), stream=first),))
    two = threading.Thread(target=attempt, args=(lambda: replace(database, rows(second), stream=second),))
    one.start()
    assert inside.wait(60)
    two.start()
    pause = threading.Event()
    for _ in range(600):
        if not two.is_alive() or database.run(WAITING[database.kind])[0][0]:
            break
        pause.wait(0.05)
    go_on.set()
    one.join(60)
    two.join(60)
    return raised


def test_two_who_load_one_interval_at_once_leave_it_once_also_without_a_primary_key(server: databases.Database) -> None:
    replace(server, rows())
    drop = {"postgres": f"CONSTRAINT {server.table.partition('.')[2]}_pkey", "mysql": "PRIMARY KEY"}[server.kind]
    server.run(f"ALTER TABLE {server.table} DROP {drop}")
    assert at_the_same_time(server, "camera", "camera") == []
    assert server.count() == 3


def test_two_streams_that_are_loaded_for_the_first_time_at_once_are_both_there(server: databases.Database) -> None:
    replace(server, rows("another"), stream="another")
    server.run(f"TRUNCATE TABLE {server.table}")
    assert at_the_same_time(server, "camera", "kamera") == []
    assert [row[0] for row in server.rows("stream")] == ["camera"] * 3 + ["kamera"] * 3


def test_streams_whose_names_differ_in_case_only_are_two(database: databases.Database) -> None:
    for stream in ("camera", "CAMERA", "camera"):
        replace(database, rows(stream), stream=stream)
    assert database.count() == 6


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York"])
def test_columns_without_a_time_zone_hold_utc_wherever_the_worker_is(
    database: databases.Database, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TZ", "PGTZ"):
        monkeypatch.setenv(name, zone)
    database.run(
        f"CREATE TABLE {database.table} (stream VARCHAR(40), bucket_start TIMESTAMP NULL, bucket_end TIMESTAMP NULL, "
        "passing_by INTEGER)"
    )
    # In this night the clocks of Paris go back; those of New York a week later.
    nights = [Interval(start, start + timedelta(hours=3)) for start in (NOON, datetime(2026, 10, 24, 23, tzinfo=UTC))]
    nights += [Interval(nights[1].end, nights[1].end + timedelta(hours=3))]
    for night in (*nights, *nights):
        replace(database, rows(interval=night), interval=night)
    assert database.count() == 9
    if database.kind != "mysql":
        start = str(database.rows("bucket_start")[0][0])
        assert start[:19].replace("T", " ") == "2026-10-24 23:00:00"


def test_a_cursor_that_gives_dicts_will_do(database: databases.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.kind not in {"postgres", "mysql"}:
        pytest.skip("Its hook has no other cursors.")
    uri = {"postgres": databases.POSTGRES, "mysql": databases.MYSQL}[database.kind]
    cursors = {"postgres": ["dictcursor"], "mysql": ["dictcursor", "sscursor"]}[database.kind]
    plain = databases.Database(database.kind, database.conn_id, database.table)
    for cursor in cursors:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER_CURSOR", f"{uri}?cursor={cursor}")
        replace(databases.Database(database.kind, "other_cursor", database.table), rows())
    assert plain.count() == 3


def test_what_never_can_be_written_is_not_worth_a_retry(server: databases.Database) -> None:
    if server.kind == "postgres":
        server.table = "no_such_schema.audience"
    else:
        server.table = "select"
    with pytest.raises(AngusTargetError, match=f"Table {server.table} of connection .* could not be written") as raised:
        replace(server, rows())
    assert raised.value.__cause__ is not None


def test_a_connection_that_the_hook_cannot_use_is_not_worth_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for database in databases.made("postgres", tmp_path, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", f"{databases.POSTGRES}?cursor=nonsense")
        wrong = databases.Database("postgres", "wrong", database.table)
        with pytest.raises(AngusTargetError, match="Connection 'wrong' cannot be used: .*nonsense"):
            replace(wrong, rows())


def test_a_table_that_another_task_holds_for_too_long_is_worth_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for database in databases.made("mysql", tmp_path, monkeypatch):
        impatient = tables.DATABASES["mysql"]._replace(lock="SELECT GET_LOCK({}, 0)")
        with Table(database.hook, database.table, COLUMNS, create=True) as holder:
            holder._ask(impatient.lock)  # noqa: SLF001 (as replace does)
            monkeypatch.setitem(tables.DATABASES, "mysql", impatient)
            with pytest.raises(AngusStorageError, match="is being written by another task"):
                replace(database, rows())
