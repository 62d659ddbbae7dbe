"""What ``angus://`` URIs of assets mean: ``angus://<stream>/entities`` is what a camera has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult

PATH = "/entities"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the one form of an asset's URI; Airflow calls it for each asset of the scheme ``angus``.

    :param uri: ``angus://<stream>/entities``, the stream being its client ID.
    :returns: the same with the stream in lower case, as hosts are.
    :raises ValueError: it has no stream, another path, or a query (what Airflow expects of it).
    """
    if not uri.netloc or uri.path.rstrip("/") != PATH or uri.query:
        raise ValueError(f"URI format angus:// must be angus://<stream>{PATH}, got {uri.geturl()!r}.")
    return uri._replace(netloc=uri.netloc.lower(), path=PATH)
