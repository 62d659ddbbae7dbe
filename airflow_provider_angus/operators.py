"""``AngusEntitiesOperator``: a DAG run's own rows, those and no others; transfers.py puts the same rows elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_angus.availability import describe
from airflow_provider_angus.entities import partial_buckets
from airflow_provider_angus.exceptions import AngusRequestError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.links import AngusConsoleLink
from airflow_provider_angus.question import EntitiesQuestion, is_template

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_angus.fetching import Streams
    from airflow_provider_angus.interval import DateLike, Interval


class AngusEntitiesOperator(EntitiesQuestion, BaseOperator):
    """Fetch the entities of the DAG run's data interval and return them as rows.

    A run that has no interval of its own (``schedule="@daily"`` on Airflow 3, a manual or asset-triggered run) needs
    ``interval``, or ``from_date`` and ``to_date``; otherwise it fails with ``AngusIntervalError``. The rules are in
    :mod:`airflow_provider_angus.interval`. The event of each asset among the ``outlets`` gets an extra that names
    ``stream``, ``from_date``, ``to_date`` and ``rows``.

    :param metrics: names of metrics, or one text with commas between them (templated): ``passing_by``,
        ``interested``, ``stop_time``, ``attention_time``, ``gender``, ``category``, ``satisfaction``.
    :param time: ``by_hour``, ``by_day`` (UTC buckets) or ``global`` (one bucket, the interval) (templated).
    :param angus_conn_id: an Airflow connection of type ``angus``; one connection is one stream. Or a list of them:
        their streams are fetched side by side, 16 at a time (templated).
    :param on_stream_error: what becomes of the task when some of a list's streams fail. The others' rows are returned
        in any case; then ``fail`` fails it with an error that names each stream that failed and why, ``skip`` only
        logs them. When all of them fail, it fails.
    :param from_date: the first instant, instead of the run's own interval: ISO 8601 text, datetime or pendulum
        DateTime; without an offset it is UTC (templated).
    :param to_date: the first instant that does not belong to it any more, in the same forms (templated).
    :param interval: the time that a run covers which has no interval of its own, ending where the run's schedule
        says: a ``timedelta``, or a ``pendulum.duration(days=1)`` for calendar days in the time zone of the schedule.
    :param window: how much of the run's interval is asked for at a time, in whole buckets: a ``timedelta``. None: all
        of it, and less where the API says that this is too long. Of no effect for ``global``.
    :returns: a list of flat dicts, one for each bucket, stream by stream; see
        :func:`airflow_provider_angus.entities.read_row`.
    :raises AngusError: see the tree in :mod:`airflow_provider_angus.exceptions`.
    """

    operator_extra_links = (AngusConsoleLink(),)

    def __init__(
        self,
        *,
        metrics: str | list[str],
        time: str = "global",
        angus_conn_id: str | list[str] = AngusHook.default_conn_name,
        on_stream_error: str = "fail",
        from_date: DateLike | None = None,
        to_date: DateLike | None = None,
        interval: timedelta | None = None,
        window: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.metrics = metrics
        self.time = time
        self.angus_conn_id = angus_conn_id
        self.on_stream_error = on_stream_error
        self.from_date = from_date
        self.to_date = to_date
        self.interval = interval
        self.window = window
        self.check_question()
        if on_stream_error not in {"fail", "skip"}:
            raise AngusRequestError(f"on_stream_error must be 'fail' or 'skip', got {on_stream_error!r}.")
        if not is_template(angus_conn_id):
            self._conn_ids()

    def execute(self, context: Context) -> Any:
        """Return the rows of this run's interval, whole or not at all."""
        interval = self.interval_of(context)
        if cut := partial_buckets(interval, self.time):
            self.log.warning("The interval cuts %s partial; time='by_hour' or 'global' would be exact.", describe(cut))
        streams = self._streams(interval)
        result, said = self._land(streams)
        if streams.failures and self.on_stream_error == "fail":
            # A task that fails returns nothing by itself, but the others' rows are good.
            if self.do_xcom_push:
                context["ti"].xcom_push(key="return_value", value=result)
            raise streams.error()
        self._tell_assets(context, said)
        return result

    def _streams(self, interval: Interval) -> Streams:
        from airflow_provider_angus.fetching import Streams

        return Streams(
            self._conn_ids(),
            metrics=self.metrics,
            interval=interval,
            time=self.time,
            window=self.window,
            in_memory=None,
        )

    def _land(self, streams: Streams) -> tuple[Any, dict[str, Any]]:
        """Put the rows where they are wanted; return what the task returns and what the events of assets say."""
        rows = [row for each in streams for row in each.rows]
        return rows, self._summary(streams)

    def _summary(self, streams: Streams) -> dict[str, Any]:
        landed = list(streams.landed)
        return {
            "stream": landed[0] if isinstance(self.angus_conn_id, str) else landed,
            "from_date": streams.interval.start.isoformat(),
            "to_date": streams.interval.end.isoformat(),
            "rows": sum(streams.landed.values()),
        }

    def _tell_assets(self, context: Context, said: dict[str, Any]) -> None:
        from airflow_provider_angus.compat import is_asset

        for outlet in self.outlets:
            if is_asset(outlet):
                context["outlet_events"][outlet].extra = said

    def _conn_ids(self) -> list[str]:
        conn_ids = [self.angus_conn_id] if isinstance(self.angus_conn_id, str) else list(self.angus_conn_id)
        if not conn_ids or not all(isinstance(conn_id, str) and conn_id for conn_id in conn_ids):
            raise AngusRequestError(
                f"angus_conn_id must be the ID of a connection or a list of such, got {self.angus_conn_id!r}."
            )
        return conn_ids
