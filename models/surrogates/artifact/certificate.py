"""The certificate as a file: what was proved of a surrogate, how, on what, and what was looked at."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from jitr.models.promise.bounds import lower_bound
from jitr.models.surrogates.artifact.artifact import CERTIFICATE
from jitr.models.surrogates.artifact.proof_history import ProofHistory
from jitr.schemas.errors import ArtifactError
from jitr.schemas.routes import Proof, SurrogateRef

_LARGEST = 1 << 22
_LEAST_SLICE = 20


class LabelSlice(msgspec.Struct, frozen=True, kw_only=True):
    """The accepted answers of one label, near-duplicates once, and a lower ``bound`` of their agreement."""

    label: str
    calls: int
    agreed: int
    bound: float


class LookedAt(msgspec.Struct, frozen=True, kw_only=True):
    """What could have been chosen by luck, and what it cost.

    Candidates are chosen on training rows, which spends nothing of delta; thresholds share one delta by
    their fixed order; a look at rows of which any was looked at before has half of the delta before it
    (`jitr.models.surrogates.artifact.proof_history`).

    Attributes
    ----------
    candidates, thresholds : int
        Surrogates that raced; thresholds that could have been proved.
    refits : int
        Looks at these rows before this one: the most at any of them.
    delta : float
        What was left for this one.
    """

    candidates: int
    thresholds: int
    refits: int
    delta: float


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """``certificate.json``.

    ``proof`` is None where nothing was proved; then ``reason`` says why. ``n`` counts the rows that could
    prove, near-duplicates once, or the calls of the shadow run; ``rows`` is the digest of what was held back.
    ``digest`` is that of the artifact. ``proof_history`` remembers every row that was looked at for this or
    an earlier surrogate of the folder.
    """

    kind: Literal["later", "split", "loo"]
    digest: str
    target: float
    delta: float
    proof: Proof | None
    reason: str = ""
    n: int
    rows: str
    coverage: float
    bound: float
    slices: tuple[LabelSlice, ...] = ()
    looked_at: LookedAt
    proof_history: ProofHistory = ProofHistory()

    @property
    def rank(self) -> int:
        """What it is worth beside another: 2 if it is proved, 1 if only measured, 0 if neither."""
        return 0 if self.proof is None else 1 if self.kind == "loo" else 2

    @property
    def proves(self) -> str:
        """What it says, in a sentence."""
        if self.proof is None:
            return f"nothing is proved: {self.reason}"
        how = {
            "later": "proved on calls that came after training",
            "split": "proved on rows held back from training",
            "loo": "measured by leave-one-out, NOT proved",
        }[self.kind]
        return (
            f"{self.coverage:.1%} of calls are accepted, and accepted answers agree with the teacher at least"
            f" {self.target:.1%} of the time with confidence {1 - self.delta:.0%}: {how}"
            f" (n={self.n}, bound {self.bound:.4f})"
        )


def of_route(ref: SurrogateRef, candidates: int) -> Certificate:
    """The certificate of a surrogate that was proved on the stream, as its route tells it.

    Parameters
    ----------
    ref : SurrogateRef
        With its proof.
    candidates : int
        How many raced for it.

    Examples
    --------
    >>> proof = Proof(kind="later", target=0.9, delta=0.05, bound=0.91, calls=150, agreed=149, coverage=0.75,
    ...               threshold=0.8)
    >>> of_route(SurrogateRef(version="v", uri="x", digest="d", encoders="ngrams", proof=proof), 3).n
    200
    """
    proof = ref.proof
    if proof is None:
        raise ValueError(f"surrogate {ref.version} has no proof")
    return Certificate(
        kind=proof.kind,
        digest=ref.digest,
        target=proof.target,
        delta=proof.delta,
        proof=proof,
        n=round(proof.calls / proof.coverage) if proof.coverage else proof.calls,
        rows="",  # calls as they came; nobody kept them
        coverage=proof.coverage,
        bound=proof.bound,
        looked_at=LookedAt(
            candidates=candidates, thresholds=len(ref.thresholds), refits=0, delta=proof.delta
        ),
    )


def slices(
    labels: Sequence[str], accepted: NDArray[np.bool_], agrees: NDArray[np.bool_], delta: float
) -> tuple[LabelSlice, ...]:
    """Counts and bounds by the label said, those with enough accepted calls; most calls first.

    The bounds hold together with probability 1 - delta: each slice has an equal part of it, and which slices
    there are does not hang on what agrees. This delta is their own, beside that of the proof, and holds for a
    threshold that was fixed without these rows, whether or not it would be proved; that the proof chose among
    several on the same rows is not paid for. So they show where errors are, and promise nothing.

    Parameters
    ----------
    labels, accepted, agrees : sequence and arrays of shape (n,)
        What was said of each row, whether it is accepted, whether the teacher agrees; independent rows, so
        only the first of each group of near-duplicates.
    delta : float

    Examples
    --------
    >>> found = slices(["a"] * 60 + ["b"] * 5, np.ones(65, bool), np.ones(65, bool), 0.05)
    >>> [(s.label, s.calls, round(s.bound, 2)) for s in found]
    [('a', 60, 0.95)]
    """
    rows: dict[str, list[bool]] = defaultdict(list)
    for label, taken, agreed in zip(labels, accepted, agrees, strict=True):
        if taken:
            rows[label].append(bool(agreed))
    kept = {label: found for label, found in rows.items() if len(found) >= _LEAST_SLICE}
    part = delta / max(1, len(kept))
    made = [
        LabelSlice(
            label=label, calls=len(found), agreed=sum(found), bound=lower_bound(sum(found), len(found), part)
        )
        for label, found in kept.items()
    ]
    return tuple(sorted(made, key=lambda s: (-s.calls, s.label)))


def rows_digest(inputs: Sequence[str]) -> str:
    """Names a set of rows, in whatever order."""
    sha = hashlib.sha256()
    for text in sorted(inputs):
        sha.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return sha.hexdigest()


def write_certificate(folder: Path, certificate: Certificate) -> None:
    """Put it beside its surrogate, aside first."""
    aside = folder / f"{CERTIFICATE}.{os.getpid()}.tmp"
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(certificate), indent=1))
    aside.rename(folder / CERTIFICATE)


def read_certificate(folder: Path) -> Certificate | None:
    """The certificate in a folder, or None where there is none.

    Raises
    ------
    ArtifactError
        It is damaged or too large.
    """
    path = folder / CERTIFICATE
    if not path.is_file():
        return None
    if path.stat().st_size > _LARGEST:
        raise ArtifactError(f"{path} has more than {_LARGEST} bytes; certify the surrogate again")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Certificate)
    except msgspec.DecodeError as error:
        raise ArtifactError(f"{path} is no certificate: {error}; certify the surrogate again") from error
