"""The one tree of errors.

Every message says what was given, what was expected and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class JitrError(Exception):
    """Anything that jitr raises on purpose."""


class ConfigError(JitrError):
    """A setting is missing, unknown or out of range."""


class RecordError(JitrError):
    """A record on the wire cannot be read.

    Parameters
    ----------
    reason : str
        What was given and what was expected.
    field : str
        Path of the field at fault, for example ``$.messages[0].role``; empty where none is.
    stage : str
        Where reading stopped: ``envelope``, ``dialect``, ``record`` or the name of an agent.

    Examples
    --------
    >>> str(RecordError("expected `str`, got `int`", field="$.model"))
    '$.model: expected `str`, got `int`'
    """

    def __init__(self, reason: str, *, field: str = "", stage: str = "record") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field
        self.stage = stage


class TransitionError(JitrError):
    """A command does not fit the state that a route is in."""


class NotFoundError(JitrError):
    """There is no such task, decision or record."""


class ArtifactError(JitrError):
    """A surrogate's folder is damaged, foreign or not what its digest says."""


class WeightsError(JitrError):
    """The weights of an encoder are not here, or are not the pinned ones."""


class TrainingError(JitrError):
    """A surrogate could not be trained from this data under these limits."""


class UnavailableError(JitrError):
    """A server that is needed (Kafka, Redis, the LLM) does not answer."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Hint at the known name nearest to a wrong one, or nothing.

    Examples
    --------
    >>> nearest("trget", ["target", "delta"])
    '; did you mean `target`?'
    >>> nearest("zzz", ["target", "delta"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
