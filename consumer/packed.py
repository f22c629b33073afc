"""Changes by contact, packed: millions may wait, and a change as an object takes three times as much. Pure.

Each change is one number whose highest bits are the change's own number: so of two packed changes the greater one is
the newer. A contact takes about 140 bytes, the key and its share of the table included.
"""

from collections.abc import Iterator, MutableMapping
from itertools import islice
from struct import Struct

from consumer.changes import Action, Assignment, Change
from consumer.offsets import Offsets

_LAYOUT = Struct(">QqqqI")  # number, offset, occurred_at, timestamp, place and action
_SIZE = _LAYOUT.size
_WHERE = 0xFFFFFFFF  # the last field
_pack, _unpack = _LAYOUT.pack, _LAYOUT.unpack
_number = int.from_bytes


class PackedChanges(MutableMapping[int, Change]):
    """A mapping from contact to change. The assignments of the changes are those of `offsets`, past ones included."""

    __slots__ = ("_offsets", "_packed")

    def __init__(self, offsets: Offsets) -> None:
        self._offsets = offsets
        self._packed: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __contains__(self, contact: object) -> bool:
        return contact in self._packed

    def __getitem__(self, contact: int) -> Change:
        return self._unpacked(self._packed[contact])

    def __setitem__(self, contact: int, change: Change) -> None:
        self._packed[contact] = self._pack(change)

    def __delitem__(self, contact: int) -> None:
        del self._packed[contact]

    def fold(self, contact: int, change: Change) -> bool | None:
        """Keep the newer of the contact's changes: True if it is the first, False if it is newer, None if neither."""
        packed = self._pack(change)
        known = self._packed.get(contact)
        if known is not None and known >= packed:
            return None
        self._packed[contact] = packed
        return known is None

    def cut(self, size: int) -> dict[int, Change]:
        """Take out the first `size` contacts, or all if there are fewer."""
        packed = self._packed
        if size >= len(packed):
            self._packed = {}
            return {contact: self._unpacked(each) for contact, each in packed.items()}
        return {contact: self._unpacked(packed.pop(contact)) for contact in list(islice(packed, size))}

    def rest(self) -> "PackedChanges":
        """Take all out."""
        rest = PackedChanges(self._offsets)
        rest._packed, self._packed = self._packed, {}
        return rest

    def first(self) -> dict[Assignment, int]:
        """Give the lowest offset of each assignment."""
        first: dict[Assignment, int] = {}
        for change in self.values():
            if change.offset < first.get(change.assignment, change.offset + 1):
                first[change.assignment] = change.offset
        return first

    def forget(self, assignment: Assignment) -> None:
        """Drop all that came from one assignment."""
        place = self._offsets.place(assignment)
        self._packed = {contact: packed for contact, packed in self._packed.items() if (packed & _WHERE) >> 1 != place}

    def _pack(self, change: Change) -> int:
        number, action, assignment, offset, occurred_at, timestamp = change
        place = self._offsets.place(assignment) << 1
        return _number(_pack(number, offset, occurred_at, timestamp, place | (action is Action.ADD)), "big")

    def _unpacked(self, packed: int) -> Change:
        number, offset, occurred_at, timestamp, where = _unpack(packed.to_bytes(_SIZE, "big"))
        action = Action.ADD if where & 1 else Action.REMOVE
        return Change(number, action, self._offsets.at(where >> 1), offset, occurred_at, timestamp)
