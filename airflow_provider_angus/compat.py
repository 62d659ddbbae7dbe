"""What differs between the Airflows that the provider works on: the only place that asks for a version."""

from __future__ import annotations

from airflow import __version__ as _version

#: Whether the trigger that a task starts from knows the task's run: 3.3 and later.
STARTS_FROM_TRIGGER = tuple(map(int, _version.split(".")[:2])) >= (3, 3)
