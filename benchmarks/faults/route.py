"""A task with a surrogate in front of the simulated LLM: what a routing table holds while faults go on."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

import msgspec

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.training.train import Recipe, train_dataset
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateRef, SurrogateTarget
from jitr.schemas.tasks import Signature, Task, Template
from jitr.schemas.trainings import Limits

PROMPT = "Is this review positive or negative? Review:"
ANSWERS = ("Positive.", "Negative.")
_GOOD = ("lovely", "great", "superb", "charming")
_BAD = ("awful", "dull", "boring", "terrible")
_FILLERS = ("film", "plot", "cast", "music", "the", "was", "truly", "rather")
_offsets = count(1)

TASK = Task(
    id="t1",
    tenant="default",
    status="task",
    signature=Signature(model="big-llm", shape="user"),
    templates=(Template(prefix=PROMPT),),
    kind="label",
    labels=("positive", "negative"),
)


def review(rng: random.Random) -> tuple[str, str]:
    """A made-up review and its label."""
    good = rng.random() < 0.5
    words = [*rng.choices(_FILLERS, k=4), rng.choice(_GOOD if good else _BAD), f"no {rng.randrange(10**6)}"]
    rng.shuffle(words)
    return " ".join(words), "positive" if good else "negative"


def trained(folder: Path) -> SurrogateRef:
    """Train a small surrogate."""
    rng = random.Random(0)
    rows = [review(rng) for _ in range(200)]
    examples = [Example(str(i), float(i + 1), text, label) for i, (text, label) in enumerate(rows)]
    renderings = dict(zip(("positive", "negative"), ANSWERS, strict=True))
    recipe = Recipe(task="t1", renderings=renderings, target=0.9, encoders=())
    result = train_dataset(
        Dataset.from_examples(examples), recipe, Limits(max_train_s=60), folder, version="v1"
    )
    proof = Proof(
        kind="later", target=0.9, delta=0.05, bound=0.92, calls=100, agreed=99, coverage=0.9, threshold=0.0
    )
    return msgspec.structs.replace(result.ref(), state="certified", proof=proof)


def route(ref: SurrogateRef, *, state: str = "active", uri: str = "") -> Route:
    """A row newer than all before; half of the answers are audited."""
    ref = msgspec.structs.replace(ref, uri=uri or ref.uri)
    return Route(
        tenant="default",
        task="t1",
        state=state,  # type: ignore[arg-type]
        surrogate=ref,
        share=1.0,
        audit_rate=0.5,
        target=SurrogateTarget(version=ref.version),
        version=RouteVersion(incarnation=1, offset=next(_offsets)),
    )
