"""What our processes log, without secrets: what identifies or unlocks is replaced as in calls."""

from __future__ import annotations

import logging
from typing import Final

from jitr.models.redaction.redaction import Redaction
from jitr.schemas.settings import Settings
from jitr.schemas.urls import safe_text

FORM: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


class SafeFormatter(logging.Formatter):
    """Formats a record, traceback and all, and replaces what redaction replaces.

    Credentials in URLs go whatever the settings say.

    Parameters
    ----------
    settings : Settings

    Examples
    --------
    >>> record = logging.LogRecord("x", 30, "f", 1, "%s, %s", ("http://a:pw@host", "ann@example.org"), None)
    >>> SafeFormatter(Settings()).format(record).partition("x ")[2]
    'http://[key]@host, [email]'
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(FORM)
        self._redact: Final = Redaction(settings)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return self._redact.text(safe_text(super().format(record)))


def log_to_stderr(settings: Settings) -> None:
    """Log what the settings ask for, also what our libraries say."""
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter(settings))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
