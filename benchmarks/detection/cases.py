"""The cases of the detection benchmark: each is named, and made only when it is wanted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from harness.options import Options

from detection.one_liners import adhoc, crossed, one_liners, pairs, topical
from detection.streams import (
    STYLES,
    Material,
    Prompt,
    Stream,
    one_of,
    styled,
    template_calls,
    template_classes,
    with_noise,
)
from detection.truth import Classes

NOISES = (0.0, 0.3, 0.6)
ORDERS_OF_TEMPLATES, ORDERS_OF_STYLES = 3, 5
_QUICK = 0.15

Make = Callable[[], Stream]


class Cases:
    """Every stream that some material allows.

    Parameters
    ----------
    found : Material
        What the folders held.
    options : Options
        The seed is that of the first order; `--quick` keeps 15% of the calls and one order.
    """

    def __init__(self, found: Material, options: Options) -> None:
        self.found = found
        self.seed = options.seed
        self.quick = options.quick
        self.noise = found.noise or adhoc(6000, options.seed)

    def __iter__(self) -> Iterator[tuple[str, Make]]:
        for source, templates in self.found.templates.items():
            classes = template_classes(templates)
            calls = template_calls(templates, classes)
            for share in NOISES:
                for order, name in self._orders(f"{source}/noise={share:g}", ORDERS_OF_TEMPLATES):
                    yield name, partial(self._stream, name, calls, share, classes.counted, order)
            if any(key in self.found.definitions for key in self.found.instances):
                for order, name in self._orders(f"{source}+styles/noise=0.3", ORDERS_OF_TEMPLATES):
                    yield name, partial(self._mixed, calls, classes, order)
        for source in self.found.instances:
            if source in self.found.definitions:
                for style in STYLES:
                    for share in NOISES[:2]:
                        for order, name in self._orders(
                            f"{source}/{style}/noise={share:g}", ORDERS_OF_STYLES
                        ):
                            yield name, partial(self._styled, name, source, style, share, order)
        for source, kinds in self.found.recorded.items():
            recorded = [Prompt(p.text, kind, p.answer) for kind, held in kinds.items() for p in held]
            name = f"{source}/few-shot/noise=0.3"
            yield name, partial(self._stream, name, recorded, 0.3, one_of(recorded), self.seed)
        lines = one_liners(60, self.seed)
        yield "one-liners/noise=0.3", partial(self._whole, lines, 0.3)
        lines = one_liners(60, self.seed, open_ended=True)
        yield "open-ended-one-liners/noise=0.3", partial(self._whole, lines, 0.3)
        yield "one-word/two-label-sets", partial(self._whole, pairs(300, self.seed, two=True), 0.0)
        yield "one-word/one-label-set", partial(self._whole, pairs(300, self.seed, two=False), 0.0)
        yield "crossed", partial(self._whole, crossed(topical(1200, self.seed), self.seed), 0.0)

    def _orders(self, name: str, n: int) -> Iterator[tuple[int, str]]:
        for i in range(1 if self.quick else n):
            yield self.seed + i, f"{name}/order={i + 1}" if i else name

    def _stream(
        self,
        name: str,
        calls: Sequence[Prompt],
        share: float,
        counted: set[str],
        order: int,
        one: dict[str, str] | None = None,
    ) -> Stream:
        rng = random.Random(order)
        held = [c for c in calls if not self.quick or rng.random() < _QUICK]
        return Stream(name, with_noise(held, self.noise, share, rng), counted, one or {})

    def _whole(self, calls: list[Prompt], share: float) -> Stream:
        mixed = with_noise(calls, self.noise, share, random.Random(self.seed))
        return Stream("", mixed, one_of(calls))

    def _styled(self, name: str, source: str, style: str, share: float, order: int) -> Stream:
        calls = styled(style, self.found.definitions[source], self.found.instances[source], order)
        return self._stream(name, calls, share, one_of(calls), order)

    def _mixed(self, calls: list[Prompt], classes: Classes, order: int) -> Stream:
        """Templates and three styles of the same definitions; a definition in two styles may be one task."""
        one: dict[str, str] = {}
        for source, instances in self.found.instances.items():
            for style in STYLES[:3]:
                definitions = self.found.definitions.get(source, {})
                more = styled(style, definitions, instances, order, 300, f"/{style}")
                one.update({task: task.rsplit("/", 1)[0] for task in one_of(more)})
                calls = calls + more
        return self._stream("", calls, 0.3, classes.counted | set(one), order, one)
