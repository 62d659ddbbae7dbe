"""Wait in the triggerer: ``AngusEntitiesTrigger`` for a sensor, ``AngusBucketTrigger`` for an asset watcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import KW_ONLY, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_angus._backoff import jitter, sleep_until, wait_after
from airflow_provider_angus._compat import event_trigger_class
from airflow_provider_angus.exceptions import AngusError, AngusIntervalError, is_retryable
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.model.availability import unavailable_reason
from airflow_provider_angus.model.buckets import Time, bucket_at
from airflow_provider_angus.model.entities import check_metrics
from airflow_provider_angus.model.intervals import Interval, run_interval

if TYPE_CHECKING:
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

    The trigger signals when the data seems available, when waiting cannot help (refused credentials,
    ``max_failures``), and when the sensor's deadline has passed. It never raises, because Airflow would replace its
    error with a generic error. The worker's check raises. Airflow stores the arguments as plain text, without secrets.

    :param angus_conn_id: the ID of an Airflow connection of type ``angus``.
    :param metrics: names of metrics, as a list or as one text separated by commas.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :param from_date: ISO 8601. The interval's start, inclusive; None: the start of the DAG run's data interval.
    :param to_date: ISO 8601. The interval's end, exclusive; None: the end of the DAG run's data interval.
    :param interval: Seconds. The length of DAG runs without a data interval, or None.
    :param window: Seconds. The part of the interval to request at a time; None: all of it.
    :param minimum: ``{column: number}``: totals over the interval that must be reached, or None.
    :param settle: Seconds after the interval's end in which its data may still change.
    :param poke_interval: Seconds between two checks.
    :param exponential_backoff: whether each wait is twice as long as the previous wait.
    :param max_wait: Seconds. The upper bound of a wait; None: no bound.
    :param max_failures: the number of consecutive API failures after which the trigger signals.
    :param failures: the number of consecutive API failures so far.
    :param first_check: ISO 8601. The earliest time of the first request; None: when the interval has settled.
    :param deadline: ISO 8601. The sensor's deadline; None: :data:`TIMEOUT_MARGIN` before the deferral's timeout.

    Example::

        query = {"angus_conn_id": "angus_default", "metrics": "passing_by", "time": "by_hour"}
        trigger = AngusEntitiesTrigger(**query, settle=120.0, poke_interval=60.0, max_failures=5)
    """

    angus_conn_id: str
    metrics: str | list[str]
    time: Time
    from_date: str | None = None
    to_date: str | None = None
    interval: float | None = None
    window: float | None = None
    minimum: dict[str, float] | None = None
    settle: float
    poke_interval: float
    exponential_backoff: bool = False
    max_wait: float | None = None
    max_failures: int
    failures: int = 0
    first_check: str | None = None
    deadline: str | None = None

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that Airflow stores."""
        return _serialize(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield ``{"version": 1, "failures": int, "deadline": ISO 8601 or None}`` once."""
        try:
            await self._wait()
        except AngusError as error:
            if is_retryable(error):
                self.log.warning("%s consecutive API failures; checking from the worker: %s", self.failures, error)
                # The worker repeats the last failure, so that its error has the right class.
                self.failures -= 1
            else:
                self.log.warning("Waiting cannot help; checking from the worker: %s", error)
        deadline = self._get_deadline()
        event = {"version": EVENT_VERSION, "failures": self.failures, "deadline": deadline and deadline.isoformat()}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> None:
        interval, deadline = self._get_interval(), self._get_deadline()
        wake = interval.end + timedelta(seconds=self.settle)
        if self.first_check:
            wake = max(wake, datetime.fromisoformat(self.first_check))
        if wake > datetime.now(UTC):
            wake += timedelta(seconds=jitter(self.poke_interval))
        client, checks = None, 0
        while await sleep_until(wake, deadline):
            # Read the connection once: 1,000 triggers that read it at each check overload Airflow's database.
            client = client or await AngusHook(self.angus_conn_id).get_async_conn()
            if not (reason := await self._check(client, interval)):
                self.log.info("Data of %s is available.", interval)
                return
            self.log.info("Data of %s is not available yet: %s", interval, reason)
            checks += 1
            wake = datetime.now(UTC) + wait_after(
                checks, self.poke_interval, exponential_backoff=self.exponential_backoff, max_wait=self.max_wait
            )
        self.log.info("The sensor's deadline has passed.")

    async def _check(self, client: AngusAsyncClient, interval: Interval) -> str | None:
        """Return why the data is not available, or None if it is."""
        try:
            window = None if self.window is None else timedelta(seconds=self.window)
            rows = await client.get_entities(self.metrics, interval, self.time, window)
        except AngusError as error:
            if not is_retryable(error):
                raise
            self.failures += 1
            if self.failures >= self.max_failures:
                raise
            return f"API failure {self.failures} of {self.max_failures} in a row: {error}"
        self.failures = 0
        return unavailable_reason(rows, interval, self.time, self.minimum)

    def _get_interval(self) -> Interval:
        # A trigger that starts its task has no dates from a worker. It has the task instance.
        task_instance: Any = self.task_instance
        context = task_instance.get_template_context() if self.from_date is None else {}
        interval = None if self.interval is None else timedelta(seconds=self.interval)
        return run_interval(context, from_date=self.from_date, to_date=self.to_date, interval=interval)

    def _get_deadline(self) -> datetime | None:
        if self.deadline:
            return datetime.fromisoformat(self.deadline)
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
    :param metrics: names of metrics that must be available, as a list or as one text separated by commas.
    :param since: ISO 8601 with a UTC offset. A time in the first bucket; None: the bucket in which the trigger first
        starts. A stored bucket takes precedence.
    :param settle: Seconds after a bucket's end in which its data may still change.
    :param poke_interval: Seconds between two checks of a bucket that is not available yet.
    :raises AngusRequestError: ``time`` or ``metrics`` is invalid.
    :raises AngusIntervalError: ``since`` is not an ISO 8601 date with a UTC offset.

    Example::

        from airflow.sdk import Asset, AssetWatcher

        trigger = AngusBucketTrigger("angus_default", time="by_day", since="2026-11-20T00:00:00+00:00")
        shop_days = Asset("shop_days", watchers=[AssetWatcher(name="available", trigger=trigger)])
    """

    #: Seconds from an event to the update of the stored bucket. Airflow must have stored the event by then.
    mark_delay: ClassVar[float] = 5.0

    angus_conn_id: str = AngusHook.default_conn_name
    _: KW_ONLY
    time: Literal["by_hour", "by_day"] = "by_hour"
    metrics: str | list[str] = "passing_by"
    since: str | None = None
    settle: float = 120.0
    poke_interval: float = 60.0

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_metrics(self.metrics)
        bucket_at(self._get_start(None), self.time)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that Airflow stores."""
        return _serialize(self)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each bucket that becomes available. Never ends."""
        bucket = bucket_at(self._get_start(await self._read_mark()), self.time)
        await self._write_mark(bucket.start)
        while True:
            stream = await self._wait(bucket)
            self.log.info("Bucket %s of stream %s is available.", bucket, stream)
            start, end = bucket.start.isoformat(), bucket.end.isoformat()
            event = {"stream": stream, "time": self.time, "from_date": start, "to_date": end}
            yield TriggerEvent(event)  # type: ignore[no-untyped-call]
            bucket = bucket_at(bucket.end, self.time)
            await asyncio.sleep(self.mark_delay)
            await self._write_mark(bucket.start)

    async def _wait(self, bucket: Interval) -> str:
        """Return the stream when the bucket is available."""
        wake = bucket.end + timedelta(seconds=self.settle)
        failures = 0
        while True:
            await sleep_until(wake)
            try:
                # Read the connection at each check: this trigger is not restarted when a user edits the connection.
                client = await AngusHook(self.angus_conn_id).get_async_conn()
                rows = await client.get_entities(self.metrics, bucket, self.time)
            except AngusError as error:
                failures += 1
                self.log.warning("Bucket %s: API failure %s in a row: %s", bucket, failures, error)
            else:
                failures = 0
                if not (reason := unavailable_reason(rows, bucket, self.time, None)):
                    return client.client_id
                self.log.info("Bucket %s is not available yet: %s", bucket, reason)
            pause = wait_after(failures or 1, self.poke_interval, exponential_backoff=True, max_wait=_MAX_BACKOFF)
            wake = datetime.now(UTC) + pause

    def _get_start(self, mark: str | None) -> datetime:
        if not (mark or self.since):
            return datetime.now(UTC)
        try:
            start = datetime.fromisoformat(mark or self.since or "")
        except ValueError as error:
            raise AngusIntervalError(f"since={self.since!r} is not an ISO 8601 date.") from error
        if start.tzinfo is None:
            raise AngusIntervalError(f"since={self.since!r} has no UTC offset.")
        return start.astimezone(UTC)

    # Airflow 3.3 sets asset_state_store on triggers of asset watchers.
    async def _read_mark(self) -> str | None:
        store = getattr(self, "asset_state_store", None)
        return await store.aget(_MARK_KEY) if store else None

    async def _write_mark(self, moment: datetime) -> None:
        if store := getattr(self, "asset_state_store", None):
            await store.aset(_MARK_KEY, moment.isoformat())


def _serialize(trigger: AngusEntitiesTrigger | AngusBucketTrigger) -> tuple[str, dict[str, Any]]:
    cls = type(trigger)
    return f"{cls.__module__}.{cls.__qualname__}", {each.name: getattr(trigger, each.name) for each in fields(trigger)}
