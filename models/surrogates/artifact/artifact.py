"""A surrogate on disk: a folder of JSON and safetensors, named by its digest, read as if by an enemy's hand.

``manifest.json`` names every file that answers depend on with its sha256; the digest of the artifact is the
sha256 over these. The upper layers of a tuned encoder are among them, as arrays. ``measured.json`` (what this
machine took), ``certificate.json``, ``card.md`` and its plots stand beside them and are not part of the
digest, for they are made later or differ from machine to machine.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from jitr.models.answers.styles import Style
from jitr.models.surrogates.artifact.budget import Budget as Budget  # for who saves an artifact
from jitr.models.surrogates.confusion import Confusion
from jitr.models.surrogates.heads.fields import FieldSpec
from jitr.schemas.errors import ArtifactError
from jitr.schemas.tasks import OutputKind

FORMAT = 3
MANIFEST, ARRAYS, GRAMS = "manifest.json", "model.safetensors", "ngrams.json"
MEASURED, CARD, CERTIFICATE = "measured.json", "card.md", "certificate.json"
_LARGEST = {MANIFEST: 16 << 20, ARRAYS: 1 << 30, GRAMS: 64 << 20, MEASURED: 1 << 20, CERTIFICATE: 4 << 20}
_LARGEST_HEADER = 1 << 20


class FileDigest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file must be."""

    sha256: str
    size: int


class EncoderRef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sentence encoder that a surrogate reads through: found by name, accepted by digest.

    ``sha256`` is that of its file, ``form`` covers how it is run too; artifacts of before there was a form
    have none. So many of its ``upper`` layers are the surrogate's own, among its arrays: in the place of its
    own ones, or ``beside`` them.
    """

    name: str
    sha256: str
    form: str = ""
    upper: Annotated[int, msgspec.Meta(ge=0)] = 0
    beside: bool = False


class FieldEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field and the kind of its head."""

    spec: FieldSpec
    head: str


class Lineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a surrogate comes from; rows of the parts before ``since_offset`` were left out.

    ``code`` is the version of jitr and the revision of what trains.
    """

    parts: tuple[str, ...]
    dataset: str
    code: str
    seed: int
    since_offset: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a surrogate but its arrays.

    ``shares`` (strictest first), ``thresholds`` and ``forecast_agreement`` are the forecast: they fix the
    order of thresholds before the shadow run. ``accuracy`` is the out-of-sample agreement on all ``rows``.
    ``partner`` is an encoder that is read side by side with ``encoder``.
    """

    format: int = FORMAT
    version: str
    task: str
    kind: OutputKind
    candidate: str
    encoders: str
    encoder: EncoderRef | None
    partner: EncoderRef | None = None
    fields: tuple[FieldEntry, ...]
    renderings: dict[str, str]
    style: Style | None
    files: dict[str, FileDigest]
    shares: tuple[float, ...]
    thresholds: tuple[float, ...]
    forecast_agreement: tuple[float, ...]
    accuracy: float
    rows: int
    calls: int
    conflicts: int
    self_agreement: float | None
    lineage: Lineage
    budget: Budget = Budget()


class RaceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate of a race: how far it came, and why it lost (empty for the winner).

    ``curve`` holds labels and agreement of every round. ``size_mb`` is resident memory with all encoders, as
    `Limits.max_ram_mb` counts it; that of `Measured` is the folder's, on disk.
    """

    candidate: str
    rows: int = 0
    accuracy: float = 0.0
    coverage: float = 0.0
    seconds: float = 0.0
    size_mb: float = 0.0
    p99_ms: float = 0.0
    lost: str = ""
    curve: tuple[tuple[int, float], ...] = ()


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What training and answering took on the machine that trained, and what the card shows besides."""

    train_s: float = 0.0
    p99_ms: float = 0.0
    size_mb: float = 0.0
    race: tuple[RaceEntry, ...] = ()
    confusion: Confusion | None = None


