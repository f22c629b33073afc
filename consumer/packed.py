"""Changes by contact, packed: millions may wait, and a change as an object takes three times as much. Pure.

Each change is one number whose highest bits are the change's own number: so of two packed changes the greater one is
the newer. A contact takes about 140 bytes, the key and its share of the table included.
"""

from collections.abc import Iterable, Iterator, MutableMapping
from itertools import islice
from struct import Struct

from consumer.changes import Action, Assignment, Change
from consumer.offsets import Offsets

Packed = int
"""A change: from the highest bits down its number, offset, occurred_at, timestamp, and place with action."""

Told = tuple[int, Packed]
"""A contact, and its change."""

_LAYOUT = Struct(">QqqqI")
_SIZE = _LAYOUT.size
_WHERE = 0xFFFFFFFF  # the last field
_BELOW_NUMBER = 8 * (_SIZE - 8)
_BELOW_TIMESTAMP = 32
_TIMESTAMP = (1 << 63) - 1  # there is none before 1970
_pack, _unpack, _from_bytes = _LAYOUT.pack, _LAYOUT.unpack, int.from_bytes


def pack(number: int, offset: int, occurred_at: int, timestamp: int, where: int) -> Packed:
    """Pack the fields of a change; `where` is what `place_of` gives."""
    return _from_bytes(_pack(number, offset, occurred_at, timestamp, where), "big")


def number_of(change: Packed) -> int:
    """Give a packed change's number."""
    return change >> _BELOW_NUMBER


def place_of(action: Action, assignment: Assignment, offsets: Offsets) -> int:
    """Give action and assignment as one number."""
    return offsets.place(assignment) << 1 | (action is Action.ADD)


def packed(change: Change, offsets: Offsets) -> Packed:
    """Pack a change of an assignment that `offsets` have, or had."""
    number, action, assignment, offset, occurred_at, timestamp = change
    return pack(number, offset, occurred_at, timestamp, place_of(action, assignment, offsets))


def unpacked(change: Packed, offsets: Offsets) -> Change:
    """Give a packed change as an object."""
    number, offset, occurred_at, timestamp, where = fields(change)
    return Change(number, action_of(where), offsets.at(where >> 1), offset, occurred_at, timestamp)


def fields(change: Packed) -> tuple[int, int, int, int, int]:
    """Give number, offset, occurred_at and timestamp of a change, and what `place_of` gives."""
    return _unpack(change.to_bytes(_SIZE, "big"))


def offset_of(change: Packed) -> int:
    """Give a packed change's offset."""
    return fields(change)[1]


def timestamps(changes: Iterable[Packed]) -> list[int]:
    """Give the timestamps of changes."""
    return [(each >> _BELOW_TIMESTAMP) & _TIMESTAMP for each in changes]


def action_of(where: int) -> Action:
    """Give the action in what `place_of` gives."""
    return Action.ADD if where & 1 else Action.REMOVE


class PackedChanges(MutableMapping[int, Change]):
    """A mapping from contact to change; `packed` is the same with packed changes.

    The assignments of the changes are those of `offsets`, past ones included.
    """

    __slots__ = ("offsets", "packed")

    def __init__(self, offsets: Offsets, changes: dict[int, Packed] | None = None) -> None:
        self.offsets = offsets
        self.packed: dict[int, Packed] = {} if changes is None else changes

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[int]:
        return iter(self.packed)

    def __contains__(self, contact: object) -> bool:
        return contact in self.packed

    def __getitem__(self, contact: int) -> Change:
        return unpacked(self.packed[contact], self.offsets)

    def __setitem__(self, contact: int, change: Change) -> None:
        self.packed[contact] = packed(change, self.offsets)

    def __delitem__(self, contact: int) -> None:
        del self.packed[contact]

    def cut(self, size: int) -> "PackedChanges":
        """Take out the first `size` contacts, or all if there are fewer."""
        if size >= len(self.packed):
            return self.rest()
        pop = self.packed.pop
        return PackedChanges(self.offsets, {contact: pop(contact) for contact in list(islice(self.packed, size))})

    def rest(self) -> "PackedChanges":
        """Take all out."""
        rest, self.packed = PackedChanges(self.offsets, self.packed), {}
        return rest

    def by_action(self) -> tuple[list[int], list[int]]:
        """Give the contacts that are to be added, and those that are to be removed."""
        changes = self.packed.items()
        return [contact for contact, each in changes if each & 1], [each for each, its in changes if not its & 1]

    def removals(self) -> list[int]:
        """Give the numbers of the changes that remove."""
        return [each >> _BELOW_NUMBER for each in self.packed.values() if not each & 1]

    def copy(self) -> "PackedChanges":
        """Give the same once more."""
        return PackedChanges(self.offsets, self.packed.copy())

    def ours(self) -> "PackedChanges":
        """Give a copy, without what is of assignments that are not ours any more."""
        gone = {self.offsets.place(each) for each in self.assignments() if each not in self.offsets}
        if not gone:
            return self.copy()
        ours = {contact: each for contact, each in self.packed.items() if (each & _WHERE) >> 1 not in gone}
        return PackedChanges(self.offsets, ours)

    def assignments(self) -> frozenset[Assignment]:
        """Give the assignments that the changes are of."""
        at = self.offsets.at
        return frozenset(map(at, {(each & _WHERE) >> 1 for each in self.packed.values()}))

    def first(self) -> dict[Assignment, int]:
        """Give the lowest offset of each assignment."""
        first: dict[Assignment, int] = {}
        for change in self.values():
            if change.offset < first.get(change.assignment, change.offset + 1):
                first[change.assignment] = change.offset
        return first

    def forget(self, assignment: Assignment) -> None:
        """Drop all that came from one assignment."""
        place = self.offsets.place(assignment)
        self.packed = {contact: each for contact, each in self.packed.items() if (each & _WHERE) >> 1 != place}
