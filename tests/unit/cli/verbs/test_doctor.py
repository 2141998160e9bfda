"""The doctor says what cannot be read, and what mends it."""

import pytest
from aiokafka import codec

from jitr.cli.verbs.doctor import _codecs


def test_codecs_of_kafka_are_there() -> None:
    found = _codecs()
    assert (found.good, found.says) == (True, "gzip, snappy, lz4, zstd")


def test_a_codec_that_is_missing_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "cramjam", None)
    found = _codecs()
    assert (found.good, found.needed) == (False, True)
    assert (found.says, found.mend) == ("snappy, lz4, zstd cannot be read", "pip install cramjam")
