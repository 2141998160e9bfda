"""The JSON Schema files of the wire records, generated: `python -m jitr.schemas.jsonschema`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from jitr.schemas.calls import Call
from jitr.schemas.evidence import Evidence
from jitr.schemas.metrics import MetricsWindow
from jitr.schemas.routes import Transition
from jitr.schemas.tasks import Task, TaskCall, TaskCommand
from jitr.schemas.trainings import Training

FOLDER = Path(__file__).parent / "json"
RECORDS: dict[str, Any] = {
    kind.event_type: kind for kind in (Call, Task, TaskCall, TaskCommand, Training, Transition, MetricsWindow)
} | {"dev.jitr.evidence.v1": Evidence}


def files() -> dict[str, bytes]:
    """The schema files by name.

    Examples
    --------
    >>> sorted(files())[0]
    'dev.jitr.evidence.v1.json'
    """
    return {f"{name}.json": _schema(name, kind) for name, kind in RECORDS.items()}


def _schema(name: str, kind: Any) -> bytes:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:jitr:{name}",
        **msgspec.json.schema(kind),
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"


def write(folder: Path = FOLDER) -> None:
    """Write every file into a folder."""
    folder.mkdir(exist_ok=True)
    for name, text in files().items():
        (folder / name).write_bytes(text)


if __name__ == "__main__":
    write()
