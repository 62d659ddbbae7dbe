"""The error tree: what Airflow retries and what it must not.

A message says what was asked (method and URL, never a token or a query), what came back (status and the API's
own words, cut short) and what to change. The cause, where there is one, is kept as ``__cause__``.

    AngusError                  catch this to catch all of them
    |- AngusUnavailableError    the API was away, slow or overloaded          Airflow retries
    |- AngusResponseError       the answer is not what the API documents      Airflow retries
    |- AngusStorageError        rows could not be written: full, away, locked Airflow retries
    |- AngusTargetError         the file or table cannot take such rows       fails at once
    |  `- AngusRowError         ... those of one stream                       fails at once
    |- AngusRequestError        the request is wrong and stays wrong          fails at once
    |- AngusAuthError           credentials refused, connection incomplete    fails at once
    `- AngusIntervalError       the run has no interval                       fails at once
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

__all__ = [
    "AngusAuthError",
    "AngusError",
    "AngusIntervalError",
    "AngusRequestError",
    "AngusResponseError",
    "AngusRowError",
    "AngusStorageError",
    "AngusTargetError",
    "AngusUnavailableError",
]


class AngusError(AirflowException):
    """Anything that can go wrong between a DAG run and its Angus rows."""


class AngusUnavailableError(AngusError):
    """The network failed, the time was up, or the API answered 408, 429 or 5xx, also after our own retries."""

    #: How many seconds the API asked to wait (``Retry-After``), where it did.
    retry_after: float | None = None

    #: Whether it was the time that was up, ours or a gateway's (504).
    timed_out: bool = False


class AngusResponseError(AngusError):
    """An answer that is not what the API documents: HTML, a body cut short, a total that does not add up."""

    #: Whether it ended before it was whole, so that the same request may well be answered in full.
    broken_off: bool = False


class AngusStorageError(AngusError):
    """The rows could not be written: a disk that is full, a database that is away or locked. What was there stays."""


class AngusTargetError(AngusError, AirflowFailException):
    """Where the rows should go cannot take them: no such format, a table that lacks a column, a name that is none."""


class AngusRowError(AngusTargetError):
    """The table cannot take the rows of one stream, though it may take those of others."""


class AngusRequestError(AngusError, AirflowFailException):
    """The request itself is wrong (unknown metric, HTTP 400): asking again cannot help, so Airflow does not."""

    #: Whether the API says that the range is too long, so that a shorter one may be answered.
    range_too_long: bool = False


class AngusAuthError(AngusError, AirflowFailException):
    """The credentials were refused, or the connection is missing or incomplete: a person has to mend it."""


class AngusIntervalError(AngusError, AirflowFailException):
    """The DAG run has no data interval, or an empty one, and nothing else says which rows are meant."""


def can_be_retried(error: AngusError) -> bool:
    """Return whether Airflow tries again after an error, for a try can help.

    :param error: any of ours.
    """
    return not isinstance(error, AirflowFailException)
