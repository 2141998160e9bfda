"""What every monitor of models/drift must do; a new one is found and tested by itself."""

import importlib
import pkgutil
import random

import msgspec
import pytest

import jitr.models.drift
from jitr.models.drift.base import MonitorState
from jitr.models.drift.replayed import Replayed

for module in pkgutil.iter_modules(jitr.models.drift.__path__):
    importlib.import_module(f"jitr.models.drift.{module.name}")
MONITORS = Replayed.__subclasses__()


def watch(monitor: Replayed, values: list[float]) -> list[int]:
    return [k for k, value in enumerate(values) if monitor.update(value)]


def stream(seed: int, n: int, mean: float = 0.8) -> list[float]:
    rng = random.Random(seed)
    return [rng.betavariate(20 * mean, 20 * (1 - mean)) for _ in range(n)]


def test_there_are_monitors() -> None:
    assert MONITORS


@pytest.mark.parametrize("kind", MONITORS)
class TestEveryMonitor:
    def test_alarms_soon_after_a_change_and_not_before(self, kind: type[Replayed]) -> None:
        alarms = watch(kind(), stream(1, 3_000) + stream(2, 400, 0.6))
        assert alarms
        assert 3_000 <= alarms[0] < 3_300

    def test_is_quiet_where_nothing_changes(self, kind: type[Replayed]) -> None:
        assert watch(kind(), stream(3, 30_000)) == []

    def test_is_deterministic(self, kind: type[Replayed]) -> None:
        values = stream(4, 1_000) + stream(5, 500, 0.5)
        assert watch(kind(), values) == watch(kind(), values)

    @pytest.mark.parametrize("cut", [0, 5, 1_023, 2_047, 2_048, 2_500, 3_100])
    def test_comes_back_exactly_from_its_state(self, kind: type[Replayed], cut: int) -> None:
        values = stream(6, 3_000) + stream(7, 1_000, 0.7)
        whole, half = kind(), kind()
        assert watch(whole, values[:cut]) == watch(half, values[:cut])
        wire = msgspec.json.encode(half.state())
        half = kind.from_state(msgspec.json.decode(wire, type=MonitorState))
        assert watch(whole, values[cut:]) == watch(half, values[cut:])
        assert whole.state() == half.state()

    def test_keeps_bounded_state(self, kind: type[Replayed]) -> None:
        monitor = kind()
        watch(monitor, stream(8, 10_000))
        assert len(msgspec.json.encode(monitor.state())) < 8_000

    def test_learns_the_new_normal_after_a_false_alarm(self, kind: type[Replayed]) -> None:
        monitor = kind()
        assert watch(monitor, stream(9, 1_000) + stream(10, 300, 0.5))
        monitor.relearn()
        assert monitor.false_alarms == 1
        assert watch(monitor, stream(11, 3_000, 0.5)) == []

    def test_is_slower_after_false_alarms(self, kind: type[Replayed]) -> None:
        def delay(false_alarms: int) -> int:
            monitor = kind()
            for _ in range(false_alarms):
                monitor.relearn()
            return watch(monitor, stream(12, 1_000) + stream(13, 900, 0.7))[0]

        assert delay(0) < delay(12)

    def test_takes_values_outside_of_its_range(self, kind: type[Replayed]) -> None:
        monitor = kind()
        assert watch(monitor, [1.7, -0.3] * 20) == []
        assert set(monitor.values) == {0.0, 1.0}
