"""torch as a training needs it: on one thread, the same every time, and as it was afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Deterministic, on one thread, and nothing of torch's own state changed afterwards."""
    threads = torch.get_num_threads()
    strict, fill = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.set_flush_denormal(True)  # gradients that have all but vanished would take ten times as long
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.set_flush_denormal(False)
