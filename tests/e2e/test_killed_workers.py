"""Workers join and are killed in the middle of everything: all agents, Apache Kafka, a real Redis.

The same recorded stream is played twice, by one worker that lives, and by three of which two are killed
with SIGKILL; in the end the same tasks stand with the same surrogates, states and counts.
"""

import asyncio
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest
from stage.play import Played, Stage, lost_and_found, play
from stage.recorded import recorded
from stage.servers.kafka import eventually, settings_for

from jitr.sandbox.redis import RedisServer
from jitr.schemas.policy import DEMO
from jitr.schemas.settings import Settings
from jitr.schemas.trainings import Limits

pytestmark = [pytest.mark.kafka, pytest.mark.redis_server, pytest.mark.slow, pytest.mark.timeout(400)]

NAMES = ("spam", "language-id", "moderation", "ticket-triage")
DRIFTS = "language-id"
POLICY = msgspec.structs.replace(
    DEMO,
    target=0.8,
    first_labels=240,
    canary_audits=20,
    # a demotion test that makes up its mind in a few dozen calls
    demotion_block_calls=5,
    demotion_horizon_calls=1_000,
    audit_start=0.5,
    audit_floor=0.1,
    cooldown_labels=5_000,
    # too little for any encoder: n-grams alone
    limits=Limits(max_ram_mb=100.0, max_train_s=60.0),
)
SIZES = {"found": 40, "collected": 200, "shadowed": 80, "canary": 80, "active": 60, "held": 60}
PARTS = {
    part.name: part for part in recorded(NAMES, SIZES, seed=11, drifts={"active": [DRIFTS], "held": [DRIFTS]})
}


def prepared(kafka: str, redis: str, folder: Path) -> tuple[Settings, dict[str, str]]:
    """Settings of one play, in a file that its workers read."""
    settings, _ = settings_for(kafka, folder, redis)
    settings = msgspec.structs.replace(settings, policy=POLICY)
    folder.mkdir(parents=True)
    config = folder / "jitr.json"
    config.write_bytes(msgspec.json.encode(settings))
    return settings, {"JITR_CONFIG": str(config), "OMP_NUM_THREADS": "1"}


async def calm(stage: Stage) -> None:
    """One worker, all of the stream."""
    await stage.join().ready()
    rows = await stage.rows()
    for name, stood in STOOD.items():
        await stage.publish(PARTS[name], rows)
        rows = await stage.settled(stood)


async def wild(stage: Stage) -> None:
    """A second worker joins while data is collected; the first is killed while it trains.

    A third joins while the canary answers, and the second is killed with audits in hand.
    """
    first = stage.join()
    await first.ready()
    rows = await stage.rows()
    await stage.publish(PARTS["found"], rows)
    rows = await stage.settled(STOOD["found"])
    await stage.publish(PARTS["collected"], rows, 0.0, 0.5)
    second = stage.join()
    await stage.publish(PARTS["collected"], rows, 0.5, 0.9)
    await second.ready()
    await stage.publish(PARTS["collected"], rows, 0.9)
    await eventually(lambda: first.trains)
    first.kill()
    rows = await stage.settled(STOOD["collected"])
    await stage.publish(PARTS["shadowed"], rows)
    rows = await stage.settled(STOOD["shadowed"])
    third = stage.join()
    await stage.publish(PARTS["canary"], rows, 0.0, 0.5)
    await third.ready()
    await stage.publish(PARTS["canary"], rows, 0.5)
    second.kill()
    rows = await stage.settled(STOOD["canary"])
    for name in ("active", "held"):
        await stage.publish(PARTS[name], rows)
        rows = await stage.settled(STOOD[name])


STOOD = {
    "found": lambda route: True,
    "collected": lambda route: route.candidate is not None,
    "shadowed": lambda route: route.state == "canary",
    "canary": lambda route: route.state == "active",
    "active": lambda route: route.state in ("active", "hold"),
    "held": lambda route: route.state in ("active", "demoted"),
}


@pytest.fixture(scope="module")
def plays(
    apache_kafka: str, system_redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Played, Played]:
    folder = tmp_path_factory.mktemp("killed")
    redis = system_redis_server.url.removesuffix("/0")

    async def both() -> tuple[Played, Played]:
        # beside each other, each under a prefix and in a database of its own: both mostly wait
        return await asyncio.gather(
            play(*prepared(apache_kafka, f"{redis}/1", folder / "calm"), folder / "calm", calm),
            play(*prepared(apache_kafka, f"{redis}/2", folder / "wild"), folder / "wild", wild),
        )

    return asyncio.run(both())


def test_every_call_is_accounted_for_and_copies_say_the_same(plays: tuple[Played, Played]) -> None:
    for played in plays:
        assert lost_and_found(played) == (set(), set())
        for topic in ("task_calls", "ledger", "routes"):
            assert played.contradictions(topic) == []


def test_the_same_tasks_surrogates_states_and_counts_stand_in_the_end(plays: tuple[Played, Played]) -> None:
    without, with_kills = (played.outcome() for played in plays)
    assert len(without) == len(NAMES)
    assert sorted(o["state"] for o in without.values()) == ["active"] * (len(NAMES) - 1) + ["demoted"]
    assert with_kills == without


def test_the_same_trainings_were_asked_for_at_the_very_label(plays: tuple[Played, Played]) -> None:
    asked = [
        {id: (t["labels"], t["task"], t["renderings"]) for id, t in played.unique("trainings").items()}
        for played in plays
    ]
    assert asked[1] == asked[0]
    assert [labels for labels, *_ in asked[0].values()] == [POLICY.first_labels] * len(NAMES)


def test_money_and_audits_add_up_from_the_raw_topics(plays: tuple[Played, Played]) -> None:
    for played in plays:
        trained: defaultdict[str, float] = defaultdict(float)
        for evidence in played.unique("evidence").values():
            if evidence["kind"] in ("trained", "training_failed"):
                trained[evidence["task"]] += evidence["cost_usd"]
        for route, calls in played.of_tasks():
            stamps = [(call, call.get("decision") or {}) for call in calls]
            answered = [(c, d) for c, d in stamps if d.get("target") == "surrogate"]
            audited = [c for c, _ in answered if "response" in c]
            asked = [c for c, d in stamps if "response" in c and d.get("target") != "surrogate"]
            money = route.money
            assert route.calls == len(calls)
            assert (money.teacher_calls, money.audit_calls, money.answered_calls) == (
                len(asked),
                len(audited),
                len(answered),
            )
            assert money.teacher_usd == pytest.approx(sum(c["cost_usd"] for c in asked), rel=1e-9)
            assert money.audit_usd == pytest.approx(sum(c["cost_usd"] for c in audited), rel=1e-9)
            assert money.train_usd == pytest.approx(trained[route.task], rel=1e-9)
            ref = route.surrogate
            assert ref is not None
            if route.state == "active":
                # a version that was demoted is not counted on, whoever had not heard of it yet
                mine = [(c, d) for c, d in stamps if d.get("surrogate") == ref.version and d.get("accepted")]
                audits = [d["label"] == c.get("label") for c, d in mine if "response" in c]
                assert (route.accepted, route.audits, route.agreed) == (len(mine), len(audits), sum(audits))
