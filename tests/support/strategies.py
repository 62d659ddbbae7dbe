"""Hypothesis strategies for instants, intervals and the values of a response."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from airflow_provider_angus.model.intervals import Interval

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
