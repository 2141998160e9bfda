"""The state machine of one consumer group: join, sync, heartbeat, leave (Kafka's classic group protocol).

    Empty -> PreparingRebalance -> CompletingRebalance -> Stable -> PreparingRebalance ...

A rebalance ends when every known member has joined again, or when the longest rebalance timeout is over; who
has not joined by then is out. No static membership: every member that comes back is a new one.
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import uuid4

from jitr.sandbox.broker.wire.codes import Code, RefusalError


class State(StrEnum):
    """Where a group stands; the values are what DescribeGroups tells."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


@dataclass(slots=True)
class Member:
    """One member of a group, and the answers it waits for."""

    id: str
    client_id: str
    client_host: str
    session_timeout_s: float
    rebalance_timeout_s: float
    protocols: dict[str, bytes]
    assignment: bytes = b""
    joining: "asyncio.Future[Joined] | None" = None
    syncing: "asyncio.Future[bytes] | None" = None
    expiry: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """What a member learns when a rebalance is over; only the leader gets the members."""

    generation: int
    protocol: str
    leader: str
    member_id: str
    members: list[tuple[str, bytes]] = field(default_factory=list)


class Group:
    """One consumer group.

    Parameters
    ----------
    initial_delay_s : float
        How long the first rebalance of an empty group waits for more members.
    most_members : int
        Members beyond this are refused.
    """

    def __init__(self, initial_delay_s: float, most_members: int = 1000) -> None:
        self.state = State.EMPTY
        self.generation = 0
        self.protocol_type = ""
        self.protocol = ""
        self.leader = ""
        self.members: dict[str, Member] = {}
        self._promised: dict[str, asyncio.TimerHandle] = {}  # ids given out, whose owners have yet to join
        self._deadline: asyncio.TimerHandle | None = None
        self._waiting_for_first = False
        self._initial_delay_s = initial_delay_s
        self._most_members = most_members

    @property
    def idle(self) -> bool:
        """Whether the group has no members and nobody about to join."""
        return not self.members and not self._promised

    def promise_id(self, client_id: str, session_timeout_s: float) -> str:
        """An id for a member that must come again with it (MEMBER_ID_REQUIRED, KIP-394)."""
        self._check_room()
        member_id = f"{client_id}-{uuid4()}"
        loop = asyncio.get_running_loop()
        self._promised[member_id] = loop.call_later(session_timeout_s, self._promised.pop, member_id, None)
        return member_id

    def _check_room(self) -> None:
        if len(self.members) + len(self._promised) >= self._most_members:
            raise RefusalError(
                Code.GROUP_MAX_SIZE_REACHED, f"the group has its {self._most_members} members already"
            )

    def join(self, arrival: Member, protocol_type: str) -> "asyncio.Future[Joined]":
        """Let a member in, new (id empty or promised) or known; the future resolves after the rebalance.

        Raises
        ------
        RefusalError
            UNKNOWN_MEMBER_ID, INCONSISTENT_GROUP_PROTOCOL or GROUP_MAX_SIZE_REACHED.
        """
        others = [member for member in self.members.values() if member.id != arrival.id]
        if not arrival.protocols or not protocol_type:
            raise RefusalError(Code.INCONSISTENT_GROUP_PROTOCOL, "a member must offer a protocol")
        if others and (
            protocol_type != self.protocol_type or not _common([*others, arrival], list(arrival.protocols))
        ):
            raise RefusalError(
                Code.INCONSISTENT_GROUP_PROTOCOL,
                f"{protocol_type} {list(arrival.protocols)} has nothing in common with the other members",
            )
        known = self.members.get(arrival.id)
        if known is None:
            member = self._admit(arrival)
            changed = True
        else:
            member = known
            changed = member.protocols != arrival.protocols
            member.protocols = arrival.protocols
            member.session_timeout_s = arrival.session_timeout_s
            member.rebalance_timeout_s = arrival.rebalance_timeout_s
        self.protocol_type = protocol_type
        if member.joining is not None and not member.joining.done():
            member.joining.cancel()  # the same member asks again: its old connection is gone
        answer: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
        if not changed and (
            self.state is State.COMPLETING or (self.state is State.STABLE and member.id != self.leader)
        ):
            answer.set_result(self._joined(member))  # its first answer was lost
            self.touch(member)
            return answer
        member.joining = answer
        self._stop_expiry(member)
        if self.state is not State.PREPARING:
            self._prepare()
        elif not self._waiting_for_first:
            self._complete_if_all_joined()
        return answer

    def _admit(self, arrival: Member) -> Member:
        if arrival.id:
            promise = self._promised.pop(arrival.id, None)
            if promise is None:
                raise RefusalError(Code.UNKNOWN_MEMBER_ID, f"the group has no member {arrival.id!r}")
            promise.cancel()
        else:
            self._check_room()
            arrival.id = f"{arrival.client_id}-{uuid4()}"
        self.members[arrival.id] = arrival
        return arrival

    def _prepare(self) -> None:
        first = self.state is State.EMPTY
        self.state = State.PREPARING
        self._waiting_for_first = first
        for member in self.members.values():
            if member.syncing is not None and not member.syncing.done():
                member.syncing.set_exception(RefusalError(Code.REBALANCE_IN_PROGRESS, "the group rebalances"))
                self.touch(member)
            member.syncing = None
        wait_s = (
            self._initial_delay_s
            if first
            else max(member.rebalance_timeout_s for member in self.members.values())
        )
        self._deadline = asyncio.get_running_loop().call_later(wait_s, self._complete)
        if not first:
            self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if all(member.joining is not None for member in self.members.values()):
            self._complete()

    def _complete(self) -> None:
        self._stop_deadline()
        self._waiting_for_first = False
        for member in list(self.members.values()):
            if member.joining is None:
                self._stop_expiry(member)
                del self.members[member.id]
        self.generation += 1
        if not self.members:
            self._become_empty()
            return
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        members = list(self.members.values())
        self.protocol = _common(members, list(self.members[self.leader].protocols))[0]
        self.state = State.COMPLETING
        for member in members:
            answer, member.joining, member.assignment = member.joining, None, b""
            self.touch(member)
            if answer is not None and not answer.done():
                answer.set_result(self._joined(member))

    def _joined(self, member: Member) -> Joined:
        listed = (
            [(other.id, other.protocols[self.protocol]) for other in self.members.values()]
            if member.id == self.leader
            else []
        )
        return Joined(self.generation, self.protocol, self.leader, member.id, listed)

    def _become_empty(self) -> None:
        self.state = State.EMPTY
        self.leader = self.protocol = ""

    def member(self, member_id: str, generation: int) -> Member:
        """The member of that id, of the generation it says.

        Raises
        ------
        RefusalError
            UNKNOWN_MEMBER_ID or ILLEGAL_GENERATION.
        """
        member = self.members.get(member_id)
        if member is None:
            raise RefusalError(Code.UNKNOWN_MEMBER_ID, f"the group has no member {member_id!r}")
        if generation != self.generation:
            raise RefusalError(
                Code.ILLEGAL_GENERATION, f"generation {generation} given, the group is at {self.generation}"
            )
        return member

    def sync(self, member_id: str, generation: int, assignments: dict[str, bytes]) -> "asyncio.Future[bytes]":
        """A member's assignment, once the leader has sent all of them.

        Raises
        ------
        RefusalError
            UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION or REBALANCE_IN_PROGRESS.
        """
        member = self.member(member_id, generation)
        if self.state is State.PREPARING:
            raise RefusalError(Code.REBALANCE_IN_PROGRESS, "the group rebalances")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.touch(member)
        if self.state is State.STABLE:
            answer.set_result(member.assignment)
            return answer
        if member.syncing is not None and not member.syncing.done():
            member.syncing.cancel()
        member.syncing = answer
        if member_id == self.leader:
            self.state = State.STABLE
            for each in self.members.values():
                each.assignment = assignments.get(each.id, b"")
                waiting, each.syncing = each.syncing, None
                if waiting is not None and not waiting.done():
                    waiting.set_result(each.assignment)
                    self.touch(each)
        return answer

    def heartbeat(self, member_id: str, generation: int) -> None:
        """Note that a member lives.

        Raises
        ------
        RefusalError
            UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION or REBALANCE_IN_PROGRESS.
        """
        member = self.member(member_id, generation)
        self.touch(member)
        if self.state is State.PREPARING:
            raise RefusalError(Code.REBALANCE_IN_PROGRESS, "the group rebalances")

    def touch(self, member: Member) -> None:
        """Start a member's session timeout anew; while it waits for a rebalance it has none."""
        self._stop_expiry(member)
        if member.joining is None:
            loop = asyncio.get_running_loop()
            member.expiry = loop.call_later(member.session_timeout_s, self._expire, member.id)

    def _expire(self, member_id: str) -> None:
        if member_id in self.members:
            self.leave(member_id)

    def leave(self, member_id: str) -> None:
        """Take a member out and rebalance the rest.

        Raises
        ------
        RefusalError
            UNKNOWN_MEMBER_ID.
        """
        promise = self._promised.pop(member_id, None)
        if promise is not None:
            promise.cancel()
            return
        member = self.members.pop(member_id, None)
        if member is None:
            raise RefusalError(Code.UNKNOWN_MEMBER_ID, f"the group has no member {member_id!r}")
        self._stop_expiry(member)
        for answer in (member.joining, member.syncing):
            if answer is not None and not answer.done():
                answer.set_exception(RefusalError(Code.UNKNOWN_MEMBER_ID, "the member has left"))
        if self.state is State.PREPARING:
            if not self.members:
                self._complete()
            elif not self._waiting_for_first:
                self._complete_if_all_joined()
        elif self.members:
            self._prepare()
        else:
            self.generation += 1
            self._become_empty()

    def stop(self) -> None:
        """Stop every timer."""
        self._stop_deadline()
        for promise in self._promised.values():
            promise.cancel()
        for member in self.members.values():
            self._stop_expiry(member)

    def _stop_expiry(self, member: Member) -> None:
        if member.expiry is not None:
            member.expiry.cancel()
            member.expiry = None

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _common(members: list[Member], wanted: list[str]) -> list[str]:
    return [name for name in wanted if all(name in member.protocols for member in members)]
