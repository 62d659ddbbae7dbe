"""Wait in the triggerer: ``AngusEntitiesTrigger`` for a sensor, ``AngusBucketTrigger`` for an asset watcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_angus._backoff import jitter, next_check, retry_time, sleep_until
from airflow_provider_angus._compat import event_trigger_class
from airflow_provider_angus._parameters import connection_id, normalize_list
from airflow_provider_angus._trigger_query import Query, read_query, serialize_fields
from airflow_provider_angus.exceptions import AngusError, AngusIntervalError, AngusRequestError, is_retryable
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.model.arguments import digits_as_text, read_count, read_seconds
from airflow_provider_angus.model.availability import settled_at, unavailable_reason
from airflow_provider_angus.model.buckets import Time, bucket_at
from airflow_provider_angus.model.entities import check_metrics
from airflow_provider_angus.model.intervals import DateLike, Interval, later, read_date
from airflow_provider_angus.model.json_arguments import to_json

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseEventTrigger

    from airflow_provider_angus.api.async_client import AngusAsyncClient
else:
    BaseEventTrigger = event_trigger_class()

#: The version of the event that :class:`AngusEntitiesTrigger` sends. The sensor ignores events of other versions.
EVENT_VERSION = 1

#: Seconds from the sensor's deadline to the timeout of its deferral, so that the trigger reports the deadline first.
TIMEOUT_MARGIN = 60.0

_MAX_BACKOFF = 900.0
_MARK_KEY = "angus_bucket_trigger_fired_up_to"


@dataclass(kw_only=True, eq=False, repr=False)
class AngusEntitiesTrigger(BaseTrigger):
    """Signal when a worker should check whether the data of an interval is available.

    The trigger signals when the data seems available, when waiting cannot help (refused credentials, an invalid
    argument, ``max_failures``), and at the sensor's deadline. It never raises, because Airflow would replace its error.
    The worker's check raises. Airflow stores the arguments as JSON in plain text, without secrets. Dates may be
    ISO 8601 text, datetimes or pendulum DateTimes; without an offset they are UTC.

    :param angus_conn_id: the ID of an Airflow connection of type ``angus``.
    :param metrics: names of metrics, as an iterable or as one text separated by commas.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :param from_date: the interval's start, inclusive; None: the start of the DAG run's data interval.
    :param to_date: the interval's end, exclusive; None: the end of the DAG run's data interval.
    :param interval: Seconds or a ``timedelta``. The length of DAG runs without a data interval, or None.
    :param window: Seconds or a ``timedelta``. The part of the interval to request at a time; None: all of it.
    :param minimum: ``{column: number}``: totals over the interval that must be reached, or None.
    :param settle: Seconds or a ``timedelta``: the time after the interval's end in which its data may still change.
    :param poke_interval: Seconds or a ``timedelta`` between two checks.
    :param exponential_backoff: whether each wait is twice as long as the previous wait.
    :param max_wait: Seconds or a ``timedelta``. The upper bound of a wait; None: no bound.
    :param max_failures: the number of consecutive API failures after which the trigger signals.
    :param failures: the number of consecutive API failures so far.
    :param first_check: the earliest time of the first request; None: when the interval has settled.
    :param retry_at: the time until which the API asked to wait, or None.
    :param deadline: the sensor's deadline; None: :data:`TIMEOUT_MARGIN` before the deferral's timeout.

    Example::

        query = {"angus_conn_id": "angus_default", "metrics": "passing_by", "time": "by_hour"}
        trigger = AngusEntitiesTrigger(**query, settle=timedelta(minutes=2), poke_interval=60.0, max_failures=5)
    """

    angus_conn_id: str | int
    metrics: str | Iterable[str]
    time: Time
    from_date: DateLike | None = None
    to_date: DateLike | None = None
    interval: float | timedelta | None = None
    window: float | timedelta | None = None
    minimum: Mapping[str, float] | None = None
    settle: float | timedelta
    poke_interval: float | timedelta
    exponential_backoff: bool = False
    max_wait: float | timedelta | None = None
    max_failures: int
    failures: int = 0
    first_check: DateLike | None = None
    retry_at: DateLike | None = None
    deadline: DateLike | None = None

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._retry_at: datetime | None = None
        self._render_error: Exception | None = None
        # Invalid arguments are kept: an error here would end the triggerer's loop that creates triggers.
        for each in fields(self):
            setattr(self, each.name, to_json(getattr(self, each.name)))
        self.angus_conn_id = to_json(digits_as_text(self.angus_conn_id))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that Airflow stores."""
        return serialize_fields(self)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render templates in the triggerer (Airflow 3.3). After an error, the trigger signals at once.

        :param context: the context of the task that this trigger starts.
        :param jinja_env: Airflow's Jinja environment.
        """
        try:
            super().render_template_fields(context, jinja_env)
        except Exception as error:  # noqa: BLE001 (a template raises any error; the worker's rendering decides)
            self._render_error = error

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event once: ``version`` 1, ``failures``, ``deadline`` and ``retry_at`` (ISO 8601 or None)."""
        deadline = None
        try:
            deadline = self._get_deadline()
            self.failures = read_count("failures", self.failures, least=0)
            self._retry_at = None if self.retry_at is None else read_date("retry_at", self.retry_at)
            await self._wait(deadline)
        except AngusError as error:
            if is_retryable(error):
                self.log.warning("%s consecutive API failures; checking from the worker: %s", self.failures, error)
                # The worker repeats the last failure, so that its error has the right class.
                self.failures -= 1
                await sleep_until(self._retry_at or datetime.now(UTC), deadline)
            else:
                self.log.warning("Waiting cannot help; checking from the worker: %s", error)
        except Exception:
            self.log.exception("Unexpected error; checking from the worker.")
        failures = self.failures if isinstance(self.failures, int) and self.failures in range(10**6) else 0
        event = {"version": EVENT_VERSION, "failures": failures, "deadline": deadline and deadline.isoformat()}
        if self._retry_at and self._retry_at > datetime.now(UTC):
            event["retry_at"] = self._retry_at.isoformat()
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self, deadline: datetime | None) -> None:
        query = self._read_query()
        wake = max(query.earliest, self._retry_at or query.earliest)
        wake = later(wake, jitter(query.poke_interval)) if wake > datetime.now(UTC) else wake
        client, checks = None, 0
        backoff: dict[str, Any] = {"exponential_backoff": query.exponential_backoff, "max_wait": query.max_wait}
        while await sleep_until(wake, deadline):
            # Read the connection once: 1,000 triggers that read it at each check overload Airflow's database.
            client = client or await AngusHook(query.angus_conn_id).get_async_conn()
            if not (reason := await self._check(client, query)):
                self.log.info("Data of %s is available.", query.interval)
                return
            self.log.info("Data of %s is not available yet: %s", query.interval, reason)
            checks += 1
            wake = next_check(checks, query.poke_interval, **backoff, retry_at=self._retry_at)
        self.log.info("The sensor's deadline has passed.")

    async def _check(self, client: AngusAsyncClient, query: Query) -> str | None:
        """Return why the data is not available, or None if it is."""
        self._retry_at = None
        try:
            rows = await client.get_entities(query.metrics, query.interval, query.time, query.window)
        except AngusError as error:
            if not is_retryable(error):
                raise
            self._retry_at = retry_time(error)
            self.failures += 1
            if self.failures >= query.max_failures:
                raise
            return f"API failure {self.failures} of {query.max_failures} in a row: {error}"
        self.failures = 0
        return unavailable_reason(rows, query.interval, query.time, query.minimum)

    def _read_query(self) -> Query:
        if self._render_error:
            raise AngusRequestError("The triggerer cannot render the templates.") from self._render_error
        # A trigger that starts its task has no dates from a worker. It has the task instance.
        task_instance: Any = self.task_instance
        context = task_instance.get_template_context() if self.from_date is None else {}
        return read_query(self.serialize()[1], context)

    def _get_deadline(self) -> datetime | None:
        if self.deadline is not None:
            return read_date("deadline", self.deadline)
        # Set by the triggerer; None if the deferral has no timeout.
        timeout_after: datetime | None = getattr(self, "timeout_after", None)
        return timeout_after and timeout_after - timedelta(seconds=TIMEOUT_MARGIN)


