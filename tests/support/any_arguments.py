"""Check what a class does with an argument of any type: it works, or fails at once with an error that explains it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow_provider_angus.exceptions import AngusError, is_retryable
from airflow_provider_angus.model.arguments import as_list

if TYPE_CHECKING:
    from collections.abc import Callable

# The ID of no connection, or of another one. These messages quote it.
_NAMED_VALUE = ("does not exist", "isn't defined", "an SQL database")

#: Stands for the result of an action that was refused.
REFUSED = object()


def result_or_refusal(action: Callable[[], object], name: str, value: object) -> Any:
    """Return the result of an action with an argument, or ``REFUSED``. Fail if it raises an error that is not ours.

    An error must fail the task at once, on one line, and name the argument, its type and its value. An error about
    a connection that does not exist names the connection.
    """
    # An iterable is described as a list, or by its first wrong value.
    values = None if isinstance(value, Iterator) else as_list(value)
    try:
        return action()
    except AngusError as error:
        refusal = error
    message = str(refusal)
    assert not is_retryable(refusal), message
    assert all(line.isprintable() for line in message.splitlines()), message
    if any(phrase in message for phrase in _NAMED_VALUE):
        names = values or ([] if isinstance(value, Iterator) else [value])
        assert all(repr(str(each)).strip("'\"")[:15] in message for each in names), message
    elif "from_date: expected a date before to_date" not in message:
        assert message.startswith(f"{name}: "), message
        types = {"None", "list", *(type(each).__name__ for each in [value, *(values or ())])}
        if isinstance(value, int | PurePath):
            # They become text before other modules check them.
            types.add("str")
        assert isinstance(value, Iterator) or any(f"got {kind}" in message for kind in types), message
    return REFUSED
