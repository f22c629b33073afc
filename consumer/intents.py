"""What the log asks for in the end: of one connector, the newest intent of every contact. Pure.

It is made to hold millions: an intent is packed into one number, so that a contact takes about 120 bytes, the key and
its share of the table included. Who reads a partition in the order of its log notes each change as it comes, and the
last one stays; for a contact whose changes lie in several partitions, the one read last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from consumer.changes import Action, TopicPartition
from consumer.history import Position
from consumer.hubspot.answers import LARGEST_RECORD_ID

_PLACE_BITS = 20
_OFFSET_BITS = 64
_TIME_BITS = 64
_OFFSET_SHIFT = 1 + _PLACE_BITS
_TIME_SHIFT = _OFFSET_SHIFT + _OFFSET_BITS
_PLACE_MASK = (1 << _PLACE_BITS) - 1
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_TIME_MASK = (1 << _TIME_BITS) - 1
_TIME_SIGN = 1 << (_TIME_BITS - 1)


class Intent(NamedTuple):
    """What a change asks for, where it lies, and when it happened (ms since 1970, from the event)."""

    action: Action
    position: Position
    occurred_at: int


@dataclass(frozen=True, slots=True)
class IdRange:
    """The record ids above one, up to and including another; by default all that there can be."""

    above: int = 0
    up_to: int = LARGEST_RECORD_ID

    def __contains__(self, contact: int) -> bool:
        return self.above < contact <= self.up_to


EVERYBODY = IdRange()


class Intents:
    """The newest intent of each contact, by record id."""

    __slots__ = ("_numbers", "_packed", "_places")

    def __init__(self) -> None:
        self._packed: dict[int, int] = {}
        self._places: list[TopicPartition] = []
        self._numbers: dict[TopicPartition, int] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def __contains__(self, contact: int) -> bool:
        return contact in self._packed

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __getitem__(self, contact: int) -> Intent:
        return self._unpacked(self._packed[contact])

    def get(self, contact: int) -> Intent | None:
        """Give a contact's intent, if there is one."""
        packed = self._packed.get(contact)
        return None if packed is None else self._unpacked(packed)

    def action(self, contact: int) -> Action | None:
        """Give what is asked for a contact, if anything is: cheaper than the whole intent."""
        packed = self._packed.get(contact)
        return None if packed is None else Action.ADD if packed & 1 else Action.REMOVE

    def note(self, contact: int, action: Action, place: TopicPartition, offset: int, occurred_at: int) -> None:
        """Take a change in the place of what was known of the contact. An `offset` of -1: no event says so."""
        number = self._numbers.get(place)
        if number is None:
            number = self._numbers[place] = len(self._places)
            self._places.append(place)
        self._packed[contact] = (
            (occurred_at & _TIME_MASK) << _TIME_SHIFT
            | (offset + 1) << _OFFSET_SHIFT
            | number << 1
            | (action is Action.ADD)
        )

    def take(self) -> tuple[int, Intent]:
        """Remove one contact and give it with its intent; KeyError if there is none."""
        contact, packed = self._packed.popitem()
        return contact, self._unpacked(packed)

    def discard(self, contact: int) -> None:
        """Forget a contact, if it is known."""
        self._packed.pop(contact, None)

    def _unpacked(self, packed: int) -> Intent:
        topic, partition = self._places[(packed >> 1) & _PLACE_MASK]
        occurred_at = packed >> _TIME_SHIFT
        if occurred_at & _TIME_SIGN:
            occurred_at -= 1 << _TIME_BITS
        offset = ((packed >> _OFFSET_SHIFT) & _OFFSET_MASK) - 1
        return Intent(Action.ADD if packed & 1 else Action.REMOVE, Position(topic, partition, offset), occurred_at)


class Folded(NamedTuple):
    """A log, folded: the intents of each connector, and the record ids that they are complete for.

    `complete`: retention has taken nothing of it yet. `unreadable` events told nothing that could be read, whomever
    they concern.
    """

    intents: Mapping[str, Intents]
    ranges: Mapping[str, IdRange]
    complete: bool = True
    unreadable: int = 0
