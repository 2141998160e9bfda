"""The group's state machine, without sockets: who is in, who leads, who is out."""

import asyncio

import pytest

from jitr.sandbox.broker.coordinator import Coordinator
from jitr.sandbox.broker.group import Group, Joined, Member, State
from jitr.sandbox.broker.offsets import Committed, CommittedOffsets
from jitr.sandbox.broker.wire.codes import Code, RefusalError


def arrival(
    member_id: str = "", *, session_s: float = 60, rebalance_s: float = 60, **protocols: bytes
) -> Member:
    return Member(member_id, "client", "host", session_s, rebalance_s, protocols or {"range": b"meta"})


@pytest.fixture
async def group():
    group = Group(initial_delay_s=0.01)
    yield group
    group.stop()


async def settled(group: Group, *members: Member) -> list[Joined]:
    """Join these members and let the leader assign to each its own id."""
    joined = await asyncio.gather(*(group.join(member, "consumer") for member in members))
    leader = next(j for j in joined if j.leader == j.member_id)
    assignments = {member_id: member_id.encode() for member_id, _ in leader.members}
    syncs = [group.sync(j.member_id, j.generation, assignments if j is leader else {}) for j in joined]
    assert [await s for s in syncs] == [j.member_id.encode() for j in joined]
    assert group.state is State.STABLE
    return joined


async def test_first_members_are_gathered_and_one_leads(group: Group) -> None:
    joined = await settled(group, arrival(), arrival(), arrival())
    assert {j.generation for j in joined} == {1}
    assert len({j.leader for j in joined}) == 1
    assert sorted(len(j.members) for j in joined) == [0, 0, 3]


async def test_a_newcomer_makes_the_others_join_again(group: Group) -> None:
    (first,) = await settled(group, arrival())
    newcomer = group.join(arrival(), "consumer")
    with pytest.raises(RefusalError) as refused:
        group.heartbeat(first.member_id, first.generation)
    assert refused.value.code is Code.REBALANCE_IN_PROGRESS
    again = group.join(arrival(first.member_id), "consumer")
    joined = await asyncio.gather(newcomer, again)
    assert {j.generation for j in joined} == {2}
    assert {j.leader for j in joined} == {first.member_id}


async def test_who_does_not_join_again_in_time_is_out(group: Group) -> None:
    (first,) = await settled(group, arrival(rebalance_s=0.05))
    joined = await asyncio.wait_for(group.join(arrival(rebalance_s=0.05), "consumer"), 60)
    assert joined.leader == joined.member_id
    assert [member_id for member_id, _ in joined.members] == [joined.member_id]
    with pytest.raises(RefusalError) as refused:
        group.heartbeat(first.member_id, 1)
    assert refused.value.code is Code.UNKNOWN_MEMBER_ID


async def test_a_silent_member_is_out_after_its_session(group: Group) -> None:
    silent, loud = await settled(group, arrival(session_s=0.05), arrival())
    async with asyncio.timeout(60):
        while silent.member_id in group.members:
            await asyncio.sleep(0.01)
    assert group.state is State.PREPARING
    joined = await group.join(arrival(loud.member_id), "consumer")
    assert [member_id for member_id, _ in joined.members] == [loud.member_id]


async def test_the_last_member_to_leave_leaves_an_empty_group(group: Group) -> None:
    (only,) = await settled(group, arrival())
    group.leave(only.member_id)
    assert group.state is State.EMPTY and group.idle
    (next_,) = await settled(group, arrival())
    assert next_.generation > only.generation


async def test_a_follower_waits_for_the_leader_and_hears_of_a_rebalance(group: Group) -> None:
    joined = await asyncio.gather(group.join(arrival(), "consumer"), group.join(arrival(), "consumer"))
    follower = next(j for j in joined if j.leader != j.member_id)
    waiting = group.sync(follower.member_id, follower.generation, {})
    assert not waiting.done()
    group.leave(follower.leader)
    with pytest.raises(RefusalError) as refused:
        await waiting
    assert refused.value.code is Code.REBALANCE_IN_PROGRESS


async def test_a_stale_generation_and_a_stranger_are_told_so(group: Group) -> None:
    (member,) = await settled(group, arrival())
    for member_id, generation, code in [
        (member.member_id, 0, Code.ILLEGAL_GENERATION),
        ("stranger", 1, Code.UNKNOWN_MEMBER_ID),
    ]:
        with pytest.raises(RefusalError) as refused:
            group.heartbeat(member_id, generation)
        assert refused.value.code is code
        with pytest.raises(RefusalError) as refused:
            group.sync(member_id, generation, {})
        assert refused.value.code is code
    with pytest.raises(RefusalError):
        group.join(arrival("stranger"), "consumer")


async def test_a_promised_id_lets_its_owner_in_once(group: Group) -> None:
    promised = group.promise_id("client", 60)
    assert not group.idle
    joined = await group.join(arrival(promised), "consumer")
    assert joined.member_id == promised
    group.leave(promised)
    assert group.idle
    with pytest.raises(RefusalError):
        group.join(arrival("client-never-promised"), "consumer")


async def test_the_protocol_is_one_that_all_have(group: Group) -> None:
    both, one = await settled(group, arrival(sticky=b"1", range=b"2"), arrival(range=b"3"))
    assert both.protocol == one.protocol == "range"
    with pytest.raises(RefusalError) as refused:
        group.join(arrival(other=b""), "consumer")
    assert refused.value.code is Code.INCONSISTENT_GROUP_PROTOCOL


async def test_a_full_group_takes_no_more() -> None:
    group = Group(initial_delay_s=0.01, most_members=2)
    await settled(group, arrival(), arrival())
    with pytest.raises(RefusalError) as refused:
        group.join(arrival(), "consumer")
    assert refused.value.code is Code.GROUP_MAX_SIZE_REACHED
    group.stop()


async def test_commits_need_membership_while_there_are_members(tmp_path) -> None:
    coordinator = Coordinator(CommittedOffsets(tmp_path / "offsets"), 0.01)
    coordinator.check_commit("g", -1, "")  # nobody there: an administrator may
    (member,) = await settled(coordinator.open("g"), arrival())
    coordinator.check_commit("g", member.generation, member.member_id)
    for generation, member_id in [(-1, ""), (member.generation + 1, member.member_id), (1, "stranger")]:
        with pytest.raises(RefusalError):
            coordinator.check_commit("g", generation, member_id)
    with pytest.raises(RefusalError) as refused:
        coordinator.delete("g")
    assert refused.value.code is Code.NON_EMPTY_GROUP
    coordinator.stop()


def test_groups_with_commits_are_known_after_a_restart_and_can_be_deleted(tmp_path) -> None:
    offsets = CommittedOffsets(tmp_path / "offsets")
    offsets.commit([Committed("g", "t", 0, 5, "m"), Committed("g", "t", 1, 6, "")])
    offsets.commit([Committed("g", "t", 0, 7, "m")])
    offsets.close()
    with (tmp_path / "offsets").open("ab") as file:
        file.write(b'["g","t",0,9')  # torn
    offsets = CommittedOffsets(tmp_path / "offsets")
    assert {key: entry.offset for key, entry in offsets.of_group("g").items()} == {("t", 0): 7, ("t", 1): 6}
    coordinator = Coordinator(offsets, 0.01)
    assert coordinator.names() == ["g"]
    coordinator.delete("g")
    offsets.close()
    assert CommittedOffsets(tmp_path / "offsets").groups() == []