@dataclass(eq=False, repr=False)
class AngusBucketTrigger(BaseEventTrigger):
    """Fire once for each hour or day of a stream, in order, when its data is available (Airflow 3).

    Use it as the trigger of an ``AssetWatcher``. The asset event's ``extra["payload"]`` has an operator's parameters::

        {"stream": "<client_id>", "time": "by_hour",
         "from_date": "2026-11-20T14:00:00+00:00", "to_date": "2026-11-20T15:00:00+00:00"}

    The trigger never ends. If the API fails or refuses a request, it logs the error and backs off up to 15 minutes.
    On Airflow 3.3 it stores the next bucket in the asset's state, ``mark_delay`` after each event. A restart then skips
    no bucket, and repeats one only if the triggerer was killed within ``mark_delay``. On Airflow 3.0 to 3.2 it starts
    again at ``since`` or, without ``since``, at the current bucket.

    :param angus_conn_id: the ID of an Airflow connection of type ``angus``.
    :param time: ``by_hour`` or ``by_day`` (UTC buckets).
    :param metrics: names of metrics that must be available, as an iterable or as one text separated by commas.
    :param since: a time in the first bucket: ISO 8601 text, datetime, pendulum DateTime or date; without an offset it
        is UTC. None: the bucket in which the trigger first starts. A stored bucket takes precedence.
    :param settle: Seconds or a ``timedelta``: the time after a bucket's end in which its data may still change.
    :param poke_interval: Seconds or a ``timedelta`` between two checks of a bucket that is not available yet.
    :raises AngusRequestError: ``angus_conn_id``, ``time``, ``metrics``, ``settle`` or ``poke_interval`` is invalid.
    :raises AngusIntervalError: ``since`` is not a date.

    Example::

        from airflow.sdk import Asset, AssetWatcher

        trigger = AngusBucketTrigger("angus_default", time="by_day", since="2026-11-20T00:00:00+00:00")
        shop_days = Asset("shop_days", watchers=[AssetWatcher(name="available", trigger=trigger)])
    """

    #: Seconds from an event to the update of the stored bucket. Airflow must have stored the event by then.
    mark_delay: ClassVar[float] = 5.0

    angus_conn_id: str | int = AngusHook.default_conn_name
    _: KW_ONLY
    time: Literal["by_hour", "by_day"] = "by_hour"
    metrics: str | Iterable[str] = "passing_by"
    since: DateLike | None = None
    settle: float | timedelta = 120.0
    poke_interval: float | timedelta = 60.0

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Plain JSON, from which Airflow 3 computes the trigger's identity at each parse.
        self.angus_conn_id = connection_id("angus_conn_id", self.angus_conn_id)
        self.metrics = normalize_list(self.metrics)
        check_metrics(self.metrics)
        self.since = None if self.since is None else read_date("since", self.since).isoformat()
        self.settle = read_seconds("settle", self.settle)
        self.poke_interval = read_seconds("poke_interval", self.poke_interval)
        bucket_at(self._get_start(None), self.time)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that Airflow stores."""
        return serialize_fields(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each bucket that becomes available. Never ends."""
        bucket = bucket_at(self._get_start(await self._read_mark()), self.time)
        await self._write_mark(bucket.start)
        while True:
            stream = await self._wait(bucket)
            self.log.info("Bucket %s of stream %s is available.", bucket, stream)
            dates = {"from_date": bucket.start.isoformat(), "to_date": bucket.end.isoformat()}
            yield TriggerEvent({"stream": stream, "time": self.time} | dates)  # type: ignore[no-untyped-call]
            bucket = bucket_at(bucket.end, self.time)
            await asyncio.sleep(self.mark_delay)
            await self._write_mark(bucket.start)

    async def _wait(self, bucket: Interval) -> str:
        """Return the stream when the bucket is available."""
        wake = settled_at(bucket, self.settle)
        poke_interval, failures = read_seconds("poke_interval", self.poke_interval), 0
        while True:
            await sleep_until(wake)
            retry_at = None
            try:
                # Read the connection at each check: this trigger is not restarted when a user edits the connection.
                client = await AngusHook(str(self.angus_conn_id)).get_async_conn()
                rows = await client.get_entities(self.metrics, bucket, self.time)
            except AngusError as error:
                failures, retry_at = failures + 1, retry_time(error)
                self.log.warning("Bucket %s: API failure %s in a row: %s", bucket, failures, error)
            else:
                failures = 0
                if not (reason := unavailable_reason(rows, bucket, self.time)):
                    return client.client_id
                self.log.info("Bucket %s is not available yet: %s", bucket, reason)
            wake = next_check(failures or 1, poke_interval, max_wait=_MAX_BACKOFF, retry_at=retry_at)

    def _get_start(self, mark: str | None) -> datetime:
        if mark is not None:
            try:
                return read_date("stored bucket", mark)
            except AngusIntervalError as error:
                self.log.warning("%s Starting at since=%s.", error, self.since)
        return datetime.now(UTC) if self.since is None else read_date("since", self.since)

    # Airflow 3.3 sets asset_state_store on triggers of asset watchers.
    async def _read_mark(self) -> str | None:
        store = getattr(self, "asset_state_store", None)
        return await store.aget(_MARK_KEY) if store else None

    async def _write_mark(self, moment: datetime) -> None:
        if store := getattr(self, "asset_state_store", None):
            await store.aset(_MARK_KEY, moment.isoformat())
