"""A surrogate at work: loaded from its folder, it answers texts. No torch, scikit-learn or scipy.

surrogate = Surrogate.load("surrogate")
answer = surrogate.answer("where is my card?")
answer.text if answer.score >= surrogate.threshold else ask_the_teacher()
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.paired import PairedEncoder
from jitr.models.encoders.tuned import TunedEncoder, TunedLayers
from jitr.models.encoders.weights import Weights as Weights  # for who loads many surrogates
from jitr.models.promise.gate import Gate
from jitr.models.surrogates.artifact.artifact import (
    EncoderRef,
    Manifest,
    Measured,
    read_manifest,
    read_measured,
    read_payload,
    read_threshold,
)
from jitr.models.surrogates.heads.base import ClassHead, Features, Head, ViewsOf
from jitr.models.surrogates.heads.constant import ConstantHead
from jitr.models.surrogates.heads.linear import LinearHead
from jitr.models.surrogates.heads.number import NumberHead
from jitr.models.surrogates.heads.ridge import RidgeHead
from jitr.models.surrogates.model import FieldModel, Model
from jitr.models.surrogates.out_of_distribution import OutOfDistributionDetector
from jitr.schemas.errors import ArtifactError
from jitr.schemas.labels import has_text

HEADS: Mapping[str, type[ClassHead]] = {head.kind: head for head in (ConstantHead, LinearHead, RidgeHead)}
_BLOCK = 512
_UPPER = "upper."


@dataclass(frozen=True)
class SurrogateAnswer:
    """What a surrogate says: the label in normal form, the teacher's way to write it, how sure the gate is.

    ``score`` is the gate's probability that the teacher would agree; the route's threshold is compared
    with it: accept where ``score >= threshold``. Of an input unlike all that the surrogate has learned from
    it is less by 1, and so below every threshold; so is that of an answer without text.
    """

    label: str
    text: str
    score: float


class Surrogate:
    """One surrogate version, ready to answer from any number of threads.

    Parameters
    ----------
    model : Model
    manifest : Manifest
    digest : str
    measured : Measured
    threshold : float
        Answers of this score or more may be accepted; infinite where no certificate proves any. A route has
        a threshold of its own.
    """

    def __init__(
        self,
        model: Model,
        manifest: Manifest,
        digest: str,
        measured: Measured,
        threshold: float = math.inf,
    ) -> None:
        self.manifest = manifest
        self.digest = digest
        self.measured = measured
        self.threshold = threshold
        self._model = model

    @classmethod
    def load(cls, path: str | Path, digest: str | None = None, weights: Weights | None = None) -> Surrogate:
        """Load and verify an artifact.

        Parameters
        ----------
        path : str or Path
            Its folder.
        digest : str, optional
            What the artifact must be; a route always says.
        weights : Weights, optional
            Where encoders come from. Share one among all surrogates of a process: each encoder is loaded
            once.

        Raises
        ------
        ArtifactError
            The folder is damaged, foreign, hostile, not what the digest says, or trained on another form
            of its encoder.
        WeightsError
            Its encoder is not on this machine.
        """
        folder = Path(path)
        manifest, found = read_manifest(folder, digest)
        arrays, grams = read_payload(folder, manifest)
        ngrams = None
        if grams is not None:
            idf = arrays.get("ngrams.idf")
            if idf is None or idf.shape != (len(grams),) or not all(g[:1] in ("w", "c") for g in grams):
                raise ArtifactError(f"{folder}: n-grams and their weights do not fit; train it again")
            ngrams = NgramEncoder(grams, idf)
        encoder, beside = _encoder(folder, manifest, _under(arrays, _UPPER), weights or Weights())
        model = build_model(manifest, arrays, Features(ngrams, encoder, beside))
        return cls(model, manifest, found, read_measured(folder), read_threshold(folder, found))

    def answer(self, text: str) -> SurrogateAnswer:
        """Answer one text."""
        return self.answer_many([text])[0]

    def answer_many(self, texts: Sequence[str], views_of: ViewsOf | None = None) -> list[SurrogateAnswer]:
        """Answer texts in order; the same answers as one by one, faster.

        ``views_of`` gives what the shared encoders have read of these texts before, see `together`.
        """
        answers: list[SurrogateAnswer] = []
        for at in range(0, len(texts), _BLOCK):
            labels, scores = self._model.answer(texts[at : at + _BLOCK], views_of)
            answers += [
                _answer(label, self.render(label), float(score))
                for label, score in zip(labels, scores, strict=True)
            ]
        return answers

    @property
    def encoders(self) -> tuple[OnnxEncoder, ...]:
        """What it reads through, and others may too; each is in memory once."""
        return self._model.features.loaded

    @property
    def shared(self) -> tuple[OnnxEncoder, ...]:
        """Those of them whose views of a text are the same for every surrogate."""
        return self._model.features.shared

    @property
    def ram_mb(self) -> float:
        """Resident memory, less its encoders."""
        return self._model.ram_mb

    def render(self, label: str) -> str:
        """A label as the teacher usually writes it."""
        known = self.manifest.renderings.get(label)
        if known is not None:
            return known
        return self.manifest.style.render(label) if self.manifest.style else label


def _answer(label: str, text: str, score: float) -> SurrogateAnswer:
    return SurrogateAnswer(label, text, score if has_text(text) else score - 1.0)


def _encoder(
    folder: Path, manifest: Manifest, upper: dict[str, NDArray[Any]], weights: Weights
) -> tuple[OnnxEncoder | PairedEncoder | TunedEncoder | None, TunedLayers | None]:
    """The encoder that a manifest names, and the surrogate's own layers where they stand beside it."""
    ref, partner = manifest.encoder, manifest.partner
    if bool(upper) != (ref is not None and ref.upper > 0) or (ref is not None and ref.beside and not upper):
        raise ArtifactError(f"{folder}: its layers and the manifest's encoder do not fit; train it again")
    if partner is not None and (ref is None or ref.upper or partner.upper or partner.beside):
        raise ArtifactError(f"{folder}: its encoder and the partner beside it do not fit; train it again")
    if ref is None:
        return None, None
    encoder = _loaded(folder, ref, weights)
    if partner is not None:
        return PairedEncoder(encoder, _loaded(folder, partner, weights)), None
    if not upper:
        return encoder, None
    spec = weights.spec(ref.name)
    if spec.upper is None or ref.upper > len(spec.layers):
        raise ArtifactError(f"{folder} has more layers of its own than `{ref.name}` names; train it again")
    layers = TunedLayers(upper, spec.upper, encoder.dim, ref.upper)
    return (encoder, layers) if ref.beside else (TunedEncoder(encoder, layers), None)


