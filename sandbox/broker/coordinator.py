"""All consumer groups of the broker, and who may commit offsets in them."""

from jitr.sandbox.broker.group import Group, State
from jitr.sandbox.broker.offsets import CommittedOffsets
from jitr.sandbox.broker.wire.codes import Code, RefusalError

_MOST_GROUPS = 10_000


class Coordinator:
    """The groups by name; a group without members lives on in its committed offsets.

    Parameters
    ----------
    offsets : CommittedOffsets
        Where commits are kept.
    initial_delay_s : float
        How long the first rebalance of an empty group waits for more members.
    """

    def __init__(self, offsets: CommittedOffsets, initial_delay_s: float) -> None:
        self.offsets = offsets
        self._initial_delay_s = initial_delay_s
        self._groups: dict[str, Group] = {}

    def get(self, name: str) -> Group | None:
        return self._groups.get(name)

    def existing(self, name: str) -> Group:
        """The group of that name.

        Raises
        ------
        RefusalError
            UNKNOWN_MEMBER_ID: to a group that is not there nobody belongs.
        """
        group = self._groups.get(name)
        if group is None:
            raise RefusalError(Code.UNKNOWN_MEMBER_ID, f"group {name!r} has no members")
        return group

    def open(self, name: str) -> Group:
        """The group of that name, made if missing.

        Raises
        ------
        RefusalError
            INVALID_GROUP_ID, or GROUP_MAX_SIZE_REACHED when there are too many groups.
        """
        if not name:
            raise RefusalError(Code.INVALID_GROUP_ID, "a group needs a name")
        group = self._groups.get(name)
        if group is None:
            self._drop_idle()
            if len(self._groups) >= _MOST_GROUPS:
                raise RefusalError(
                    Code.GROUP_MAX_SIZE_REACHED, f"the broker has {_MOST_GROUPS} groups already"
                )
            group = self._groups[name] = Group(self._initial_delay_s)
        return group

    def _drop_idle(self) -> None:
        # a group without members and commits is nothing
        for name in [name for name, group in self._groups.items() if group.idle]:
            if not self.offsets.of_group(name):
                del self._groups[name]

    def names(self) -> list[str]:
        """Every group that has members or commits."""
        living = {name for name, group in self._groups.items() if not group.idle}
        return sorted(living | set(self.offsets.groups()))

    def check_commit(self, name: str, generation: int, member_id: str) -> None:
        """Whether this client may commit now.

        Raises
        ------
        RefusalError
            INVALID_GROUP_ID, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION or REBALANCE_IN_PROGRESS.
        """
        if not name:
            raise RefusalError(Code.INVALID_GROUP_ID, "a group needs a name")
        group = self._groups.get(name)
        if generation < 0 and (group is None or group.state is State.EMPTY):
            return  # a consumer without membership, or an administrator
        if group is None:
            raise RefusalError(Code.ILLEGAL_GENERATION, f"group {name!r} has no generation {generation}")
        member = group.member(member_id, generation)
        group.touch(member)
        if group.state is State.COMPLETING:
            raise RefusalError(Code.REBALANCE_IN_PROGRESS, "the group rebalances")

    def delete(self, name: str) -> None:
        """Forget a group and its commits.

        Raises
        ------
        RefusalError
            GROUP_ID_NOT_FOUND or NON_EMPTY_GROUP.
        """
        if name not in self.names():
            raise RefusalError(Code.GROUP_ID_NOT_FOUND, f"there is no group {name!r}")
        group = self._groups.get(name)
        if group is not None and not group.idle:
            raise RefusalError(Code.NON_EMPTY_GROUP, f"group {name!r} has members")
        self._groups.pop(name, None)
        self.offsets.forget_group(name)

    def stop(self) -> None:
        """Stop every timer of every group."""
        for group in self._groups.values():
            group.stop()
