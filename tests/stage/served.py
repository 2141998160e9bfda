"""A task whose surrogate answers: trained, and its row in the routing table."""

from pathlib import Path

import msgspec
import numpy as np
from redis.asyncio import Redis

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.training.train import Recipe, train_dataset
from jitr.router.table import RouteTable
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateTarget
from jitr.schemas.tasks import Signature, Task, Template
from jitr.schemas.trainings import Limits

PROMPT = "Is this review positive or negative? Review:"
GOOD = ["lovely", "great", "superb", "charming", "wonderful"]
BAD = ["awful", "dull", "boring", "terrible", "weak"]
FILLERS = ["film", "plot", "cast", "music", "the", "a", "was", "truly", "rather", "and"]


def reviews(n: int) -> list[tuple[str, str]]:
    """Made-up reviews with what is said of each; the same each time."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        good = bool(rng.integers(2))
        words = [*rng.choice(FILLERS, 4), str(rng.choice(GOOD if good else BAD)), f"no {i}"]
        rows.append((" ".join(rng.permutation(words)), "positive" if good else "negative"))
    return rows


async def serve_reviews(redis_url: str, folder: Path, model: str) -> None:
    """Let a surrogate answer reviews that are sent to a model; it writes `Positive.` and `Negative.`."""
    examples = [Example(str(i), float(i), text, label) for i, (text, label) in enumerate(reviews(200))]
    renderings = {"positive": "Positive.", "negative": "Negative."}
    recipe = Recipe(task="reviews", renderings=renderings, target=0.9, encoders=())
    trained = train_dataset(Dataset.from_examples(examples), recipe, Limits(max_train_s=30), folder)
    proof = Proof(
        kind="later", target=0.9, delta=0.05, bound=0.92, calls=100, agreed=99, coverage=0.9, threshold=0.0
    )
    # callers wait for three times as long as it takes, on a busy machine too
    ref = msgspec.structs.replace(trained.ref(), state="certified", proof=proof, p99_ms=3000.0)
    task = Task(
        id="reviews",
        tenant="default",
        status="task",
        signature=Signature(model=model, shape="user"),
        templates=(Template(prefix=PROMPT),),
        kind="label",
        labels=("positive", "negative"),
    )
    route = Route(
        tenant="default",
        task=task.id,
        state="active",
        surrogate=ref,
        target=SurrogateTarget(version=ref.version),
        share=1.0,
        version=RouteVersion(incarnation=1, offset=1),
    )
    client = Redis.from_url(redis_url)
    await client.flushall()
    await RouteTable(client).apply_tasks([task])
    await RouteTable(client).apply_route(route)
    await client.aclose()