def _loaded(folder: Path, ref: EncoderRef, weights: Weights) -> OnnxEncoder:
    """An encoder in the very form that the surrogate was trained on."""
    encoder = weights.encoder(ref.name, ref.sha256, 0 if ref.beside else ref.upper)
    if ref.form != encoder.form:  # its rows are others now, and so would be the answers
        raise ArtifactError(
            f"{folder} was trained on `{ref.name}` in form {ref.form[:12] or 'none'}, which runs"
            f" here in form {encoder.form[:12]}; train the surrogate again"
        )
    return encoder


def build_model(manifest: Manifest, arrays: Mapping[str, NDArray[Any]], features: Features) -> Model:
    """Put heads and gates together from a manifest's fields and the arrays of `model_arrays`."""
    if not manifest.fields:
        raise ArtifactError("the manifest has no fields; train the surrogate again")
    fields = []
    for i, entry in enumerate(manifest.fields):
        kind = HEADS.get(entry.head)
        if kind is None:
            raise ArtifactError(f"there is no head `{entry.head}`; known: {', '.join(HEADS)}")
        own = _under(arrays, f"{i}.")
        head: Head
        if entry.spec.scale is not None:
            head = NumberHead.from_arrays(own, kind, entry.spec.scale, features)
        else:
            head = kind.from_arrays(own, len(entry.spec.values), features)
        fields.append(FieldModel(entry.spec, head, Gate.from_arrays(own, head.classes, head.signals)))
    if features.beside is not None and not any(isinstance(field.head, RidgeHead) for field in fields):
        raise ArtifactError(
            "there are tuned layers beside the encoder, and no head reads them; train it again"
        )
    joint = Gate.from_arrays(_under(arrays, "joint."), 1, 2) if len(fields) > 1 else None
    detector = OutOfDistributionDetector.from_arrays(_under(arrays, "out_of_distribution."), features)
    return Model(features, tuple(fields), joint, detector)


def model_arrays(model: Model) -> dict[str, NDArray[Any]]:
    """Every array of a model, under the names by which `build_model` finds them."""
    arrays: dict[str, NDArray[Any]] = {}
    for i, field in enumerate(model.fields):
        arrays |= {f"{i}.{name}": array for name, array in field.head.arrays().items()}
        arrays |= {f"{i}.{name}": array for name, array in field.gate.arrays().items()}
    if model.joint is not None:
        arrays |= {f"joint.{name}": array for name, array in model.joint.arrays().items()}
    if model.detector is not None:
        arrays |= {f"out_of_distribution.{name}": array for name, array in model.detector.arrays().items()}
    if model.features.ngrams is not None:
        arrays["ngrams.idf"] = model.features.ngrams.idf
    if model.features.own_layers is not None:
        arrays |= {f"{_UPPER}{name}": array for name, array in model.features.own_layers.arrays.items()}
    return arrays


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
