"""What is answered: requests -> answers, by the rules of the API page. Knows no sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from airflow_provider_angus.sandbox.tokens import Refusal, Tokens
from airflow_provider_angus.sandbox.traffic import EPOCH, Counts, count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_angus.sandbox.clock import Clock

Endpoint = Literal["token", "entities", "other"]

TOKEN_PATH = "/api-token-authstream/"  # noqa: S105 - a path
ENTITIES_PATH = "/api/1/entities"
_ENDPOINTS: dict[str, Endpoint] = {TOKEN_PATH: "token", ENTITIES_PATH: "entities"}

_CREDENTIALS = ("username", "client_id", "access_token")
_METRICS = ("interested", "passing_by", "stop_time", "attention_time", "category", "gender", "satisfaction")
_LENGTHS = {"by_hour": timedelta(hours=1), "by_day": timedelta(days=1), "global": None}


@dataclass(frozen=True)
class Request:
    """An HTTP request as far as the API sees it: ``query`` decoded, ``authorization`` the header's value."""

    method: str
    path: str
    query: dict[str, str]
    authorization: str | None
    body: bytes

    @property
    def endpoint(self) -> Endpoint:
        """What the path leads to; the token path without its last slash only redirects: ``other``."""
        return _ENDPOINTS.get(self.path, "other")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer and how to send it.

    Status 0 closes the connection without a word; ``cut`` stops after half of the body; ``drip`` is the pause
    between single bytes, in seconds. ``client_id`` is the stream that was asked about, where that is known.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    client_id: str | None = None
    cut: bool = False
    drip: float | None = None


def json_answer(status: int, value: object, client_id: str | None = None) -> Answer:
    """Return an answer with a JSON body.

    :param status: the HTTP status.
    :param value: what the body says, anything that JSON can hold.
    :param client_id: the stream that was asked about.
    """
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"}, client_id)


@dataclass(frozen=True)
class Api:
    """The console's token endpoint and the data API's entities endpoint.

    ``streams`` maps client ids to access tokens, ``clock`` decides which data exists, ``page_size`` is in
    buckets and at least 1, ``lag`` is the time until what a camera saw can be read, ``max_range`` the longest
    range that is answered, None any.
    """

    username: str
    streams: Mapping[str, str]
    tokens: Tokens
    clock: Clock
    page_size: int
    lag: timedelta
    max_range: timedelta | None = None

    def answer(self, request: Request) -> Answer:
        """Return the true answer to a request; refusals are answers too.

        :param request: what came in.
        """
        if request.path == TOKEN_PATH.rstrip("/"):
            return Answer(301, headers={"Location": TOKEN_PATH})
        if request.endpoint == "token":
            return self._answer_token(request)
        if request.endpoint == "entities" and request.method == "GET":
            return self._answer_entities(request)
        return json_answer(404, {"detail": "Not found."})

    def _answer_token(self, request: Request) -> Answer:
        if request.method != "POST":
            return json_answer(405, {"detail": f'Method "{request.method}" not allowed.'})
        try:
            asked = json.loads(request.body)
        except ValueError as error:
            return json_answer(400, {"detail": f"JSON parse error - {error}"})
        if not isinstance(asked, dict):
            return json_answer(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
        given = {name: str(asked.get(name) or "").strip() for name in _CREDENTIALS}
        client_id = given["client_id"]
        if missing := {name: ["This field is required."] for name, value in given.items() if not value}:
            return json_answer(400, missing, client_id or None)
        if (given["username"], given["access_token"]) != (self.username, self.streams.get(client_id)):
            wrong = {"non_field_errors": ["Unable to login with provided credentials."]}
            return json_answer(400, wrong, client_id)
        return json_answer(200, {"token": self.tokens.issue(client_id)}, client_id)

    def _answer_entities(self, request: Request) -> Answer:
        client_id = None
        try:
            client_id = self.tokens.read(request.authorization)
            return json_answer(200, self._page(client_id, request.query), client_id)
        except Refusal as refusal:
            status, code, message = refusal.args
            return json_answer(status, {"code": code, "message": message}, client_id)

    def _page(self, client_id: str, query: dict[str, str]) -> dict[str, Any]:
        metrics, time = _read_metrics(query), _read_time(query)
        now = self.clock.now()
        seen = now - self.lag
        from_date = _read_date(query, "from_date")
        to_date = _read_date(query, "to_date") if "to_date" in query else now
        if from_date > to_date:
            raise Refusal(400, "invalid_date", "from_date is after to_date.")
        if self.max_range is not None and to_date - from_date > self.max_range:
            raise Refusal(400, "range_too_long", f"A range may be {self.max_range} long at most.")

        # Bucket numbers, from the epoch on: a range knows its length and its slices without being walked.
        length = _LENGTHS[time]
        if length is None:
            buckets = range(1 if from_date < seen else 0)
        else:
            # Rounded up: a bucket exists once anything of it can be read.
            begun = -((EPOCH - seen) // length)
            buckets = range((from_date - EPOCH) // length, min((to_date - EPOCH) // length + 1, begun))
        pages = max(1, -(-len(buckets) // self.page_size))
        page = _read_page(query, pages)

        entities = {}
        for number in buckets[(page - 1) * self.page_size : page * self.page_size]:
            start = from_date if length is None else EPOCH + number * length
            end = to_date if length is None else start + length
            values = _values(count(client_id, max(start, from_date), min(end, to_date, seen)))
            key = "global" if length is None else start.isoformat()
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
        raise Refusal(400, "missing_mandatory_param", f"These are mandatory: {', '.join(missing)}.")
    metrics = query["metrics"].split(",")
    if unknown := [metric for metric in metrics if metric not in _METRICS]:
        raise Refusal(400, "unexisting_metric", f"No metric {unknown[0]!r}, only {', '.join(_METRICS)}.")
    return metrics


def _read_time(query: dict[str, str]) -> str:
    time = query.get("time", "global")
    if time not in _LENGTHS:
        raise Refusal(400, "unexisting_time", f"No time {time!r}, only {', '.join(_LENGTHS)}.")
    return time


def _read_date(query: dict[str, str], name: str) -> datetime:
    try:
        date = datetime.fromisoformat(query[name])
        if date.tzinfo is not None:
            return date.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Refusal(400, "invalid_date", f"{name} is {query[name]!r}, which is not ISO 8601 with an offset.")


def _read_page(query: dict[str, str], pages: int) -> int:
    page = query.get("page", "1")
    try:
        number = int(page)
    except ValueError:
        number = 0
    if not 1 <= number <= pages:
        raise Refusal(400, "page_not_existing", f"No page {page!r}: there are pages 1 to {pages}.")
    return number


def _values(counts: Counts) -> dict[str, dict[str, float | None]]:
    """Return the metrics of one bucket. Nobody has seen ``satisfaction`` in an answer, so it is not there."""
    people = counts.interested
    return {
        "passing_by": {"value": counts.passing_by},
        "interested": {"value": people},
        "stop_time": {"value": round(counts.stop / people, 2) if people else None},
        "attention_time": {"value": round(counts.attention / people, 2) if people else None},
        "category": {
            "senior_female": counts.senior_female,
            "senior_male": counts.senior_male,
            "young_female": counts.young_female,
            "young_male": counts.young_male,
        },
        "gender": {"?": counts.unknown, "female": counts.female, "male": counts.male},
    }
