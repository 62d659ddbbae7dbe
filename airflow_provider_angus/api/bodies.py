"""Decode the body of a response, up to a size limit. Pure: no HTTP library.

Both drivers pass the bytes as received, because their libraries decompress without a limit: a few kilobytes of gzip can
expand to gigabytes.
"""

from __future__ import annotations

import zlib

#: The largest decoded body, in bytes. Ten years by the hour with all metrics on one page are smaller.
MAX_BODY_BYTES = 64 << 20

#: The value of the header ``Accept-Encoding``.
ACCEPT_ENCODING = "gzip"


class BodyError(ValueError):
    """A body that is too large or not encoded as its headers say."""


class BodyDecoder:
    """Collect and decode a body.

    :param encoding: the header ``Content-Encoding``; None, empty or ``identity``: not encoded.
    :raises BodyError: an encoding that was not requested.
    """

    def __init__(self, encoding: str | None) -> None:
        encoding = (encoding or "identity").strip().lower()
        if encoding not in {ACCEPT_ENCODING, "identity"}:
            raise BodyError(f"Content-Encoding: expected {ACCEPT_ENCODING} or none")
        self._decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == ACCEPT_ENCODING else None
        self._body = bytearray()
        self._empty = True

    def feed(self, data: bytes) -> None:
        """Add bytes as received.

        :raises BodyError: invalid gzip, or more than :data:`MAX_BODY_BYTES` bytes.
        """
        self._empty = self._empty and not data
        if self._decompressor is None:
            self._body += data
        else:
            try:
                self._body += self._decompressor.decompress(data, MAX_BODY_BYTES + 1 - len(self._body))
            except zlib.error as error:
                raise BodyError(f"invalid gzip ({error})") from error
            if self._decompressor.unused_data:
                raise BodyError("data after the end of gzip")
        if len(self._body) > MAX_BODY_BYTES:
            raise BodyError(f"larger than {MAX_BODY_BYTES >> 20} MiB")

    def finish(self) -> bytes:
        """Return the decoded body.

        :raises BodyError: the gzip data is incomplete.
        """
        if self._decompressor is not None and not self._empty and not self._decompressor.eof:
            raise BodyError("incomplete gzip")
        return bytes(self._body)
