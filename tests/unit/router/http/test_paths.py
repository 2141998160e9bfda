"""No path below /v1 leads out of it, under any reading of it."""

from __future__ import annotations

import posixpath
from urllib.parse import quote, unquote

from hypothesis import example, given
from hypothesis import strategies as st

from jitr.router.http.paths import below_v1

PIECES = ["..", ".", "/", "\\", "%2e", "%2E", "%2f", "%5c", "%25", "2e", ";", "a", "//", "%00", "\u00e9", "?"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("..%252f..%255c")
def test_no_path_that_is_let_through_leads_out(path: str) -> None:
    below = below_v1(f"/v1/{path}")
    if below is None:
        return
    assert below == path and path.isascii()
    read = f"/v1/{path}"
    for _ in range(6):
        for seen in (read, read.replace("\\", "/"), "/".join(s.partition(";")[0] for s in read.split("/"))):
            assert posixpath.normpath(seen).removeprefix("//").lstrip("/").startswith("v1")
        read = unquote(read)


@given(st.text("abcXYZ019-._~:@!$&'()*+,= \u00e9/", min_size=1, max_size=40))
def test_a_name_that_is_encoded_as_a_client_does_passes(name: str) -> None:
    segments = name.split("/")
    if not any(segment.strip() in (".", "..") for segment in segments):
        assert below_v1(f"/v1/models/{quote(name, safe='')}") == f"models/{quote(name, safe='')}"
