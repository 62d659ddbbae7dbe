"""The shapes that a task reports: the extra of asset events, and the manifests that transfers return."""

from typing import TypedDict


class EventExtra(TypedDict):
    """The extra of an asset event. Dates are ISO 8601, UTC, half-open. A list of connections has a list of streams."""

    stream: str | list[str]
    from_date: str
    to_date: str
    rows: int


class SqlManifest(EventExtra):
    """The return value of ``AngusToSqlOperator``. With ``lookback``, ``from_date`` and ``rows`` include the lookback.

    ``rows`` is the sum of ``added``, ``changed`` and ``unchanged``. ``changed_buckets`` are the starts (ISO 8601, UTC)
    of the first 20 buckets that ``changed`` counts.
    """

    table: str
    added: int
    changed: int
    unchanged: int
    removed: int
    changed_buckets: list[str]


class FileManifest(EventExtra):
    """The return value of ``AngusToObjectStorageOperator``. ``checksum`` is ``sha256:`` and 64 hexadecimal digits."""

    path: str
    bytes: int
    checksum: str
