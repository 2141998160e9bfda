"""The other ways to find recurring prompts, each with the best of a few settings, chosen with the truth.

That is generous: ours has one setting for all streams. Each gives its settings by name, with what runs it.
A peer that is too slow is stopped at a limit, and said to be.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.streams import Prompt
from detection.systems import Result

Vectors = NDArray[np.float32]
Settings = Iterator[tuple[str, Callable[[], Result]]]
_HERE = Path(__file__).parent
PEERS_PYTHON = _HERE.parent.parent / ".venv-peers" / "bin" / "python"
RIVER_DIMENSIONS = 24
_WORDS = 60


def embed(calls: Sequence[Prompt]) -> tuple[Vectors, float]:
    """Sentence vectors of the prompts by all-MiniLM-L6-v2 (int8), and its calls a second of CPU time."""
    from jitr.models.encoders.weights import Weights

    encoder = Weights().encoder("minilm")
    started = process_time()
    vectors = encoder.encode([call.text for call in calls])
    return vectors, len(calls) / (process_time() - started)


def leader(vectors: Vectors, rate: float) -> Settings:
    """Leader clustering (Hartigan, 1975): a call joins the nearest leader near enough, else it is one."""
    for threshold in (0.6, 0.7, 0.8, 0.9):
        yield f"cosine {threshold}", partial(_leader, vectors, rate, threshold)


def _leader(vectors: Vectors, rate: float, threshold: float) -> Result:
    started = process_time()
    ids: list[Hashable | None] = []
    room = np.empty((1024, vectors.shape[1]), dtype=np.float32)
    n = 0
    for vector in vectors:
        near = room[:n] @ vector
        best = int(np.argmax(near)) if n else -1
        if n and float(near[best]) >= threshold:
            ids.append(best)
            continue
        if n == len(room):
            room = np.concatenate([room, np.empty_like(room)])
        room[n] = vector
        ids.append(n)
        n += 1
    spent = process_time() - started + len(vectors) / rate
    return Result(ids, ids, {"mine_calls_per_s": len(vectors) / spent})


def kmeans(vectors: Vectors, rate: float, k: int, seed: int) -> Settings:
    """k-means that is told the true number of classes; not online."""
    yield f"k = {k}", partial(_kmeans, vectors, rate, k, seed)


def _kmeans(vectors: Vectors, rate: float, k: int, seed: int) -> Result:
    from sklearn.cluster import KMeans

    started = process_time()
    ids: list[Hashable | None] = KMeans(k, n_init=2, random_state=seed).fit_predict(vectors).tolist()
    spent = process_time() - started + len(vectors) / rate
    return Result([None] * len(ids), ids, {"mine_calls_per_s": len(vectors) / spent})


def _reduced(vectors: Vectors) -> list[dict[int, float]]:
    """The first principal components as dicts, which is what River reads."""
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred[:2000], full_matrices=False)
    low = centred @ axes[:RIVER_DIMENSIONS].T
    return [dict(enumerate(map(float, row))) for row in low]


def _streamed(make: Callable[[], Any], points: Sequence[Any], rate: float, limit_s: float) -> Result:
    """Learn point by point, then ask where each point is, both within one limit of CPU time."""
    model = make()
    started = process_time()
    learned = 0
    for point in points:
        model.learn_one(point)
        learned += 1
        if process_time() - started > limit_s / 2:
            break
    spent = process_time() - started
    ids: list[Hashable | None] = []
    for point in points:
        late = process_time() - started > limit_s
        ids.append(None if late else _asked(model, point))
    given = sum([id is not None for id in ids])
    note = ""
    if learned < len(points) or process_time() - started > limit_s:
        note = f"stopped at {limit_s:g} s: {learned} of {len(points)} calls learned, {given} given a cluster"
    spent += learned / rate if rate else 0.0
    return Result([None] * len(points), ids, {"mine_calls_per_s": learned / spent}, note)


def _asked(model: Any, point: Any) -> Hashable | None:
    try:
        found = model.predict_one(point)
    except (KeyError, ValueError, ZeroDivisionError, AttributeError, IndexError):
        return None  # River's clusterers raise where nothing is near
    return None if found is None else int(found)


def dbstream(vectors: Vectors, rate: float, limit_s: float) -> Settings:
    """DBSTREAM (Hahsler and Bolanos, 2016) by River, on principal components."""
    from river.cluster import DBSTREAM

    points = _reduced(vectors)
    for radius in (0.25, 0.45):
        make = partial(
            DBSTREAM,
            clustering_threshold=radius,
            fading_factor=0.0001,
            cleanup_interval=500,
            minimum_weight=3,
        )
        yield f"radius {radius}", partial(_streamed, make, points, rate, limit_s)


def denstream(vectors: Vectors, rate: float, limit_s: float) -> Settings:
    """DenStream (Cao et al., 2006) by River, on principal components."""
    from river.cluster import DenStream

    points = _reduced(vectors)
    for epsilon in (0.2, 0.35):
        make = partial(DenStream, decaying_factor=0.001, beta=0.4, mu=4, epsilon=epsilon, n_samples_init=400)
        yield f"epsilon {epsilon}", partial(_streamed, make, points, rate, limit_s)


def textclust(calls: Sequence[Prompt], limit_s: float) -> Settings:
    """TextClust (Assenmacher and Trautmann, 2022) by River, on the words of the prompts."""
    from river.cluster import TextClust

    points = []
    for call in calls:
        words = call.text.lower().split()
        kept = words if len(words) <= _WORDS else words[: _WORDS // 2] + words[-_WORDS // 2 :]
        points.append(dict(Counter(kept)))
    for radius in (0.4, 0.7):
        make = partial(TextClust, radius=radius, real_time_fading=False, fading_factor=0.0001, tgap=500)
        yield f"radius {radius}", partial(_streamed, make, points, 0.0, limit_s)


def drain(calls: Sequence[Prompt]) -> Settings:
    """Drain3 (He et al., 2017), the log parser; one prompt is one line to it. It runs in `.venv-peers`."""
    for similarity in (0.3, 0.5):
        yield f"similarity {similarity}", partial(_drain, calls, similarity)


def _drain(calls: Sequence[Prompt], similarity: float) -> Result:
    done = subprocess.run(
        [str(PEERS_PYTHON), str(_HERE / "drain_process.py"), str(similarity)],
        input="".join([json.dumps(call.text) + "\n" for call in calls]),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    rate = {"mine_calls_per_s": len(calls) / answer["mine_s"]}
    return Result(answer["arrival"], answer["final"], rate)
