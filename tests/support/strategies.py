"""Hypothesis strategies for instants, intervals, the values of a response, and arguments of any type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pendulum
from hypothesis import strategies as st

from airflow_provider_angus.model.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

instants = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
bucket_times = st.sampled_from(["by_hour", "by_day"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def intervals(max_length: timedelta) -> st.SearchStrategy[Interval]:
    """Return intervals of at least a microsecond."""
    lengths = st.timedeltas(timedelta(microseconds=1), max_length)
    return st.builds(lambda start, length: Interval(start, start + length), instants, lengths)


class Unprintable:
    """An object whose texts cannot be computed."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def endless() -> Iterator[str]:
    """Yield connection IDs without end."""
    while True:
        yield "angus_default"


def failing() -> Iterator[str]:
    """Yield one metric, then fail, like a lazy filter of a template."""
    yield "passing_by"
    raise ZeroDivisionError


def _recursive() -> list[Any]:
    values: list[Any] = ["passing_by"]
    values.append(values)
    return values


_names = st.text() | st.sampled_from(["passing_by", "by_hour", "csv", "2026-11-20", "{{ ds }}", "{#"])
_atoms = st.one_of(_names, st.integers(), st.none(), st.booleans(), st.binary(max_size=3))
_offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
_edges = [datetime.min, datetime.max, datetime.max.replace(tzinfo=timezone(timedelta(hours=-23)))]  # noqa: DTZ901

#: Datetimes of the years 1 to 9999, with any offset or none.
moments = st.datetimes(timezones=st.none() | st.just(UTC) | _offsets) | st.sampled_from(_edges)

_durations = st.sampled_from(
    [timedelta(0), timedelta.min, timedelta.max, pendulum.duration(years=9999), pendulum.duration(months=1, days=-30)]
)

#: Lengths of time, of which only the positive ones are valid.
durations: st.SearchStrategy[timedelta] = st.one_of(
    st.timedeltas(), _durations, st.builds(pendulum.duration, years=st.integers(0, 9999), days=st.integers(-9, 9))
)

#: Values that a template, an XCom or a DAG's author can pass as any argument. Most are not valid.
arguments: st.SearchStrategy[Any] = st.one_of(
    json_values,
    # Not in longer collections: the rows of a list's existing connections are fetched although other IDs are wrong.
    st.sampled_from(["angus_default", ["angus_default"], {"angus_default"}]),
    _names,
    st.dates() | moments | moments.map(pendulum.instance),
    durations,
    st.sets(_atoms) | st.frozensets(_atoms) | st.lists(_atoms).map(tuple),
    st.lists(_names).map(iter) | st.builds(dict.fromkeys, st.lists(_names)).map(dict.keys),
    st.binary() | st.binary().map(bytearray),
    st.text(st.characters(categories=["L", "Nd"]), min_size=1).flatmap(
        lambda name: st.sampled_from([Path(name), PurePosixPath(f"{name}.csv")])
    ),
    st.integers(19000101, 20991231) | st.sampled_from([10**5000, -(10**5000), 10**30, 99999999]),
    st.text(st.characters(categories=["Cs", "Cc", "L"]), min_size=1),
    st.sampled_from([Unprintable, endless, failing, _recursive]).map(lambda make: make()),
    st.sampled_from([int, Path, print, range(10**9), Decimal("NaN"), float("nan"), 1j, ..., memoryview(b"a")]),
)
