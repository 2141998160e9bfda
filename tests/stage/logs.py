"""Logs as people have them: the calls of one small task, written in many forms."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SYSTEM = "You sort messages for a small bicycle shop. Answer with one word: billing, shipping or account."
CUES = {
    "billing": ["invoice", "charged", "refund", "receipt", "discount"],
    "shipping": ["parcel", "courier", "tracking", "delivery", "address"],
    "account": ["login", "password", "profile", "username", "e-mail"],
}
# fmt: off
WORDS = [
    "winter", "road", "kettle", "morning", "garden", "quiet", "hammer", "silver", "window", "letter", "river",
    "paint", "corner", "yellow", "pocket", "market", "bridge", "simple", "candle", "forest", "button",
    "basket", "doctor", "mirror", "engine", "summer", "ticket", "orange", "stone", "rather", "never",
    "already", "because", "although", "whenever", "between", "behind", "against", "broken", "heavy", "narrow",
]
# fmt: on


def rows(n: int = 400, seed: int = 1) -> list[tuple[str, str]]:
    """Messages without a phrase in common, and the word that is their answer."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        label = rng.choice(list(CUES))
        words = [*rng.choices(WORDS, k=rng.randint(6, 16)), *rng.sample(CUES[label], 2)]
        rng.shuffle(words)
        made.append((" ".join(words).capitalize() + ".", label))
    return made


def request(text: str, **more: Any) -> dict[str, Any]:
    """An OpenAI request body."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    return {"model": "gpt-4o-mini", "messages": messages, **more}


def response(label: Any, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """An OpenAI response body."""
    said = {"role": "assistant", "content": label, **message}
    choice = {"index": 0, "message": said, "finish_reason": finish, "logprobs": None}
    usage = {"prompt_tokens": 60, "completion_tokens": 1, "total_tokens": 61}
    return {
        "id": "c",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [choice],
        "usage": usage,
    }


def write(path: Path, lines: Iterable[Any]) -> Path:
    """One JSON document a line."""
    path.write_text("".join([json.dumps(line) + "\n" for line in lines]), encoding="utf-8")
    return path
