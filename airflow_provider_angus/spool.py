"""Where rows wait until all of their interval are there: in memory, beyond a limit in a temporary file. Pure."""

from __future__ import annotations

import json
import tempfile
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_angus.entities import Row


class Spool:
    """Rows in the order they came; leave with a ``with`` statement, which closes the file.

    :param in_memory: how many of them are kept in memory before they go to a file; None: all.
    """

    def __init__(self, in_memory: int | None) -> None:
        self._limit = in_memory
        self._rows: list[Row] = []
        self._written = 0
        self._file: IO[str] | None = None

    def append(self, row: Row) -> None:
        """Add a row.

        :raises OSError: the temporary file cannot be written.
        """
        self._rows.append(row)
        if self._limit is not None and len(self._rows) > self._limit:
            if self._file is None:
                # Without a name, so that it is gone when the process is, however that ends.
                self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed by __exit__)
            self._file.write(json.dumps(self._rows) + "\n")
            self._written += len(self._rows)
            self._rows.clear()

    def flush(self) -> None:
        """Write what is still on its way to the file.

        :raises OSError: the temporary file cannot be written.
        """
        if self._file is not None:
            self._file.flush()

    def __len__(self) -> int:
        return self._written + len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        if self._file is not None:
            self._file.seek(0)
            for line in self._file:
                yield from json.loads(line)
        yield from self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Forget the rows and the file."""
        self._rows.clear()
        if self._file is not None:
            self._file.close()
