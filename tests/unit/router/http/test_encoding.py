"""Content codings are undone exactly, within a bound, whatever the bytes are."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from jitr.router.http.encoding import EncodingError, decoded

CODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("coding", CODE)
@given(body=st.binary(max_size=2000))
def test_what_was_coded_comes_back_within_the_bound_and_not_beyond_it(coding: str, body: bytes) -> None:
    coded = CODE[coding](body)
    assert decoded(coded, coding.upper(), len(body)) == body
    if body:
        with pytest.raises(EncodingError, match="more than"):
            decoded(coded, coding, len(body) - 1)
        with pytest.raises(EncodingError, match="ends early"):
            decoded(coded[: len(coded) // 2], coding, 10_000)
        assert body.startswith(decoded(coded[:-1], coding, 10_000, whole=False))


@pytest.mark.parametrize("coding", [*CODE, "gzip, br", "", "identity", "compress", ", ,"])
@given(body=st.binary(max_size=300))
def test_no_bytes_make_it_fail_otherwise(coding: str, body: bytes) -> None:
    try:
        assert len(decoded(body, coding, 100)) <= 100
    except EncodingError as error:
        assert str(error)


def test_the_last_coding_named_is_undone_first() -> None:
    assert decoded(brotli.compress(gzip.compress(b"spam")), "gzip, br", 100) == b"spam"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_are_read_one_after_another_and_not_without_end(coding: str) -> None:
    code = CODE[coding]
    assert decoded(code(b"sp") + code(b"am"), coding, 4) == b"spam"
    assert decoded(code(b"x") * 16, coding, 100) == b"x" * 16
    with pytest.raises(EncodingError, match="more than 16"):
        decoded(code(b"x") * 17, coding, 100)


def test_raw_deflate_is_read_as_some_servers_send_it() -> None:
    assert decoded(zlib.compress(b"spam")[2:-4], "deflate", 4) == b"spam"
