"""The error tree: which failures Airflow retries and which fail the task at once.

A message names the request (method and URL, never a token or a query), the response (status and the API's message,
shortened) and the fix. The underlying error is kept as ``__cause__``. The tree::

    AngusError                  base class: catch it to catch all of them
    |- AngusUnavailableError    network failure, time-out, 408, 429 or 5xx       retried
    |- AngusResponseError       a response that the API does not document        retried
    |- AngusIncompleteError     the interval's data is not complete yet          retried
    |- AngusStorageError        a disk, store or database failed                 retried
    |- AngusTargetError         no such table, bucket or right                   fails at once
    |  `- AngusRowError         the table cannot take the rows of one stream     fails at once
    |- AngusAuditError          the table differs from the API                   fails at once
    |- AngusRequestError        the request is wrong and stays wrong             fails at once
    |- AngusAuthError           credentials refused, connection unusable, TLS    fails at once
    `- AngusIntervalError       the DAG run has no data interval                 fails at once
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException


class AngusError(AirflowException):
    """The base class of all errors that this provider raises.

    Example::

        try:
            AngusHook("angus_default").get_entities("passing_by", "2017-09-03", "2017-09-04")
        except AngusUnavailableError as error:
            print("try again in", error.retry_after or 60.0, "seconds")
        except AngusError as error:
            print("Airflow retries" if is_retryable(error) else "fix it first:", error)
    """

    #: Seconds before which a retry cannot help; None: unknown.
    retry_after: float | None = None


class AngusUnavailableError(AngusError):
    """The API could not be reached, timed out, or responded with 408, 429 or 5xx, also after the client's retries.

    :param message: the request, the failure and the fix.
    :param retry_after: seconds that the API asked to wait (``Retry-After``); None if it did not.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AngusResponseError(AngusError):
    """The response is not one that the API documents: HTML, an incomplete body, totals that do not add up.

    :param message: the request, the response and the fix.
    :param truncated: whether the body ended early, so that the client may repeat the request.
    """

    def __init__(self, message: str, *, truncated: bool = False) -> None:
        super().__init__(message)
        self.truncated = truncated


class AngusIncompleteError(AngusError):
    """The interval has not ended, has not settled, or the API lacks buckets of it. Nothing is returned or written.

    :param message: the interval or stream, the reason and the fix.
    :param retry_after: seconds until the interval has settled; None if it has.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AngusStorageError(AngusError):
    """A disk, object store or database failed (full, unreachable, locked). Existing data is unchanged."""


class AngusTargetError(AngusError, AirflowFailException):
    """The file or table cannot take the rows: no such bucket, column or right, an unknown format, an invalid name."""


class AngusRowError(AngusTargetError):
    """The table cannot take the rows of one stream (text too long, no partition); it may take those of others."""


class AngusAuditError(AngusError, AirflowFailException):
    """The rows of the table differ from those of the API. Until the table is repaired, a retry cannot help."""


class AngusRequestError(AngusError, AirflowFailException):
    """A parameter or the request is wrong (unknown metric, status 400). A retry cannot help."""


class AngusAuthError(AngusError, AirflowFailException):
    """The API refused the credentials, or the connection is missing, incomplete or unusable, or TLS is not trusted."""


class AngusIntervalError(AngusError, AirflowFailException):
    """The DAG run has no data interval or an empty one, so the rows to fetch cannot be determined."""


def is_retryable(error: AngusError) -> bool:
    """Return whether Airflow retries a task that failed.

    :param error: the task's error.
    """
    return not isinstance(error, AirflowFailException)
