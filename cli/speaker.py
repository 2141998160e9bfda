"""In whose name the command speaks: the person whose key signs, or the system's user."""

from __future__ import annotations

import getpass

from jitr.schemas.settings import Settings
from jitr.schemas.signing import person


def speaker(settings: Settings) -> str:
    """The name that stands under a command; without a key it is the user's, and nobody vouches for it.

    Raises
    ------
    ConfigError
        If several people have keys and none is chosen.
    """
    user = getpass.getuser()
    return person(settings.signing, user) or user
