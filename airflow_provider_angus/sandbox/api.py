"""The rules of the Angus API: an incoming request -> a reply."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from urllib.parse import urlencode

from airflow_provider_angus.sandbox.clock import Clock
from airflow_provider_angus.sandbox.tokens import RefusedError, TokenIssuer
from airflow_provider_angus.sandbox.traffic import EPOCH, count_people

Endpoint = Literal["token", "entities", "other"]

TOKEN_PATH = "/api-token-authstream/"  # noqa: S105 - a path
ENTITIES_PATH = "/api/1/entities"
_ENDPOINTS: dict[str, Endpoint] = {TOKEN_PATH: "token", ENTITIES_PATH: "entities"}

_METRICS = ("interested", "passing_by", "stop_time", "attention_time", "category", "gender", "satisfaction")
_BUCKET_LENGTHS = {"by_hour": timedelta(hours=1), "by_day": timedelta(days=1), "global": None}


@dataclass(frozen=True)
class Incoming:
    """An HTTP request that the sandbox received.

    :param method: in upper case.
    :param path: without the query.
    :param query: decoded.
    :param headers: by name in title case, such as ``User-Agent``.
    :param body: may be empty.

    Example::

        def on_request(incoming, reply):  # for Sandbox(on_request=on_request)
            return Reply(504) if incoming.query.get("page") == "2" else reply
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def endpoint(self) -> Endpoint:
        """``token``, ``entities`` or ``other``. The token path without its final slash is ``other``."""
        return _ENDPOINTS.get(self.path, "other")


