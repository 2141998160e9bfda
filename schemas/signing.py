"""Who made an event: HMAC-SHA256 over its topic, its attributes and its data, under a key of its maker's.

The signature travels beside the event (CloudEvents attribute ``jitrsig``: key id, dot, hexadecimal digits),
so that it covers every byte of what the event says: of a call its decision, the request and both answers.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from jitr.schemas.authors import FORGED, UNCHECKED, UNSIGNED, Author, Maker, Seal
from jitr.schemas.errors import ConfigError
from jitr.schemas.topics import Topics

if TYPE_CHECKING:
    from jitr.schemas.events import Event
    from jitr.schemas.sections import SigningSettings
    from jitr.schemas.settings import Settings

UNSIGNED_MODE: Final = (
    "no key of [signing] is set: whoever can write to Kafka can move routes; see docs/security.md"
)


class Signing:
    """Signs what a process makes, and knows who made what it reads.

    Parameters
    ----------
    settings : Settings

    Examples
    --------
    >>> from jitr.schemas.events import decode_events, encode_batch
    >>> from jitr.schemas.sections import SigningSettings
    >>> from jitr.schemas.settings import Settings
    >>> from jitr.schemas.tasks import TaskCommand
    >>> keys = SigningSettings(people={"ada": "a" * 32})
    >>> signing = Signing(Settings(signing=keys))
    >>> word = TaskCommand(id="w", tenant="t", time=1.0, verb="merge", task="k", by="ada")
    >>> seal = signing.seal("person", "jitr.unmatched", "ada")
    >>> value, headers = encode_batch([("w", 1.0, word)], source="/cli", seal=seal)
    >>> (event,) = decode_events(value, headers, fallback_id="", fallback_time=0.0)
    >>> signing.author("jitr.unmatched", event).name, signing.author("jitr.evidence", event).kind
    ('ada', 'forged')
    """

    def __init__(self, settings: Settings) -> None:
        keys = settings.signing
        self._keys: Final = {
            key_id(secret): (secret.encode(), kind, name) for kind, name, secret in _secrets(keys)
        }
        self._first: Final = {
            (kind, name): next(iter(words), None)
            for kind, name, words in (
                ("gateway", "", keys.gateway_keys.split()),
                ("worker", "", keys.worker_keys.split()),
                *(("person", name, words.split()) for name, words in keys.people.items()),
            )
        }
        self._makers: Final = _makers(settings.topics)
        self.on: Final = bool(self._keys)

    def seal(self, kind: Maker, topic: str, name: str = "") -> Seal | None:
        """What signs events of one maker on a topic; None where it has no key."""
        secret = self._first.get((kind, name))
        if secret is None:
            return None
        id, key = key_id(secret), secret.encode()
        return lambda type, source, event_id, data: f"{id}.{_mac(key, topic, type, source, event_id, data)}"

    def author(self, topic: str, event: Event) -> Author:
        """Who made an event that was read from a topic."""
        if not self.on:
            return UNCHECKED
        id, _, mac = event.signature.partition(".")
        if not id:
            return UNSIGNED
        known = self._keys.get(id)
        if known is None:
            return FORGED
        secret, kind, name = known
        wanted = _mac(secret, topic, event.type, event.source, event.id, event.data)
        if not mac.isascii() or not hmac.compare_digest(wanted, mac):
            return FORGED
        return Author(kind, name, id)

    def admitted(self, topic: str, event: Event) -> Author:
        """Who made an event, if it may stand on the topic.

        Raises
        ------
        RecordError
            Where only makers with a key may write, and none of them has made it.
        """
        author = self.author(topic, event)
        makers = self._makers.get(topic)
        if makers is not None:
            author.must_be(*makers)
        return author

    def must_serve_a_worker(self) -> None:
        """Raise a `ConfigError` unless a worker can check what it reads and sign what it makes.

        With no key at all it can: then everybody is believed.
        """
        lacking = [
            f"signing.{kind}_keys" for kind in ("gateway", "worker") if not self._first.get((kind, ""))
        ]
        if self.on and lacking:
            raise ConfigError(
                f"{' and '.join(lacking)}: not set, though other keys of [signing] are; a worker checks the"
                " gateway's stamps and signs its own evidence: set both, or no key at all"
            )


def key_id(secret: str) -> str:
    """The public name of a key: a short hash of it.

    Examples
    --------
    >>> key_id("a" * 32)
    'b4a6087f'
    """
    return sha256(b"jitr key id\0" + secret.encode()).hexdigest()[:8]


def person(settings: SigningSettings, user: str) -> str | None:
    """In whose name a command is signed; None where there is no person's key.

    Parameters
    ----------
    settings : SigningSettings
    user : str
        The name of the system's user: theirs by default, if they have a key.

    Raises
    ------
    ConfigError
        If it cannot be told, or has no key.
    """
    people: Mapping[str, str] = settings.people
    if not people:
        return None
    name = settings.person or (user if user in people else next(iter(people)) if len(people) == 1 else "")
    if name not in people:
        given = repr(settings.person) if settings.person else f"none, and {user!r} has no key"
        raise ConfigError(f"signing.person: {given}; whose key signs? One of: {', '.join(sorted(people))}")
    return name


def _secrets(keys: SigningSettings) -> list[tuple[Maker, str, str]]:
    found: list[tuple[Maker, str, str]] = [("gateway", "", word) for word in keys.gateway_keys.split()]
    found += [("worker", "", word) for word in keys.worker_keys.split()]
    return found + [("person", name, word) for name, words in keys.people.items() for word in words.split()]


def _makers(topics: Topics) -> dict[str, tuple[Maker, ...]]:
    """Who may write what must be signed. Calls are not among them: anybody's are traffic."""
    return {
        topics.unmatched.name: ("worker", "person"),
        topics.task_calls.name: ("worker",),
        topics.trainings.name: ("worker",),
        topics.evidence.name: ("worker", "person"),
    }


def _mac(key: bytes, topic: str, type: str, source: str, id: str, data: bytes) -> str:
    # a JSON array, so that no two lists of attributes are written alike
    head = msgspec.json.encode(("jitr.v1", topic, type, source, id))
    return hmac.digest(key, head + data, "sha256").hex()
