"""How the bytes of an answer become its body: unpacked, and no more of them than a limit. Pure: knows no HTTP library.

Both drivers hand over what came over the wire, for their libraries unpack without a limit: a few kilobytes of gzip may
become gigabytes.
"""

from __future__ import annotations

import zlib

#: The largest body there may be, in bytes: ten years by hour, all metrics, on one page have less.
LARGEST = 64 << 20

#: What is asked for, as the header ``Accept-Encoding``.
ENCODING = "gzip"

_GZIP = 16 + zlib.MAX_WBITS


class BodyError(ValueError):
    """A body that is too large, or not packed as it says."""


class Body:
    """A body on its way.

    :param encoding: the answer's ``Content-Encoding``; empty or ``identity``: it is not packed.
    :raises BodyError: it is packed in another way than was asked for.
    """

    def __init__(self, encoding: str | None) -> None:
        encoding = (encoding or "identity").strip().lower()
        if encoding not in {ENCODING, "identity"}:
            raise BodyError("it is packed in a way that nobody asked for")
        self._unpacker = zlib.decompressobj(_GZIP) if encoding == ENCODING else None
        self._body = bytearray()
        self._empty = True

    def feed(self, data: bytes) -> None:
        """Take what came over the wire.

        :raises BodyError: it is no gzip, or the body is larger than 64 MiB.
        """
        self._empty = self._empty and not data
        if self._unpacker is None:
            self._body += data
        else:
            try:
                self._body += self._unpacker.decompress(data, LARGEST + 1 - len(self._body))
            except zlib.error as error:
                raise BodyError(f"it is no gzip ({error})") from error
            if self._unpacker.unused_data:
                raise BodyError("something follows its gzip")
        if len(self._body) > LARGEST:
            raise BodyError(f"it is larger than {LARGEST >> 20} MiB")

    def whole(self) -> bytes:
        """Return the body, at its end.

        :raises BodyError: what was packed is not there to its end.
        """
        if self._unpacker is not None and not self._empty and not self._unpacker.eof:
            raise BodyError("its gzip has no end")
        return bytes(self._body)
