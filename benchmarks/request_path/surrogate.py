"""A task whose calls a surrogate answers, made on the spot and written into the routing table."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import redis.asyncio as aioredis

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import Lineage
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import fit_model
from jitr.models.surrogates.heads.base import Features
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.training.search.race import Race
from jitr.models.training.train import Recipe, save
from jitr.router.table import RouteTable
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateTarget
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Signature, Task, Template

MODEL = "gpt-4.1-simulated"
OPENING = "Which desk should read this message, sales or support? Message: "
_WORDS = {"sales": ["price", "offer", "discount", "invoice"], "support": ["broken", "error", "crash", "help"]}
_FILLERS = [
    "the",
    "a",
    "my",
    "our",
    "your",
    "this",
    "that",
    "please",
    "today",
    "again",
    "still",
    "very",
    "about",
    "with",
    "from",
]


def message(rng: random.Random, label: str, n: int, words: int = 11) -> str:
    """A message for a desk, unlike any other of another number."""
    said = rng.choices(_FILLERS, k=words - 3) + rng.sample(_WORDS[label], 2) + [str(n)]
    rng.shuffle(said)
    return " ".join(said)


async def publish(settings: Settings, folder: Path, encoder: str | None, seed: int) -> None:
    """Train a surrogate of two labels and make it answer every call that begins with `OPENING`.

    Parameters
    ----------
    settings : Settings
        Whose Redis holds the routing table.
    folder : Path
        Of the artifact.
    encoder : str or None
        What it reads through besides n-grams.
    seed : int
    """
    rng = random.Random(seed)
    labels = [rng.choice(list(_WORDS)) for _ in range(300)]
    dataset = Dataset.from_examples(
        Example(str(n), float(n), message(rng, label, n), label) for n, label in enumerate(labels)
    )
    fields, numbers = fields_of(dataset.labels)
    read = None if encoder is None else Weights().encoder(encoder)
    features = Features(NgramEncoder.fit(dataset.inputs), read)
    candidate = Candidate("ridge", True, encoder)
    rows = (dataset.weights, dataset.groups, seed, None, ())
    model = fit_model(features, features.encode(dataset.inputs), candidate, fields, numbers, *rows)
    lineage = Lineage(parts=(), dataset=dataset.digest, code="benchmark", seed=seed)
    recipe = Recipe(task="desk", renderings={w: w for w in _WORDS})
    result = save(Race(candidate, model, 1.0, ()), dataset, recipe, folder, "v1", lineage, 0.0)
    task = Task(
        id="desk",
        tenant=settings.gateway.tenant,
        status="task",
        signature=Signature(model=MODEL, shape="user"),
        templates=(Template(prefix=OPENING.strip()),),
        kind="label",
        labels=tuple(_WORDS),
    )
    proof = Proof(
        kind="later", target=0.9, delta=0.05, bound=0.9, calls=1, agreed=1, coverage=1.0, threshold=-1e9
    )
    ref = msgspec.structs.replace(result.ref(), state="certified", proof=proof)
    route = Route(
        tenant=task.tenant,
        task=task.id,
        state="active",
        surrogate=ref,
        version=RouteVersion(incarnation=1, offset=1),
        share=1.0,
        audit_rate=0.0,
        target=SurrogateTarget(version=ref.version),
    )
    client = aioredis.from_url(settings.redis.url)
    table = RouteTable(client)
    await table.apply_tasks([task])
    await table.apply_route(route)
    await client.aclose()
