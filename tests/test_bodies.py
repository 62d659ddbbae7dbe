"""Bytes that come over the wire and the body that they are: unpacked, whole, and not too large."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_angus.bodies import LARGEST, Body, BodyError


def whole(encoding: str | None, *chunks: bytes) -> bytes:
    body = Body(encoding)
    for chunk in chunks:
        body.feed(chunk)
    return body.whole()


@given(data=st.binary(), size=st.integers(1, 50))
def test_a_body_is_the_same_packed_or_not_and_in_whatever_pieces(data: bytes, size: int) -> None:
    for encoding, sent in ((None, data), ("", data), ("identity", data), (" GZIP ", gzip.compress(data))):
        assert whole(encoding, *(sent[start : start + size] for start in range(0, len(sent), size))) == data


def test_nothing_at_all_is_an_empty_body_whatever_it_says() -> None:
    assert whole("gzip") == whole(None) == b""


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x" * 1000])
def test_what_was_not_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(BodyError, match="that nobody asked for"):
        Body(encoding)


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        (b"no gzip", "no gzip"),
        (gzip.compress(b"text", mtime=0)[:-9], "no end"),
        (gzip.compress(b"text", mtime=0) + b"more", "something follows"),
        (gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0), "something follows"),
        (zlib.compress(b"text"), "no gzip"),
    ],
)
def test_what_is_not_packed_as_it_says_is_refused(sent: bytes, wrong: str) -> None:
    with pytest.raises(BodyError, match=wrong):
        whole("gzip", sent)


def test_the_largest_body_is_taken_and_one_byte_more_is_not_packed_or_not() -> None:
    largest = bytes(LARGEST)
    assert whole(None, largest) == largest == whole("gzip", gzip.compress(largest, 1))
    for encoding, sent in ((None, largest + b"!"), ("gzip", gzip.compress(largest + b"!", 1))):
        with pytest.raises(BodyError, match="larger than 64 MiB"):
            whole(encoding, sent)
