"""Targets of transfers, for tests that interrupt transfers: the rows of ten days of two streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_angus.audits import AngusSqlAuditOperator
from airflow_provider_angus.transfers import AngusToObjectStorageOperator, AngusToSqlOperator

if TYPE_CHECKING:
    from pathlib import Path

    import databases

#: The number of rows of each stream.
HOURS = 240

_FIRST, _LAST = "2026-11-10T00:00:00+00:00", "2026-11-19T23:00:00+00:00"


class Target(Protocol):
    """A file or table. ``path`` is its name in the table of outcomes."""

    path: str
    operator: type

    def arguments(self) -> dict[str, Any]:
        """Return the operator's arguments that name the target."""

    def remember_new(self) -> None:
        """Remember the loaded rows as the new rows."""

    def make_old(self, number: int) -> None:
        """Replace the rows of the interval by old rows with this number."""

    def parts(self, number: int) -> list[str]:
        """Return ``old``, ``new`` or a description for each part of the target that a transfer replaces atomically."""

    def others(self) -> object:
        """Return all data that does not belong to the interval."""

    def temporary_files(self) -> list[Path]:
        """Return the temporary files of killed runs."""


class FileTarget:
    """A file with the rows of both streams, beside another file."""

    path = "to file"
    operator = AngusToObjectStorageOperator

    def __init__(self, folder: Path) -> None:
        self._file, self._other = folder / "audience.jsonl", folder / "audience.jsonl.gz"
        self._other.write_text("another interval")
        self._new = b""

    def arguments(self) -> dict[str, Any]:
        return {"path": f"file://{self._file}"}

    def remember_new(self) -> None:
        self._new = self._file.read_bytes()
        assert self._new.count(b"\n") == 2 * HOURS

    def make_old(self, number: int) -> None:
        self._file.write_bytes(self._old(number))

    def parts(self, number: int) -> list[str]:
        content = self._file.read_bytes()
        return [{self._new: "new", self._old(number): "old"}.get(content, f"{len(content)} bytes")]

    def others(self) -> object:
        return self._other.read_text()

    def temporary_files(self) -> list[Path]:
        return [path for path in self._file.parent.iterdir() if path not in {self._file, self._other}]

    def _old(self, number: int) -> bytes:
        return f"old {number}\n".encode() * HOURS


class TableTarget:
    """A table with the rows of both streams and other rows. A transfer replaces each stream atomically."""

    operator: type = AngusToSqlOperator

    def __init__(self, database: databases.Database, streams: list[str], **arguments: Any) -> None:
        self.path = "to PostgreSQL" if database.kind == "postgres" else "to SQLite"
        self.path += ", lookback" if "lookback" in arguments else ""
        self._database, self._streams, self._arguments = database, streams, {"create_table": True} | arguments
        self._new: list[Any] = []
        names = ", ".join(f"'{stream}'" for stream in streams)
        self._condition = f"stream IN ({names}) AND bucket_start >= '{_FIRST}' AND bucket_start <= '{_LAST}'"

    def arguments(self) -> dict[str, Any]:
        table = {"sql_conn_id": self._database.conn_id, "table": self._database.table}
        return table | self._arguments

    def audit(self) -> None:
        """Let an audit repair the table instead of a transfer."""
        self.path, self.operator = f"{self.path}, repair", AngusSqlAuditOperator
        self._arguments = {"repair": True}

    def remember_new(self) -> None:
        self._new = self._rows(self._condition)
        assert len(self._new) == 2 * HOURS

    def make_old(self, number: int) -> None:
        """Set all counts to the negative number, and delete the last hour."""
        table = self._database.table
        self._database.run(f"UPDATE {table} SET passing_by = -{number} WHERE {self._condition}")  # noqa: S608 (the test's names)
        self._database.run(f"DELETE FROM {table} WHERE {self._condition} AND bucket_start = '{_LAST}'")  # noqa: S608 (the test's names)

    def parts(self, number: int) -> list[str]:
        rows = self._rows(self._condition)
        return [self._part([row for row in rows if row[0] == stream], stream, number) for stream in self._streams]

    def others(self) -> object:
        return self._rows(f"NOT ({self._condition})")

    def temporary_files(self) -> list[Path]:
        return []

    def _part(self, rows: list[Any], stream: str, number: int) -> str:
        new = [row for row in self._new if row[0] == stream]
        if rows == new:
            return "new"
        old = [(*row[:2], -number) for row in new[:-1]]
        return "old" if list(map(tuple, rows)) == old else f"{len(rows)} rows"

    def _rows(self, condition: str) -> list[Any]:
        return self._database.run(
            f"SELECT stream, bucket_start, passing_by FROM {self._database.table} "  # noqa: S608 (the test's names)
            f"WHERE {condition} ORDER BY stream, bucket_start"
        )
