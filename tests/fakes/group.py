"""The group's coordinator in memory: who owns which partition, and in which order the members hear of it.

As the cooperative protocol does it: a partition that moves is revoked first, and given to its new owner only after the
old owner's callback has returned, or after its session has ended.
"""

from consumer.changes import TopicPartition
from tests.fakes.kafka import MemoryBroker, MemorySource


class Group:
    """Shares the broker's partitions out. Everything happens in `turn`, and is heard in the members' next polls."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self.members: list[MemorySource] = []
        self._wanted: dict[TopicPartition, MemorySource] = {}
        self._given: dict[TopicPartition, MemorySource] = {}
        self._leaving: set[TopicPartition] = set()  # told to their owners to be given up

    def join(self, member: MemorySource) -> None:
        """Let a member in."""
        member.in_group = True
        self.members.append(member)
        self._share()

    def leave(self, member: MemorySource) -> None:
        """Let a member go that has closed its source."""
        self._drop(member)

    def cast_out(self, member: MemorySource) -> None:
        """End the session of a member that was silent for too long. It hears so from `MemorySource.lose`, if ever."""
        member.cast_out()
        self._drop(member)

    def move(self, key: TopicPartition, member: MemorySource) -> None:
        """Let a partition go to another member."""
        if member in self.members:
            self._wanted[key] = member

    def turn(self) -> None:
        """Go on as far as the members have."""
        for key in sorted(self._leaving):
            holder = self._given[key]
            if not holder.rebalancing and key not in holder.owned:
                self._leaving.remove(key)
                del self._given[key]
        revoked: dict[int, list[TopicPartition]] = {}
        assigned: dict[int, list[TopicPartition]] = {}
        for key, wanted in sorted(self._wanted.items()):
            holder_now = self._given.get(key)
            if holder_now is None:
                self._given[key] = wanted
                assigned.setdefault(self.members.index(wanted), []).append(key)
            elif holder_now is not wanted and key not in self._leaving:
                self._leaving.add(key)
                revoked.setdefault(self.members.index(holder_now), []).append(key)
        for index, member in enumerate(self.members):
            if index in revoked:
                member.revoke(*(key.partition for key in revoked[index]))
            if index in assigned:
                member.assign(*(key.partition for key in assigned[index]))

    def _drop(self, member: MemorySource) -> None:
        self.members.remove(member)
        for key in [key for key, holder in self._given.items() if holder is member]:
            del self._given[key]
            self._leaving.discard(key)
        self._share()

    def _share(self) -> None:
        """Share out evenly; who has a partition keeps it where that is possible."""
        mine: dict[int, list[TopicPartition]] = {index: [] for index in range(len(self.members))}
        if not mine:
            self._wanted.clear()
            return
        most = -(-len(self._broker.log) // len(mine))
        free = []
        for key in sorted(self._broker.log):
            owner = self._wanted.get(key)
            index = self.members.index(owner) if owner in self.members else None
            if index is not None and len(mine[index]) < most:
                mine[index].append(key)
            else:
                free.append(key)
        for key in free:
            mine[min(mine, key=lambda index: len(mine[index]))].append(key)
        self._wanted = {key: self.members[index] for index, keys in mine.items() for key in keys}
