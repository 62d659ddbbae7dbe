"""What to send to Angus and what an answer means: tokens, 401, pages. Pure, sans-IO.

The rules are generators. A *flow* yields a :class:`~airflow_provider_angus.answers.Request` and is sent the
:class:`~airflow_provider_angus.answers.Answer` to it; what it returns is its result. A driver (client.py for workers,
async_client.py for triggerers) is then a loop of a few lines, and no rule stands twice. A flow may also yield
:class:`Alone`, a flow that must not run twice at a time; the driver sees to that and sends back its result.

The rules come from the API page: the token's POST needs its slash, a token need not be readable, refusals carry
messages meant for people, pages are asked for by number (``next_page`` is never followed, so that no answer can send
the token elsewhere), and totals that do not add up are an error: a short answer that looks whole is the worst bug a
loader can have.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_angus.answers import Request, is_json_object, json_object, kind, masked, unexpected, words_of
from airflow_provider_angus.entities import check_metrics, check_time, read_bucket_key, read_row
from airflow_provider_angus.exceptions import AngusAuthError, AngusRequestError, AngusResponseError
from airflow_provider_angus.hiding import HoldsSecrets

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.tokens import TokenCache

    T = TypeVar("T")
    Flow = Generator["Request | Alone", Any, T]

TOKEN_PATH = "/api-token-authstream/"  # noqa: S105 (a path); without its last slash the POST would become a GET
ENTITIES_PATH = "/api/1/entities"


@dataclass(frozen=True)
class Credentials(HoldsSecrets):
    """What identifies one stream to the console; its repr shows no secret.

    :param username: the console login, an e-mail address.
    :param client_id: the stream; the console's own page calls it "Login".
    :param access_token: the stream's secret; the console's own page calls it "Password".
    """

    username: str
    client_id: str
    access_token: str = field(repr=False)


@dataclass(frozen=True)
class Alone:
    """A flow that must not run twice at a time; the driver sends back what it returns.

    :param key: what it must be alone for.
    :param flow: returns a token.
    """

    key: str
    flow: Flow[str] = field(repr=False)


class Stream:
    """What can be asked about one stream, as flows.

    :param credentials: see :class:`Credentials`.
    :param console_url: where tokens come from, ``https://host[:port][/path]``, without a slash at the end.
    :param data_url: where entities come from, the same.
    :param tokens: shared by all streams of the process.
    """

    def __init__(self, credentials: Credentials, console_url: str, data_url: str, tokens: TokenCache) -> None:
        self.credentials = credentials
        self._token_url = console_url + TOKEN_PATH
        self._entities_url = data_url + ENTITIES_PATH
        self._tokens = tokens
        identity = (console_url, credentials.username, credentials.client_id, credentials.access_token)
        self._key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def entities(self, params: Mapping[str, str]) -> Flow[dict[str, Any]]:
        """Ask for one page of entities; on 401 with one new token once more.

        :param params: the query.
        :returns: the answer's JSON object.
        :raises AngusAuthError: the credentials, or a fresh token, were refused.
        :raises AngusRequestError: the API says that the request is wrong.
        :raises AngusResponseError: the answer is not what the API documents.
        """
        token = self._tokens.get(self._key) or (yield self._new_token())
        request = Request("GET", self._entities_url, params, token=token)
        answer = masked(request, (yield request))
        if answer.status == 401:  # noqa: PLR2004 (status codes are names enough)
            self._tokens.drop(self._key, token)
            token = yield self._new_token()
            request = Request("GET", self._entities_url, params, token=token)
            answer = masked(request, (yield request))
        match answer.status:
            case 200:
                return json_object(request, answer)
            case 401 | 403:
                new = ", also with a new token" if answer.status == 401 else ""  # noqa: PLR2004 (as above)
                raise AngusAuthError(
                    f"{request} was refused with {answer.status}{new}: {words_of(answer)} "
                    f"Check that this console login may read the stream {self.credentials.client_id!r}."
                )
            case 400:
                words = words_of(answer)
                raise AngusRequestError(f"{request} was refused with 400: {words} Asking again cannot help.")
        raise unexpected(request, answer, "Host")

    def _new_token(self) -> Alone:
        return Alone(self._key, self._token_flow())

    def _token_flow(self) -> Flow[str]:
        # Whoever waited to be alone may find that the one before has fetched it.
        if token := self._tokens.get(self._key):
            return token
        who = self.credentials
        body = {"username": who.username, "client_id": who.client_id, "access_token": who.access_token}
        request = Request("POST", self._token_url, body=body)
        answer = masked(request, (yield request))
        match answer.status:
            case 200:
                token = json_object(request, answer, quoted=False).get("token")
                if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
                    # The answer is not quoted: what it has in place of a token may be one.
                    raise AngusResponseError(f"{request} was answered 200 without a token. Check console_url.")
                self._tokens.put(self._key, token)
                return token
            case 400 | 401 | 403 if is_json_object(answer):
                raise AngusAuthError(
                    f"{request} refused the credentials with {answer.status}: {words_of(answer)} "
                    "Check Login (the console login), Password (the stream's access token) and client_id."
                )
        raise unexpected(request, answer, "console_url")


class Pages:
    """The pages of one question, asked for by number until all are there, each held against the others.

    :param stream: whose entities.
    :param metrics: see :func:`~airflow_provider_angus.entities.check_metrics`.
    :param interval: half-open, in UTC.
    :param time: see :func:`~airflow_provider_angus.entities.check_time`.
    :raises AngusRequestError: metrics or time are not the API's.
    """

    def __init__(self, stream: Stream, metrics: str | Iterable[str], interval: Interval, time: str) -> None:
        self.metrics, self.time, self.interval = check_metrics(metrics), check_time(time), interval
        self.page = 0
        self.nb_of_pages: int | None = None
        self._stream = stream
        self._total_results: int | None = None
        self._buckets: set[float] = set()

    @property
    def finished(self) -> bool:
        """Whether all pages have been read, and so held what the first one promised."""
        return self.nb_of_pages is not None and self.page >= self.nb_of_pages

    def next_page(self) -> Flow[list[Row]]:
        """Ask for the next page and return its rows, without those that do not overlap the interval.

        :raises AngusResponseError: the page is not what the API documents, or does not go with the pages before.
        :raises AngusError: see :meth:`Stream.entities`.
        """
        self.page += 1
        answer = yield from self._stream.entities(
            {
                "metrics": ",".join(self.metrics),
                "from_date": self.interval.start.isoformat(),
                "to_date": self.interval.end.isoformat(),
                "time": self.time,
                "page": str(self.page),
            }
        )
        entities = self._checked_envelope(answer)
        before = len(self._buckets)
        rows = []
        for key, values in entities.items():
            bucket = read_bucket_key(key, self.interval, self.time)
            self._buckets.add(bucket.start.timestamp())
            if bucket.start < self.interval.end and bucket.end > self.interval.start:
                rows.append(read_row(self._stream.credentials.client_id, self.metrics, bucket, values))
        self._check_progress(new=len(self._buckets) - before, here=len(entities))
        return rows

    def _checked_envelope(self, answer: dict[str, Any]) -> dict[str, Any]:
        entities = answer.get("entities")
        if not isinstance(entities, dict):
            raise self._wrong(f"entities is {kind(entities)}, not an object")
        for name, asked in (("time", self.time), ("page", self.page)):
            if answer.get(name, asked) != asked:
                raise self._wrong(f"{name} is {kind(answer[name])}, asked for was {asked!r}")
        promised = []
        for name, so_far in (("total_results", self._total_results), ("nb_of_pages", self.nb_of_pages)):
            number = answer.get(name)
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise self._wrong(f"{name} is {kind(number)}, not a count")
            if so_far is not None and number != so_far:
                raise self._wrong(f"{name} was {so_far} before and is {number} now")
            promised.append(number)
        self._total_results, self.nb_of_pages = promised
        return entities

    def _check_progress(self, *, new: int, here: int) -> None:
        if new < here:
            raise self._wrong("a bucket came twice")
        collected, total = len(self._buckets), self._total_results
        short = collected != total if self.finished else not here
        if short or collected > (total or 0) or (here and not self.nb_of_pages):
            pages = f"{self.page} of {self.nb_of_pages} pages"
            raise self._wrong(f"{collected} buckets came with {pages}, but total_results is {total}")

    def _wrong(self, what: str) -> AngusResponseError:
        return AngusResponseError(f"GET {ENTITIES_PATH}, page {self.page} of {self.time}, {self.interval}: {what}.")
