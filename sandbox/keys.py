"""Keys of one machine's own, so that its gateway, worker and user sign as they would in production."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from jitr.schemas.sections import SigningSettings


def own_keys(folder: Path, user: str) -> SigningSettings:
    """The keys in a folder's ``signing.json``, which is made, for its owner alone to read, where it is not.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = own_keys(Path(folder), "ada")
    ...     oct((Path(folder) / "signing.json").stat().st_mode & 0o777), own_keys(Path(folder), "ada") == made
    ('0o600', True)
    """
    file = folder / "signing.json"
    if file.exists():
        return msgspec.json.decode(file.read_bytes(), type=SigningSettings)
    made = SigningSettings(
        gateway_keys=secrets.token_hex(32),
        worker_keys=secrets.token_hex(32),
        people={user: secrets.token_hex(32)},
    )
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(msgspec.json.encode(made))
    return made
