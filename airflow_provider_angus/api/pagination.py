"""Read all pages of a query and check that the result is complete. Pure: no HTTP library.

Pages are requested by number. ``next_page`` is never followed, so no response can send the token to another host. Rows
and pages must match the totals of the first page: a short result that looks complete is a loader's worst bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from airflow_provider_angus.api.auth import Authenticator
from airflow_provider_angus.api.messages import Flow, Request, Response
from airflow_provider_angus.api.responses import error_message, parse_json_object, unexpected_response
from airflow_provider_angus.exceptions import AngusRequestError, AngusResponseError
from airflow_provider_angus.model.buckets import check_time, count_buckets, read_bucket_key
from airflow_provider_angus.model.entities import Row, check_metrics, read_row
from airflow_provider_angus.model.intervals import Interval
from airflow_provider_angus.model.text import describe_value
from airflow_provider_angus.model.windows import check_window, split_windows

ENTITIES_PATH = "/api/1/entities"

#: Refusals and time-outs of a range of more buckets mention ``window=``.
LONG_RANGE = 100

_MAX_COUNT = 10**12


class EntityPages:
    """The pages of one query, each checked against the pages before it.

    A driver requests pages with :meth:`next_page`, several ahead if it likes, and passes the bodies to :meth:`accept`
    in the order of the requests until :attr:`finished`. So concurrent fetching finds the errors of sequential fetching.

    :param authenticator: of the stream.
    :param data_url: ``https://host[:port][/path]``, without a slash at the end.
    :param metrics: names, or one text of names separated by commas.
    :param interval: half-open, UTC.
    :param time: ``by_hour``, ``by_day`` or ``global``.
    :param window: the length of one request's range, at least one bucket; None: the whole interval.
    :raises AngusRequestError: metrics, time or window are invalid.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (the parameters of a query)
        self,
        authenticator: Authenticator,
        data_url: str,
        metrics: str | Iterable[str],
        interval: Interval,
        time: str,
        window: timedelta | None = None,
    ) -> None:
        self.metrics, self.time = check_metrics(metrics), check_time(time)
        check_window(window)
        self._authenticator = authenticator
        self._url = data_url + ENTITIES_PATH
        self._end = interval.end
        self._windows = split_windows(interval, self.time, window)
        self._advance()

    def _advance(self) -> None:
        self.interval = next(self._windows)
        #: Requested and accepted pages of the current window.
        self._requested = self.page = 0
        self.nb_of_pages: int | None = None
        self._total_results: int | None = None
        self._seen: set[datetime] = set()

    @property
    def finished(self) -> bool:
        """Whether all pages have been accepted, and so match the totals."""
        return self._window_finished and self.interval.end == self._end

    @property
    def _window_finished(self) -> bool:
        return self.nb_of_pages is not None and self.page >= self.nb_of_pages

    def next_page(self) -> Flow[dict[str, Any]] | None:
        """Return the flow that fetches the next page; None if its existence depends on pages not accepted yet."""
        if self._window_finished and self.interval.end != self._end:
            self._advance()
        if self._requested and self._requested >= (self.nb_of_pages or 1):
            return None
        self._requested += 1
        return self._fetch(self._requested)

    def _fetch(self, page: int) -> Flow[dict[str, Any]]:
        long = count_buckets(self.interval, self.time) > LONG_RANGE
        request = Request(
            "GET",
            self._url,
            {
                "metrics": ",".join(self.metrics),
                "from_date": self.interval.start.isoformat(),
                "to_date": self.interval.end.isoformat(),
                "time": self.time,
                "page": str(page),
            },
            hint="If the range is too long, set window= to fetch it in parts." if long else "",
        )
        response: Response = yield from self._authenticator.send(request)
        if response.status == HTTPStatus.OK:
            return parse_json_object(request, response)
        if response.status == HTTPStatus.BAD_REQUEST:
            hint = request.hint or "A retry cannot help."
            raise AngusRequestError(f"{request}: refused with status 400: {error_message(response)} {hint}")
        raise unexpected_response(request, response, "Host")

    def accept(self, body: dict[str, Any]) -> list[Row]:
        """Return the rows of the next page, in order, without buckets outside the interval.

        :param body: the result of the page's flow.
        :raises AngusResponseError: the page is not what the API documents, or contradicts the pages before it.
        """
        self.page += 1
        entities = self._check_envelope(body)
        rows = []
        for key, values in entities.items():
            bucket = read_bucket_key(key, self.interval, self.time)
            if bucket.start > self.interval.end or bucket.end < self.interval.start:
                raise self._error(f"bucket {key[:50]!r} is outside the requested range")
            if bucket.start in self._seen:
                raise self._error(f"bucket {key[:50]!r} came twice")
            self._seen.add(bucket.start)
            # A request up to midnight may also return the bucket that starts at midnight.
            if bucket.start < self.interval.end and bucket.end > self.interval.start:
                rows.append(read_row(self._authenticator.credentials.client_id, self.metrics, bucket, values))
        self._check_progress(len(entities))
        return rows

    def _check_envelope(self, body: dict[str, Any]) -> dict[str, Any]:
        entities = body.get("entities")
        if not isinstance(entities, dict):
            raise self._error(f"entities: expected an object, got {describe_value(entities)}")
        for name, expected in (("time", self.time), ("page", self.page)):
            if body.get(name, expected) != expected:
                raise self._error(f"{name}: expected {expected!r}, got {describe_value(body[name])}")
        counts = []
        for name, before in (("total_results", self._total_results), ("nb_of_pages", self.nb_of_pages)):
            number = body.get(name)
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_COUNT:
                raise self._error(f"{name}: expected a count, got {describe_value(number)}")
            if before is not None and number != before:
                raise self._error(f"{name}: expected {before} as on the page before, got {number}")
            counts.append(number)
        total, pages = counts
        # Two more than requested: the bucket that ends at the interval's start and the one that starts at its end.
        if total > (most := count_buckets(self.interval, self.time) + 2):
            raise self._error(f"total_results: expected at most {most}, got {total}")
        if pages > max(total, 1):
            raise self._error(f"nb_of_pages: expected at most {max(total, 1)}, got {pages}")
        self._total_results, self.nb_of_pages = total, pages
        return entities

    def _check_progress(self, on_page: int) -> None:
        collected, total = len(self._seen), self._total_results or 0
        short = collected != total if self._window_finished else not on_page
        if short or collected > total or (on_page and not self.nb_of_pages):
            raise self._error(f"expected {total} buckets on {self.nb_of_pages} pages, got {collected} on {self.page}")

    def _error(self, problem: str) -> AngusResponseError:
        return AngusResponseError(f"GET {ENTITIES_PATH}, page {self.page} of {self.time}, {self.interval}: {problem}.")
