"""The artifact store: what fits into memory is loaded, what does not when it is asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stage.scorers import RUNTIME

from jitr.router.reasons import Reason
from jitr.router.scoring import artifacts
from jitr.router.scoring.artifacts import ArtifactRefusal, ArtifactStore, StoredArtifact
from jitr.router.scoring.scorers import LoadingError, Scorers
from jitr.router.supervisor import Loops
from jitr.schemas.routes import SurrogateRef

Until = Callable[[Callable[[], Any]], Awaitable[None]]
Make = Callable[[int], ArtifactStore]


@pytest.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setattr(artifacts, "RESIDENT_S", 0.05)
    stores: list[ArtifactStore] = []

    def store(room_mb: int = 1000) -> ArtifactStore:
        it = ArtifactStore(
            tmp_path / "fetched", lambda: None, Scorers(runtime=RUNTIME), Loops(), room_mb=room_mb
        )
        stores.append(it)
        return it

    yield store
    for one in stores:
        await one.close()


@pytest.fixture
def ref(tmp_path: Path) -> Callable[[str], SurrogateRef]:
    def made(name: str) -> SurrogateRef:
        (tmp_path / name).mkdir(exist_ok=True)
        return SurrogateRef(version=name, uri=str(tmp_path / name), digest=name, encoders="b")

    return made


def held(store: ArtifactStore) -> set[str]:
    return {digest for digest, entry in store._entries.items() if entry.held is not None}


def entry(store: ArtifactStore, ref: SurrogateRef) -> StoredArtifact:
    found = store.find(ref)
    assert isinstance(found, StoredArtifact), found
    return found


async def asked(store: ArtifactStore, ref: SurrogateRef, until: Until) -> None:
    """Ask for it until it answers."""

    def answers() -> bool:
        try:
            entry(store, ref).ask("x", 30.0).cancel()
        except LoadingError:
            return False
        return True

    await until(answers)


async def test_until_it_is_loaded_it_is_loading_and_what_no_route_names_is_let_go(
    make: Make, ref: Any, until: Until
) -> None:
    store, one = make(1000), ref("good-1")
    store.want([one])
    found = store.find(one)
    assert isinstance(found, ArtifactRefusal) and found.reason is Reason.ARTIFACT_LOADING
    await until(lambda: held(store) == {"good-1"})
    assert (await entry(store, one).ask("hello", 30.0)).label == "hello"
    store.want([])
    assert held(store) == set() and isinstance(store.find(one), ArtifactRefusal)


async def test_what_fits_into_memory_stays_there_and_encoders_count_once(
    make: Make, ref: Any, until: Until
) -> None:
    store, refs = make(150), [ref("big-1"), ref("big-2")]  # 60 each and 30 shared
    store.want(refs)
    await until(lambda: held(store) == {"big-1", "big-2"})


async def test_one_more_than_fits_is_loaded_when_it_is_asked_for_and_takes_the_oldests_place(
    make: Make, ref: Any, until: Until
) -> None:
    store, refs = make(149), [ref("big-1"), ref("big-2")]
    store.want(refs)
    await until(lambda: all(isinstance(store.find(one), StoredArtifact) for one in refs))
    [first] = held(store)
    refs.sort(key=lambda one: one.digest != first)
    for _ in range(2):
        refs.reverse()
        with pytest.raises(LoadingError):
            entry(store, refs[0]).ask("x", 30.0)
        await asked(store, refs[0], until)
        assert held(store) == {refs[0].digest}


async def test_the_one_asked_for_longest_ago_makes_room(make: Make, ref: Any, until: Until) -> None:
    store, refs = make(215), [ref(f"big-{n}") for n in range(3)]  # room for three
    store.want(refs)
    await until(lambda: len(held(store)) == 3)
    for n in (2, 0, 1):
        await asked(store, refs[n], until)
    more = ref("big-3")
    store.want([*refs, more])
    await until(lambda: isinstance(store.find(more), StoredArtifact))
    await asked(store, more, until)
    assert held(store) == {"big-0", "big-1", "big-3"}


async def test_what_does_not_fit_alone_is_refused_and_says_what_to_set(
    make: Make, ref: Any, until: Until
) -> None:
    refs = [ref("big"), ref("huge")]
    for room_mb, fits in ((230, True), (229, False)):
        store = make(room_mb)
        store.want([refs[1]])
        await until(lambda store=store: getattr(store.find(refs[1]), "reason", None) != "artifact_loading")
        found = store.find(refs[1])
        assert isinstance(found, StoredArtifact) is fits
        if isinstance(found, ArtifactRefusal):
            assert found.reason is Reason.ARTIFACT_REFUSED and "gateway.surrogates_mb" in found.detail
            assert held(store) == set()


async def test_an_artifact_that_ends_its_process_is_refused_for_a_while(
    make: Make, ref: Any, until: Until, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store, bad, good = make(1000), ref("deadly"), ref("good")
    monkeypatch.setattr(artifacts, "CRASHED_S", 0.2)
    store.want([bad, good])
    await until(lambda: getattr(store.find(bad), "reason", None) is Reason.ARTIFACT_REFUSED)
    await asked(store, good, until)
    (tmp_path / "deadly" / "mended").touch()

    def loaded() -> bool:
        store.want([bad, good])
        return "deadly" in held(store)

    await until(loaded)


async def test_one_that_ends_its_process_while_it_answers_is_refused_too(
    make: Make, ref: Any, until: Until
) -> None:
    store, bad = make(1000), ref("good")
    store.want([bad])
    await until(lambda: held(store))

    def refused() -> bool:
        found = store.find(bad)
        if isinstance(found, StoredArtifact):
            with contextlib.suppress(LoadingError):
                found.ask("die", 30.0).add_done_callback(lambda done: done.exception())
        return isinstance(found, ArtifactRefusal)

    await until(refused)
    found = store.find(bad)
    assert isinstance(found, ArtifactRefusal) and found.reason is Reason.ARTIFACT_REFUSED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("refused", Reason.ARTIFACT_REFUSED),
        ("weightless", Reason.ARTIFACT_MISSING),
        ("odd", Reason.ARTIFACT_MISSING),
    ],
)
async def test_what_cannot_be_loaded_says_why(
    make: Make, ref: Any, until: Until, name: str, reason: Reason
) -> None:
    store, one = make(1000), ref(name)
    store.want([one])
    await until(lambda: getattr(store.find(one), "reason", None) is reason)


async def test_a_folder_that_is_not_there_is_missing_and_a_fetch_that_hangs_keeps_nobody_from_stopping(
    make: Make, ref: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    class Hanging(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = "hanging"

        def get(self, *args: Any, **kwargs: Any) -> None:
            time.sleep(3600)

    fsspec.register_implementation("hanging", Hanging, clobber=True)
    monkeypatch.setattr(artifacts, "FETCH_S", 0.2)
    store = make(1000)
    away = msgspec.structs.replace(ref("good"), uri="/nowhere/at/all", digest="away")
    far = msgspec.structs.replace(ref("good"), uri="hanging://far/away", digest="far")
    store.want([away, far])
    for one in (away, far):
        await until(lambda one=one: getattr(store.find(one), "reason", None) is Reason.ARTIFACT_MISSING)
