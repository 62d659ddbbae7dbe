"""Asset URIs of streams: ``angus://<stream>/entities`` names the entities of one stream."""

from __future__ import annotations

from urllib.parse import SplitResult

ENTITIES_PATH = "/entities"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the canonical form of an asset URI. Airflow calls it for each asset with the scheme ``angus``.

    :param uri: ``angus://<stream>/entities``. The stream is a client ID; it becomes lower case, like a host.
    :raises ValueError: the URI has no stream, another path, or a query. Airflow expects this class of error.
    """
    if not uri.netloc or uri.path.rstrip("/") != ENTITIES_PATH or uri.query:
        raise ValueError(f"URI format angus:// must be angus://<stream>{ENTITIES_PATH}, got {uri.geturl()!r}.")
    return uri._replace(netloc=uri.netloc.lower(), path=ENTITIES_PATH)
