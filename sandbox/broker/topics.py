"""The topics of the broker: their names, partitions and settings, kept in one folder each."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.segment import OpenFiles
from jitr.sandbox.broker.topic_config import TopicConfig
from jitr.sandbox.broker.wire.codes import Code, RefusalError

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_FILE = "topic.json"
_MOST_PARTITIONS = 10_000  # of the broker: one client must not fill the disk with empty folders


class _Stored(msgspec.Struct, frozen=True):
    partitions: int
    config: dict[str, str]


@dataclass(slots=True)
class BrokerTopic:
    """One topic with its partitions in order."""

    name: str
    config: TopicConfig
    partitions: list[PartitionLog]


class BrokerTopics:
    """All topics under a folder; what lies there at the start is taken up again.

    Parameters
    ----------
    folder : Path
        `<folder>/<topic>/<partition>/`; made if missing.
    files : OpenFiles
        Descriptors of all segments.
    clock : callable
        Unix time in seconds.
    """

    def __init__(self, folder: Path, files: OpenFiles, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._files = files
        self._clock = clock
        self._topics: dict[str, BrokerTopic] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            if (path / _FILE).exists():
                stored = msgspec.json.decode((path / _FILE).read_bytes(), type=_Stored)
                self._open(path.name, stored)
            elif path.is_dir():
                shutil.rmtree(path)  # stopped while it was created or deleted

    def _open(self, name: str, stored: _Stored) -> BrokerTopic:
        config = TopicConfig.of(stored.config)
        topic = BrokerTopic(name, config, [self._log(name, i, config) for i in range(stored.partitions)])
        self._topics[name] = topic
        return topic

    def _log(self, name: str, partition: int, config: TopicConfig) -> PartitionLog:
        return PartitionLog(self._folder / name / str(partition), config, self._files, self._clock)

    def __iter__(self) -> Iterator[BrokerTopic]:
        return iter(list(self._topics.values()))

    def get(self, name: str) -> BrokerTopic | None:
        return self._topics.get(name)

    def existing(self, name: str) -> BrokerTopic:
        """The topic of that name.

        Raises
        ------
        RefusalError
            UNKNOWN_TOPIC_OR_PARTITION.
        """
        topic = self._topics.get(name)
        if topic is None:
            raise RefusalError(Code.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name[:249]!r}")
        return topic

    def log(self, name: str, partition: int) -> PartitionLog:
        """The log of one partition.

        Raises
        ------
        RefusalError
            UNKNOWN_TOPIC_OR_PARTITION.
        """
        topic = self.existing(name)
        if not 0 <= partition < len(topic.partitions):
            raise RefusalError(Code.UNKNOWN_TOPIC_OR_PARTITION, f"{name} has no partition {partition}")
        return topic.partitions[partition]

    def check_new(self, name: str, partitions: int, config: Mapping[str, str | None]) -> TopicConfig:
        """The settings of a topic that could be created so.

        Raises
        ------
        RefusalError
            INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS or INVALID_CONFIG.
        """
        if not _NAME.fullmatch(name) or name in {".", ".."}:
            raise RefusalError(
                Code.INVALID_TOPIC_EXCEPTION, f"{name[:249]!r} is no name of 1-249 letters, digits, . _ and -"
            )
        if name in self._topics:
            raise RefusalError(Code.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        self._check_room(partitions)
        return TopicConfig.of(config)

    def _check_room(self, more: int) -> None:
        taken = sum(len(topic.partitions) for topic in self._topics.values())
        if not 1 <= more <= _MOST_PARTITIONS - taken:
            raise RefusalError(
                Code.INVALID_PARTITIONS,
                f"{more} partitions asked, 1 to {_MOST_PARTITIONS - taken} can be had",
            )

    def create(self, name: str, partitions: int, config: Mapping[str, str | None]) -> BrokerTopic:
        """Make a topic; raises what `check_new` raises."""
        checked = self.check_new(name, partitions, config)
        (self._folder / name).mkdir(exist_ok=True)
        stored = _Stored(partitions, dict(checked.given))
        topic = self._open(name, stored)
        self._save(topic)
        return topic

    def check_grown(self, name: str, partitions: int) -> None:
        """Raises a RefusalError if the topic cannot be given that many partitions in all."""
        held = len(self.existing(name).partitions)
        if partitions <= held:
            raise RefusalError(
                Code.INVALID_PARTITIONS, f"{name} has {held} partitions, {partitions} is not more"
            )
        self._check_room(partitions - held)

    def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions; raises what `check_grown` raises."""
        self.check_grown(name, partitions)
        topic = self.existing(name)
        for i in range(len(topic.partitions), partitions):
            topic.partitions.append(self._log(name, i, topic.config))
        self._save(topic)

    def configure(self, name: str, config: Mapping[str, str | None], *, validate_only: bool = False) -> None:
        """Replace a topic's settings, or only say whether they could be.

        Raises
        ------
        RefusalError
            UNKNOWN_TOPIC_OR_PARTITION or INVALID_CONFIG.
        """
        topic = self.existing(name)
        checked = TopicConfig.of(config)
        if validate_only:
            return
        topic.config = checked
        for log in topic.partitions:
            log.config = topic.config
        self._save(topic)

    def delete(self, name: str) -> None:
        """Remove a topic and its data.

        Raises
        ------
        RefusalError
            UNKNOWN_TOPIC_OR_PARTITION.
        """
        topic = self.existing(name)
        del self._topics[name]
        (self._folder / name / _FILE).unlink()
        for log in topic.partitions:
            log.remove()
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def _save(self, topic: BrokerTopic) -> None:
        path = self._folder / topic.name / _FILE
        part = path.with_suffix(".new")
        part.write_bytes(msgspec.json.encode(_Stored(len(topic.partitions), dict(topic.config.given))))
        part.replace(path)