@dataclass(frozen=True)
class Reply:
    """An HTTP response and the way to send it.

    :param status: 0 closes the connection without a response.
    :param body: empty by default.
    :param headers: ``Content-Length`` is added unless given.
    :param client_id: the stream of the request, if known.
    :param cut: close the connection after half of the body.
    :param drip: seconds between single bytes of the body. None: send the body at once.

    Example::

        from dataclasses import replace

        reply = Reply.from_json(200, {"token": "abc.def.ghi"})
        truncated = replace(reply, cut=True)
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    client_id: str | None = None
    cut: bool = False
    drip: float | None = None

    @classmethod
    def from_json(cls, status: int, value: object, client_id: str | None = None) -> Self:
        """Return a reply with a JSON body.

        :param status: the HTTP status.
        :param value: the body, a value that JSON can represent.
        :param client_id: the stream of the request, if known.
        """
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json"}, client_id)


@dataclass(frozen=True)
class Api:
    """The console's token endpoint and the data API's entities endpoint.

    ``streams`` maps client IDs to access tokens. ``page_size`` is in buckets. Data exists up to the clock's time minus
    ``lag``. Ranges longer than ``max_range`` are refused.
    """

    username: str
    streams: Mapping[str, str]
    tokens: TokenIssuer
    clock: Clock
    page_size: int
    lag: timedelta
    max_range: timedelta | None = None

    def respond(self, incoming: Incoming) -> Reply:
        """Return the API's own reply to a request, which may be a refusal."""
        if incoming.path == TOKEN_PATH.rstrip("/"):
            return Reply(301, headers={"Location": TOKEN_PATH})
        if incoming.endpoint == "token":
            return self._token(incoming)
        if incoming.endpoint == "entities" and incoming.method == "GET":
            return self._entities(incoming)
        return Reply.from_json(404, {"detail": "Not found."})

    def _token(self, incoming: Incoming) -> Reply:
        if incoming.method != "POST":
            return Reply.from_json(405, {"detail": f'Method "{incoming.method}" not allowed.'})
        try:
            body = json.loads(incoming.body)
        except ValueError as error:
            return Reply.from_json(400, {"detail": f"JSON parse error - {error}"})
        if not isinstance(body, dict):
            return Reply.from_json(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
        values = {name: str(body.get(name) or "").strip() for name in ("username", "client_id", "access_token")}
        client_id = values["client_id"]
        if missing := {name: ["This field is required."] for name, value in values.items() if not value}:
            return Reply.from_json(400, missing, client_id or None)
        if (values["username"], values["access_token"]) != (self.username, self.streams.get(client_id)):
            return Reply.from_json(400, {"non_field_errors": ["Unable to login with provided credentials."]}, client_id)
        return Reply.from_json(200, {"token": self.tokens.issue(client_id)}, client_id)

    def _entities(self, incoming: Incoming) -> Reply:
        client_id = None
        try:
            client_id = self.tokens.verify(incoming.headers.get("Authorization"))
            return Reply.from_json(200, self._page(client_id, incoming.query), client_id)
        except RefusedError as error:
            status, code, message = error.args
            return Reply.from_json(status, {"code": code, "message": message}, client_id)

    def _page(self, client_id: str, query: dict[str, str]) -> dict[str, Any]:
        metrics, time = _read_metrics(query), query.get("time", "global")
        if time not in _BUCKET_LENGTHS:
            raise RefusedError(400, "unexisting_time", f"Unknown time {time!r}. Expected {', '.join(_BUCKET_LENGTHS)}.")
        now, from_date = self.clock.now(), _read_date(query, "from_date")
        readable_until = now - self.lag
        to_date = _read_date(query, "to_date") if "to_date" in query else now
        if from_date > to_date:
            raise RefusedError(400, "invalid_date", "from_date is after to_date.")
        if self.max_range is not None and to_date - from_date > self.max_range:
            raise RefusedError(400, "range_too_long", f"The range must not exceed {self.max_range}.")

        # Bucket numbers count from the epoch. A range has a length and slices without iterating over ten years.
        buckets = range(int(from_date < readable_until))
        if length := _BUCKET_LENGTHS[time]:
            # Rounded up: a bucket exists as soon as a part of it is readable.
            stop = -((EPOCH - readable_until) // length)
            buckets = range((from_date - EPOCH) // length, min((to_date - EPOCH) // length + 1, stop))
        pages = max(1, -(-len(buckets) // self.page_size))
        page = _read_page(query, pages)
        entities = {}
        for number in buckets[(page - 1) * self.page_size : page * self.page_size]:
            start, end = (EPOCH + number * length, EPOCH + (number + 1) * length) if length else (from_date, to_date)
            values = _metric_values(count_people(client_id, max(start, from_date), min(end, to_date, readable_until)))
            key = start.isoformat() if length else "global"
            entities[key] = {metric: values[metric] for metric in metrics if metric in values}
        return {
            "entities": entities,
            "time": time,
            "from_date": from_date.isoformat(),
            "to_date": to_date.isoformat(),
            "total_results": len(buckets),
            "nb_of_pages": pages,
            "page": page,
            "next_page": f"{ENTITIES_PATH}?{urlencode({**query, 'page': page + 1})}" if page < pages else "",
        }


def _read_metrics(query: dict[str, str]) -> list[str]:
    if missing := [name for name in ("metrics", "from_date") if not query.get(name)]:
        raise RefusedError(400, "missing_mandatory_param", f"Missing mandatory parameters: {', '.join(missing)}.")
    metrics = query["metrics"].split(",")
    if unknown := [metric for metric in metrics if metric not in _METRICS]:
        raise RefusedError(400, "unexisting_metric", f"Unknown metric {unknown[0]!r}. Metrics: {', '.join(_METRICS)}.")
    return metrics


def _read_date(query: dict[str, str], name: str) -> datetime:
    with suppress(ValueError, OverflowError):
        date = datetime.fromisoformat(query[name])
        if date.tzinfo is not None:
            return date.astimezone(UTC)
    raise RefusedError(400, "invalid_date", f"{name}: expected ISO 8601 with a UTC offset, got {query[name]!r}.")


def _read_page(query: dict[str, str], pages: int) -> int:
    page = query.get("page", "1")
    with suppress(ValueError):
        if 1 <= int(page) <= pages:
            return int(page)
    raise RefusedError(400, "page_not_existing", f"page: expected 1 to {pages}, got {page!r}.")


def _metric_values(counts: Counter[str]) -> dict[str, dict[str, float | None]]:
    """Return one bucket's metrics, without ``satisfaction``: no known response contains it."""
    people = counts["interested"]
    return {
        "passing_by": {"value": counts["passing_by"]},
        "interested": {"value": people},
        "stop_time": {"value": round(counts["stop"] / people, 2) if people else None},
        "attention_time": {"value": round(counts["attention"] / people, 2) if people else None},
        "category": {name: counts[name] for name in ("senior_female", "senior_male", "young_female", "young_male")},
        "gender": {"?": counts["unknown"], "female": counts["female"], "male": counts["male"]},
    }
