"""Buffer the rows of a stream until it is complete: in memory, beyond a limit in a temporary file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import IO, Self

from airflow_provider_angus.exceptions import AngusStorageError
from airflow_provider_angus.model.entities import Row


class RowBuffer:
    """Rows in insertion order. They can be read repeatedly, until the end of the ``with`` statement drops them.

    :param max_in_memory: rows in memory. Must not be negative. Further rows go to a file. None: no limit.
    """

    def __init__(self, max_in_memory: int | None) -> None:
        self._max_in_memory = max_in_memory
        self._rows: list[Row] = []
        self._rows_in_file = 0
        self._file: IO[str] | None = None

    def append(self, row: Row) -> None:
        """Add a row.

        :raises AngusStorageError: the temporary file cannot be written.
        """
        self._rows.append(row)
        if self._max_in_memory is None or len(self._rows) <= self._max_in_memory:
            return
        try:
            if self._file is None:
                # The file has no name, so it disappears with the process. Writing a line flushes it.
                self._file = tempfile.TemporaryFile("w+", buffering=1, encoding="utf-8")  # noqa: SIM115 (see __exit__)
            self._file.write(json.dumps(self._rows) + "\n")
        except OSError as error:
            raise AngusStorageError(f"Temporary file for rows could not be written: {error}.") from error
        self._rows_in_file += len(self._rows)
        self._rows.clear()

    def __len__(self) -> int:
        return self._rows_in_file + len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        if self._file is not None:
            self._file.seek(0)
            for line in self._file:
                yield from json.loads(line)
        yield from self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.clear()
        if self._file is not None:
            self._file.close()
