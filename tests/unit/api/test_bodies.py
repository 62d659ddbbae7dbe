from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.api.bodies import MAX_BODY_BYTES, BodyDecoder, BodyError


def decode(encoding: str | None, *chunks: bytes) -> bytes:
    decoder = BodyDecoder(encoding)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.finish()


@pytest.mark.parametrize("encoding", [None, "", "identity", "gzip", " GZIP "])
@given(data=st.binary(), size=st.integers(1, 50))
def test_decoder_returns_body_for_any_chunk_size(encoding: str | None, data: bytes, size: int) -> None:
    sent = gzip.compress(data) if encoding and "gzip" in encoding.lower() else data
    assert decode(encoding, *(sent[start : start + size] for start in range(0, len(sent), size))) == data


@pytest.mark.parametrize("encoding", [None, "gzip"])
@pytest.mark.parametrize("chunks", [[], [b""]])
def test_decoder_without_data_returns_empty_body(encoding: str | None, chunks: list[bytes]) -> None:
    assert decode(encoding, *chunks) == b""


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x" * 1000])
def test_decoder_other_encoding_raises(encoding: str) -> None:
    with pytest.raises(BodyError, match="^Content-Encoding: expected gzip or none$"):
        BodyDecoder(encoding)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"no gzip", "invalid gzip"),
        (gzip.compress(b"text", mtime=0)[:-9], "incomplete gzip"),
        (gzip.compress(b"text", mtime=0) + b"more", "data after the end of gzip"),
        (gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0), "data after the end of gzip"),
        (zlib.compress(b"text"), "invalid gzip"),
    ],
)
def test_decoder_invalid_gzip_raises(data: bytes, problem: str) -> None:
    with pytest.raises(BodyError, match=problem):
        decode("gzip", data)


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_decoder_limits_size_to_64_mib(encoding: str | None) -> None:
    def encode(data: bytes) -> bytes:
        return gzip.compress(data, 1) if encoding else data

    largest = bytes(MAX_BODY_BYTES)
    assert decode(encoding, encode(largest)) == largest
    with pytest.raises(BodyError, match="larger than 64 MiB"):
        decode(encoding, encode(largest + b"!"))
