"""A task whose calls a surrogate answers, made on the spot and written into the routing table."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import redis.asyncio as aioredis

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.surrogates.train import Recipe, train_dataset
from jitr.router.table import RouteTable
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateTarget
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Signature, Skeleton, Task
from jitr.schemas.trainings import Limits

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


async def publish(settings: Settings, folder: Path, encoders: tuple[str, ...], seed: int) -> None:
    """Train a surrogate of two labels and make it answer every call that begins with `OPENING`."""
    rng = random.Random(seed)
    examples = []
    for n in range(300):
        label = rng.choice(list(_WORDS))
        words = rng.sample(_FILLERS, 8) + rng.sample(_WORDS[label], 2) + [str(n)]
        rng.shuffle(words)
        examples.append(Example(str(n), float(n), " ".join(words), label))
    task = Task(
        id="desk",
        tenant=settings.gateway.tenant,
        status="task",
        signature=Signature(model=MODEL, shape="user"),
        skeletons=(Skeleton(prefix=OPENING.strip()),),
        kind="label",
        labels=tuple(_WORDS),
    )
    recipe = Recipe(task=task.id, renderings={w: w for w in _WORDS}, target=0.9, encoders=encoders)
    result = train_dataset(
        Dataset.from_examples(examples), recipe, Limits(max_train_s=30), folder, version="v1"
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
