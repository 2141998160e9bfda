"""What is logged is redacted as calls are, tracebacks of libraries included."""

import io
import logging

import pytest

from jitr.cli.logs import SafeFormatter
from jitr.schemas.settings import Settings


@pytest.mark.parametrize(
    ("redact", "left", "url"),
    [(True, "[email]", "redis://[key]@host/0"), (False, "ann@example.org", "redis://me:***@host/0")],
)
def test_a_traceback_shows_no_key_and_no_password(redact, left, url):
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(SafeFormatter(Settings(redact=redact)))
    log = logging.Logger("test")
    log.addHandler(handler)
    try:
        raise ConnectionError("cannot reach redis://me:hunter2x@host/0")
    except ConnectionError:
        log.exception("calling for %s with %s failed", "ann@example.org", "sk-abcdefghijklmnop1234")
    said = out.getvalue()
    assert url in said and "Traceback" in said and "hunter2x" not in said
    assert f"calling for {left} with" in said
    assert ("sk-abc" in said) is not redact
