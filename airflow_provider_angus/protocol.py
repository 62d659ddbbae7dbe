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

from airflow_provider_angus.answers import (
    Request,
    is_json_object,
    json_object,
    kind,
    masked,
    unexpected,
    without_token,
    words_of,
)
from airflow_provider_angus.entities import check_metrics, check_time, count_buckets, read_bucket_key, read_row
from airflow_provider_angus.exceptions import AngusAuthError, AngusRequestError, AngusResponseError
from airflow_provider_angus.hiding import HoldsSecrets
from airflow_provider_angus.windows import Windows, says_too_long

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from datetime import timedelta

    from airflow_provider_angus.entities import Row
    from airflow_provider_angus.exceptions import AngusError
    from airflow_provider_angus.interval import Interval
    from airflow_provider_angus.tokens import TokenCache

    T = TypeVar("T")
    Flow = Generator["Request | Alone", Any, T]

TOKEN_PATH = "/api-token-authstream/"  # noqa: S105 (a path); without its last slash the POST would become a GET
ENTITIES_PATH = "/api/1/entities"
_LARGEST_COUNT = 10**12


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
                return json_object(request, without_token(request, answer))
            case 401 | 403:
                new = ", also with a new token" if answer.status == 401 else ""  # noqa: PLR2004 (as above)
                raise AngusAuthError(
                    f"{request} was refused with {answer.status}{new}: {words_of(answer)} "
                    f"Check that this console login may read the stream {self.credentials.client_id!r}."
                )
            case 400:
                words = words_of(answer)
                error = AngusRequestError(f"{request} was refused with 400: {words} Asking again cannot help.")
                error.range_too_long = says_too_long(words)
                raise error
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
    """The pages of one question, asked for by number until all are there, each held against those before it.

    Who reads them asks (:meth:`ask`), as often as it likes before it hands the answers in (:meth:`take`), in the order
    in which it asked, until all are :attr:`finished`. So pages may be fetched side by side, and what is wrong with
    them is found as one after the other.

    :param stream: whose entities.
    :param metrics: see :func:`~airflow_provider_angus.entities.check_metrics`.
    :param interval: half-open, in UTC.
    :param time: see :func:`~airflow_provider_angus.entities.check_time`.
    :param window: how much is asked for at a time, see :class:`~airflow_provider_angus.windows.Windows`.
    :raises AngusRequestError: metrics, time or window are not such.
    """

    def __init__(
        self,
        stream: Stream,
        metrics: str | Iterable[str],
        interval: Interval,
        time: str,
        window: timedelta | None = None,
    ) -> None:
        self.metrics, self.time = check_metrics(metrics), check_time(time)
        #: The refusal for which windows have become shorter.
        self.too_long: AngusError | None = None
        self._stream = stream
        self._windows = Windows(interval, time, window)
        self._begin()

    def _begin(self) -> None:
        self.interval = self._windows.now
        #: How many pages of the window have been asked for, and how many of them have been handed in.
        self.asked = self.page = 0
        self.nb_of_pages: int | None = None
        self._total_results: int | None = None
        #: Which hours of each day have begun a bucket, as bits: a set of ten years' hours would take megabytes.
        self._hours: dict[int, int] = {}
        self._collected = 0

    @property
    def finished(self) -> bool:
        """Whether all pages have been read, and so held what the first ones promised."""
        return self._whole and self._windows.last

    @property
    def _whole(self) -> bool:
        return self.nb_of_pages is not None and self.page >= self.nb_of_pages

    def ask(self) -> Flow[dict[str, Any]] | None:
        """Return the flow of the next page; None where that depends on answers that have not been handed in.

        Only the first page of a window says how many there are, so that comes alone.
        """
        if self._whole and not self._windows.last:
            self._windows.go_on()
            self._begin()
        if self.asked and self.asked >= (self.nb_of_pages or 1):
            return None
        self.asked += 1
        return self._stream.entities(
            {
                "metrics": ",".join(self.metrics),
                "from_date": self.interval.start.isoformat(),
                "to_date": self.interval.end.isoformat(),
                "time": self.time,
                "page": str(self.asked),
            }
        )

    def take(self, answer: dict[str, Any]) -> list[Row]:
        """Return the rows of the next page in order, without those that do not overlap the interval.

        :param answer: what its flow returned.
        :raises AngusResponseError: it is not what the API documents, or does not go with the pages before.
        """
        self.page += 1
        entities = self._checked_envelope(answer)
        rows = []
        for key, values in entities.items():
            bucket = read_bucket_key(key, self.interval, self.time)
            if bucket.start > self.interval.end or bucket.end < self.interval.start:
                raise self._wrong(f"bucket {key[:50]!r} was not asked for")
            day, hour = bucket.start.toordinal(), 1 << bucket.start.hour
            seen = self._hours.get(day, 0)
            if seen & hour:
                raise self._wrong("a bucket came twice")
            self._hours[day] = seen | hour
            if bucket.start < self.interval.end and bucket.end > self.interval.start:
                rows.append(read_row(self._stream.credentials.client_id, self.metrics, bucket, values))
        self._check_progress(here=len(entities))
        return rows

    def take_error(self, error: AngusError) -> None:
        """Go on with shorter windows where the error says that the range is too long; else raise it.

        :param error: what the flow of the next page in order raised.
        :raises AngusError: the error, or the refusal of the longer range where shorter ones are refused as well.
        """
        if not self.page and self._windows.shorten(error):
            self.too_long = self.too_long or error
            self._begin()
            return
        if self.too_long and getattr(error, "range_too_long", False):
            raise self.too_long
        raise error

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
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _LARGEST_COUNT:
                raise self._wrong(f"{name} is {kind(number)}, not a count")
            if so_far is not None and number != so_far:
                raise self._wrong(f"{name} was {so_far} before and is {number} now")
            promised.append(number)
        total, pages = promised
        # Beside its own, the one that ends where the interval begins and the one that begins where it ends.
        if total > (most := count_buckets(self.interval, self.time) + 2):
            raise self._wrong(f"total_results is {total}, but there cannot be more than {most} buckets")
        if pages > max(total, 1):
            raise self._wrong(f"nb_of_pages is {pages}, but total_results is {total}")
        self._total_results, self.nb_of_pages = total, pages
        return entities

    def _check_progress(self, *, here: int) -> None:
        self._collected += here
        collected, total = self._collected, self._total_results
        short = collected != total if self._whole else not here
        if short or collected > (total or 0) or (here and not self.nb_of_pages):
            pages = f"{self.page} of {self.nb_of_pages} pages"
            raise self._wrong(f"{collected} buckets came with {pages}, but total_results is {total}")

    def _wrong(self, what: str) -> AngusResponseError:
        return AngusResponseError(f"GET {ENTITIES_PATH}, page {self.page} of {self.time}, {self.interval}: {what}.")