def write_artifact(
    folder: Path,
    manifest: Manifest,
    arrays: Mapping[str, NDArray[Any]],
    grams: tuple[str, ...] | None,
    measured: Measured,
    pages: Callable[[Measured], Mapping[str, str]],
) -> str:
    """Write a folder aside and rename it into place; one that is there already stays.

    Parameters
    ----------
    folder : Path
        Where it will stand; its parent is made.
    manifest : Manifest
        Its ``files`` are filled in here.
    measured : Measured
        Its ``size_mb`` too: manifest, arrays and n-grams together.
    pages : callable
        Writes the card and its plots, by name, once the size is known.

    Returns
    -------
    str
        The artifact's digest.
    """
    payload = {ARRAYS: safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in arrays.items()})}
    if grams is not None:
        payload[GRAMS] = msgspec.json.encode(grams)
    files = {name: FileDigest(sha256=_sha256(data), size=len(data)) for name, data in payload.items()}
    manifest = msgspec.structs.replace(manifest, files=files)
    payload[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
    size_mb = sum(map(len, payload.values())) / 1e6
    measured = msgspec.structs.replace(measured, size_mb=round(size_mb, 3))
    payload[MEASURED] = msgspec.json.format(msgspec.json.encode(measured), indent=1)
    payload |= {name: text.encode("utf-8", "replace") for name, text in pages(measured).items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name, data in payload.items():
        with (aside / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    try:
        aside.rename(folder)
    except OSError:  # another worker was faster: the same data and recipe gave the same folder
        shutil.rmtree(aside)
        if not (folder / MANIFEST).is_file():
            raise
    return read_manifest(folder)[1]


def read_manifest(folder: Path, digest: str | None = None) -> tuple[Manifest, str]:
    """Read and check a manifest, and the artifact's digest as the manifest gives it.

    Raises
    ------
    ArtifactError
        The manifest is missing, malformed, of a foreign format, or not what ``digest`` says.
    """
    data = _read(folder, MANIFEST)
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(
            f"{folder}/{MANIFEST} is no manifest: {error}; fetch or train it again"
        ) from error
    if manifest.format != FORMAT:
        raise ArtifactError(
            f"{folder} has format {manifest.format}, this jitr reads {FORMAT}; train the surrogate again"
        )
    if not set(manifest.files) <= {ARRAYS, GRAMS} or ARRAYS not in manifest.files:
        raise ArtifactError(f"{folder}/{MANIFEST} names files that no artifact has: {sorted(manifest.files)}")
    lines = [f"{MANIFEST} {_sha256(data)}"] + [f"{n} {f.sha256}" for n, f in manifest.files.items()]
    found = _sha256("\n".join(sorted(lines)).encode())
    if digest is not None and found != digest:
        raise ArtifactError(f"{folder} has digest {found}, the route asks for {digest}; fetch it again")
    series = (manifest.shares, manifest.thresholds, manifest.forecast_agreement)
    falling = all(a >= b for a, b in zip(manifest.thresholds, manifest.thresholds[1:], strict=False))
    if len({len(s) for s in series}) != 1 or not falling:
        raise ArtifactError(
            f"{folder}/{MANIFEST}: shares, thresholds and forecast do not fit; train it again"
        )
    return manifest, found


class Payload(NamedTuple):
    """What answers depend on besides the manifest: arrays and n-grams."""

    arrays: dict[str, NDArray[Any]]
    grams: tuple[str, ...] | None


def read_payload(folder: Path, manifest: Manifest) -> Payload:
    """Read the other files, each checked against the manifest before it is parsed.

    Raises
    ------
    ArtifactError
        A file is missing, a link, too large, of another digest, or malformed.
    """
    data = {name: _verified(folder, name, want) for name, want in manifest.files.items()}
    raw = data[ARRAYS]
    header = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or header > min(_LARGEST_HEADER, len(raw) - 8):
        raise ArtifactError(f"{folder}/{ARRAYS} claims a header of {header} bytes; it is damaged or hostile")
    try:
        arrays = safetensors.numpy.load(raw)
        grams = msgspec.json.decode(data[GRAMS], type=tuple[str, ...]) if GRAMS in data else None
    except Exception as error:  # safetensors raises a type of its own
        raise ArtifactError(f"{folder} cannot be read: {error}; fetch or train it again") from error
    for name, array in arrays.items():
        with np.errstate(over="ignore"):  # what single precision does not hold becomes infinite
            held = np.asarray(array, np.float32) if array.dtype.kind in "iuf" else np.array(np.nan)
        if not np.isfinite(held).all():
            raise ArtifactError(f"{folder}/{ARRAYS}: `{name}` holds what is no finite number; train it again")
    return Payload(arrays, grams)


def read_measured(folder: Path) -> Measured:
    """What was measured when it was trained; nothing where that is not told."""
    try:
        return msgspec.json.decode(_read(folder, MEASURED), type=Measured)
    except (ArtifactError, msgspec.DecodeError):
        return Measured()


class _Bar(msgspec.Struct, frozen=True):
    threshold: float


class _Proved(msgspec.Struct, frozen=True):
    digest: str
    proof: _Bar | None = None


def read_threshold(folder: Path, digest: str) -> float:
    """The score from which on answers may be accepted, as the folder's certificate says; else infinity.

    A certificate of another artifact, one that proves nothing and one that cannot be read say nothing.
    """
    try:
        found = msgspec.json.decode(_read(folder, CERTIFICATE), type=_Proved)
    except (ArtifactError, msgspec.DecodeError):
        return inf
    return found.proof.threshold if found.proof is not None and found.digest == digest else inf


def _verified(folder: Path, name: str, want: FileDigest) -> bytes:
    data = _read(folder, name)
    if len(data) != want.size or _sha256(data) != want.sha256:
        raise ArtifactError(
            f"{folder}/{name} is not the file that its manifest names; fetch or train it again"
        )
    return data


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise ArtifactError(f"{path} is a link or no plain file; an artifact holds plain files only")
        if found.st_size > _LARGEST[name]:
            raise ArtifactError(f"{path} has {found.st_size} bytes, at most {_LARGEST[name]} are read")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}; fetch or train it again") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
