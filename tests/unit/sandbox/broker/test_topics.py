"""The catalogue of topics: names, settings and partitions, over restarts."""

from pathlib import Path

import pytest

from jitr.sandbox.broker.segment import OpenFiles
from jitr.sandbox.broker.topics import BrokerTopics
from jitr.sandbox.broker.wire.codes import Code, RefusalError


def opened(folder: Path) -> BrokerTopics:
    return BrokerTopics(folder, OpenFiles(), lambda: 1_000.0)


def test_topics_come_back_with_their_settings(tmp_path: Path) -> None:
    topics = opened(tmp_path)
    topics.create("a", 3, {"retention.ms": "5000"})
    topics.grow("a", 5)
    topics.configure("a", {"retention.ms": "6000", "cleanup.policy": "compact"})
    topics.configure("a", {"retention.ms": "1"}, validate_only=True)
    again = opened(tmp_path).existing("a")
    assert len(again.partitions) == 5
    assert again.config.retention_ms == 6000 and again.config.compacts
    assert again.partitions[4].config is again.config


def test_a_deleted_topic_leaves_nothing(tmp_path: Path) -> None:
    topics = opened(tmp_path)
    topics.create("a", 2, {})
    topics.delete("a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RefusalError):
        topics.delete("a")


def test_what_was_stopped_while_it_was_made_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "half" / "0").mkdir(parents=True)
    assert list(opened(tmp_path)) == []
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a b", "ä", "x" * 250, "a\x00"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusalError) as refused:
        opened(tmp_path).create(name, 1, {})
    assert refused.value.code is Code.INVALID_TOPIC_EXCEPTION


def test_partitions_have_a_limit(tmp_path: Path) -> None:
    for count in (0, -1, 10_001, 2**31 - 1):
        with pytest.raises(RefusalError) as refused:
            opened(tmp_path).create("a", count, {})
        assert refused.value.code is Code.INVALID_PARTITIONS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("no.such", "1"),
        ("retention.ms", "-2"),
        ("segment.bytes", "10"),
        ("cleanup.policy", "shred"),
        ("min.cleanable.dirty.ratio", "2"),
        ("message.timestamp.type", "LogAppendTime"),
    ],
)
def test_a_setting_that_cannot_be_kept_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(RefusalError) as refused:
        opened(tmp_path).create("a", 1, {name: value})
    assert refused.value.code is Code.INVALID_CONFIG
    assert name in refused.value.message
