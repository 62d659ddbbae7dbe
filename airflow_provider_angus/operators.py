"""``AngusEntitiesOperator``: the entities of a DAG run's data interval."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_angus._compat import is_asset
from airflow_provider_angus._parameters import EntitiesParametersMixin, connection_ids, normalize_list
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.links import AngusConsoleLink
from airflow_provider_angus.model.arguments import check_choice
from airflow_provider_angus.model.availability import OnIncomplete
from airflow_provider_angus.model.buckets import Time, describe_buckets, partial_buckets
from airflow_provider_angus.model.intervals import DateLike, Interval
from airflow_provider_angus.retry_policy import with_retry_policy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_angus.loading.manifests import EventExtra
    from airflow_provider_angus.loading.multi_stream import MultiStreamFetch

OnStreamError = Literal["fail", "skip"]


class AngusEntitiesOperator(EntitiesParametersMixin, BaseOperator):
    """Fetch the entities of the DAG run's data interval and return them as rows.

    Some runs have no data interval: ``schedule="@daily"`` on Airflow 3, manual runs, asset-triggered runs. For them,
    pass ``interval``, or ``from_date`` and ``to_date``; otherwise the task fails with ``AngusIntervalError``. XCom
    suits small results. To keep rows, use a transfer operator.

    The event of each asset in ``outlets`` gets the extra ``stream``, ``from_date``, ``to_date`` and ``rows``.

    Each parameter accepts the types below, also as the result of a template or of another task. Any other value is an
    ``AngusRequestError`` or ``AngusIntervalError``, when the DAG is parsed or, for templates, before any request.

    :param metrics: any iterable of names, or one text of names separated by commas (templated): ``passing_by``,
        ``interested``, ``stop_time``, ``attention_time``, ``gender``, ``category``, ``satisfaction``.
    :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval) (templated).
    :param angus_conn_id: an Airflow connection of type ``angus``; one connection is one stream. Or any iterable of
        them, fetched 16 at a time; of more than 100, map lists of 50 to 100. An ``int`` is its digits (templated).
    :param on_stream_error: ``fail``: if a stream of a list fails, return the rows of the others to XCom and fail with
        an error that names each failed stream. ``skip``: log the failure. If all streams fail, the task fails.
    :param from_date: start, inclusive, instead of the run's data interval: ISO 8601 text, date, datetime or pendulum
        DateTime; without an offset it is UTC. An ``int`` of eight digits is the text ``20261120`` (templated).
    :param to_date: end, exclusive, at most 9999-12-31: the same types as ``from_date`` (templated).
    :param interval: the length of a run without a data interval, ending at the run's scheduled time. Must be positive.
        A ``timedelta``, or a ``pendulum.duration(days=1)`` for calendar days in the time zone of the schedule.
    :param window: the length of one request's range, rounded down to whole buckets. Must be positive. None: the whole
        interval. Ignored for ``global``.
    :param settle: the time after the interval's end in which its data may still change. Must not be negative. The
        vendor says about a minute.
    :param on_incomplete: ``fail``: an interval that has not ended and settled, or lacks buckets, is an
        ``AngusIncompleteError``, which Airflow retries. In a list, only the streams that lack buckets fail. ``warn``:
        log it and go on, for ranges that reach up to now or back before a camera existed.
    :returns: a list of flat dicts, one per bucket, stream by stream: ``stream``, ``bucket_start``, ``bucket_end``
        (ISO 8601, UTC), then one column per number.
    :raises AngusError: any error of the tree in :mod:`airflow_provider_angus.exceptions`.

    Example::

        fetch = AngusEntitiesOperator(task_id="fetch", metrics="passing_by,interested", time="by_hour")
    """

    operator_extra_links = (AngusConsoleLink(),)

    def __init__(
        self,
        *,
        metrics: str | Iterable[str],
        time: Time = "global",
        angus_conn_id: str | int | Iterable[str | int] = AngusHook.default_conn_name,
        on_stream_error: OnStreamError = "fail",
        from_date: DateLike | None = None,
        to_date: DateLike | None = None,
        interval: timedelta | None = None,
        window: timedelta | None = None,
        settle: timedelta = timedelta(minutes=2),
        on_incomplete: OnIncomplete = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**with_retry_policy(kwargs))
        self.metrics = normalize_list(metrics)
        self.time = time
        self.angus_conn_id = normalize_list(angus_conn_id)
        self.on_stream_error = on_stream_error
        self.from_date = from_date
        self.to_date = to_date
        self.interval = interval
        self.window = window
        self.settle = settle
        self.on_incomplete = on_incomplete
        self.check_parameters()
        check_choice("on_stream_error", on_stream_error, get_args(OnStreamError))
        check_choice("on_incomplete", on_incomplete, get_args(OnIncomplete))

    def execute(self, context: Context) -> Any:
        """Return the rows of the run's interval, all or none."""
        interval = self.get_interval(context)
        fetch = self._create_fetch(interval)
        if partial := partial_buckets(fetch.interval, self.time):
            exact = [repr(time) for time in get_args(Time) if not partial_buckets(fetch.interval, time)]
            self.log.warning(
                "The interval cuts %s, so their rows are partial. time=%s is exact.",
                describe_buckets(partial, len(partial)),
                " or ".join(exact),
            )
        result, extra = self._load(fetch)
        if fetch.failures and self.on_stream_error == "fail":
            # Airflow stores no return value of a task that fails, but the rows of the other streams are valid.
            if self.do_xcom_push:
                context["ti"].xcom_push(key="return_value", value=result)
            raise fetch.error()
        self._attach_asset_extra(context, extra)
        return result

    def _attach_asset_extra(self, context: Context, extra: EventExtra) -> None:
        for outlet in filter(is_asset, self.outlets):
            context["outlet_events"][outlet].extra = cast("dict[str, Any]", extra)

    def _create_fetch(self, interval: Interval, **arguments: Any) -> MultiStreamFetch:
        from airflow_provider_angus.loading.multi_stream import MultiStreamFetch

        return MultiStreamFetch(
            connection_ids("angus_conn_id", self.angus_conn_id),
            metrics=self.metrics,
            interval=interval,
            time=self.time,
            window=self.window,
            settle=self.settle,
            on_incomplete=self.on_incomplete,
            **arguments or {"max_in_memory": None},
        )

    def _load(self, fetch: MultiStreamFetch) -> tuple[Any, EventExtra]:
        """Load the rows; return the task's result and the extra of asset events."""
        rows = [row for stream_rows in fetch for row in stream_rows.rows]
        return rows, self._event_extra(fetch)

    def _event_extra(self, fetch: MultiStreamFetch) -> EventExtra:
        streams = list(fetch.row_counts)
        return {
            "stream": streams if isinstance(self.angus_conn_id, list) else streams[0],
            "from_date": fetch.interval.start.isoformat(),
            "to_date": fetch.interval.end.isoformat(),
            "rows": sum(fetch.row_counts.values()),
        }
