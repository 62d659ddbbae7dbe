"""``AngusBucketTrigger``: fires once for each hour or day of a stream that has become available (Airflow 3).

For event-driven DAGs, as the trigger of an ``AssetWatcher``. The mark up to where it has fired is kept in Airflow's
asset state store (3.3 and later), and moved a little after an event, when Airflow has surely kept the event. So across
a restart of the triggerer no bucket is left out; one comes twice only if the triggerer dies within those seconds.
Airflow 3.0 to 3.2 cannot keep a mark: after a restart the trigger begins at ``since`` again or, without it, leaves out
what became available meanwhile.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_angus.availability import settled_at, why_not_yet
from airflow_provider_angus.entities import bucket_at, check_metrics
from airflow_provider_angus.exceptions import AngusError, AngusIntervalError
from airflow_provider_angus.hooks import AngusHook
from airflow_provider_angus.triggers import sleep_until, wait_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_angus.interval import Interval

#: Seconds after an event until the mark moves past its bucket.
MARK_DELAY = 5.0

#: The longest wait between two looks while the API fails or refuses, in seconds.
LONGEST_BACKOFF = 900.0

_MARK = "angus_bucket_trigger_fired_up_to"


class AngusBucketTrigger(BaseEventTrigger):
    """Fire for each bucket of a stream, in order, once it is over, has settled and is there.

    The event's payload, which an asset event has as ``extra["payload"]``, is what an operator needs::

        {"stream": "<client_id>", "time": "by_hour",
         "from_date": "2026-11-20T14:00:00+00:00", "to_date": "2026-11-20T15:00:00+00:00"}

    Whatever the API does, the trigger neither ends nor spins: it logs what is wrong and waits longer and longer.

    :param angus_conn_id: an Airflow connection of type ``angus``.
    :param time: ``by_hour`` or ``by_day`` (UTC buckets).
    :param metrics: what has to be there; see :func:`~airflow_provider_angus.entities.check_metrics`.
    :param since: ISO 8601, an instant in the first bucket to fire for; None: the bucket of the moment it first starts.
        Where there is a mark, that counts.
    :param settle: seconds after a bucket's end in which its data may still change.
    :param poke_interval: seconds between two looks at a bucket that is not there yet.
    :raises AngusRequestError: ``time`` or ``metrics`` are not such.
    :raises AngusIntervalError: ``since`` is not a date with a UTC offset.
    """

    def __init__(
        self,
        angus_conn_id: str = AngusHook.default_conn_name,
        *,
        time: str = "by_hour",
        metrics: str | list[str] = "passing_by",
        since: str | None = None,
        settle: float = 120.0,
        poke_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.angus_conn_id = angus_conn_id
        self.time = time
        self.metrics = metrics
        self.since = since
        self.settle = settle
        self.poke_interval = poke_interval
        check_metrics(metrics)
        bucket_at(self._begin(None), time)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow keeps them in its database."""
        names = ("angus_conn_id", "time", "metrics", "since", "settle", "poke_interval")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each bucket that has become available, for ever."""
        bucket = bucket_at(self._begin(await self._mark()), self.time)
        await self._set_mark(bucket.start)
        while True:
            stream = await self._when_available(bucket)
            self.log.info("Bucket %s of stream %s is there.", bucket, stream)
            yield TriggerEvent(  # type: ignore[no-untyped-call]
                {
                    "stream": stream,
                    "time": self.time,
                    "from_date": bucket.start.isoformat(),
                    "to_date": bucket.end.isoformat(),
                }
            )
            bucket = bucket_at(bucket.end, self.time)
            await asyncio.sleep(MARK_DELAY)
            await self._set_mark(bucket.start)

    async def _when_available(self, bucket: Interval) -> str:
        """Return the stream, once the bucket is there."""
        wake = settled_at(bucket, timedelta(seconds=self.settle))
        failures = 0
        while True:
            await sleep_until(wake)
            try:
                # Read at each look: nobody restarts this trigger when a person has mended the connection.
                client = await AngusHook(self.angus_conn_id).get_async_conn()
                rows = await client.get_entities(self.metrics, bucket, self.time)
            except AngusError as error:
                failures += 1
                self.log.warning("Failure %s in a row while waiting for bucket %s: %s", failures, bucket, error)
            else:
                failures = 0
                reason = why_not_yet(rows, bucket, self.time, None)
                if not reason:
                    return client.stream.credentials.client_id
                self.log.info("Not yet: %s", reason)
            pause = wait_after(failures or 1, self.poke_interval, exponential_backoff=True, max_wait=LONGEST_BACKOFF)
            wake = datetime.now(UTC) + pause

    def _begin(self, mark: str | None) -> datetime:
        if mark or self.since:
            try:
                moment = datetime.fromisoformat(mark or self.since or "")
            except ValueError as error:
                raise AngusIntervalError(f"since={self.since!r} is not an ISO 8601 date.") from error
            if moment.tzinfo is None:
                raise AngusIntervalError(f"since={self.since!r} has no UTC offset.")
            return moment.astimezone(UTC)
        return datetime.now(UTC)

    async def _mark(self) -> str | None:
        store = getattr(self, "asset_state_store", None)
        return await store.aget(_MARK) if store else None

    async def _set_mark(self, moment: datetime) -> None:
        if store := getattr(self, "asset_state_store", None):
            await store.aset(_MARK, moment.isoformat())
