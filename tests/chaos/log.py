"""The log of a round: what is written to it, and what it says in the end. It is the truth that lists must equal."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from tests.chaos.plan import ACTIVE, CONTACTS, EVENTS, LISTS, MISSING, PARTITIONS

ADD, REMOVE = "ADD", "REMOVE"
_TRANSITIONS = {ADD: "ENTER", REMOVE: "EXIT"}

# Shares of what is no change: rare, as they are, but hundreds in a round.
_ODD = 0.005


class Place(NamedTuple):
    """Where a message lies in the log."""

    partition: int
    offset: int


class Who(NamedTuple):
    """A contact and the list that it enters or leaves."""

    list_id: int
    contact: int


class Said(NamedTuple):
    """One change as the log has it. `at` is when it was written, in seconds since 1970."""

    place: Place
    action: str
    at: float


class Message(NamedTuple):
    """What to write, and what it means: a contact's change, or the reason of a dead letter, or nothing."""

    value: bytes | None
    key: str
    partition: int
    who: Who | None = None
    action: str = ""
    reason: str = ""


Encode = Callable[[str, str, str], bytes]
"""From a source, a record id and a transition to an event's bytes."""


class Script:
    """Every message that may be written. Values are encoded once, and tell their meaning when they are read again."""

    def __init__(self, encode: Encode) -> None:
        self._changes = [
            Message(
                encode(str(who.list_id), str(who.contact), _TRANSITIONS[action]),
                str(who.contact),
                who.contact % PARTITIONS,
                who,
                action,
            )
            for who in everyone()
            for action in (ADD, REMOVE)
        ]
        whole = self._changes[0].value or b""
        self._odd = [
            *[Message(value, "poison", 0, reason="UNDECODABLE") for value in (b"", b"\x07poison", whole[:9])],
            *[
                Message(encode("4711", identifier, "ENTER"), identifier, 1, reason="INVALID_RECORD_ID")
                for identifier in ("0", "-7", "ana@example.com", "9223372036854775808")
            ],
            Message(encode("nobody's", "1", "ENTER"), "1", 2),
            Message(None, "1", 3),
        ]
        self.meanings = {each.value: each for each in (*self._changes, *self._odd)}

    def messages(self, seed: int) -> Iterator[Message]:
        """Yield messages without end. Some contacts change for a while, then others: so each fault decides for some."""
        chance = random.Random(seed)  # noqa: S311 - it must repeat itself
        for number in count():
            if chance.random() < _ODD:
                yield chance.choice(self._odd)._replace(partition=chance.randrange(PARTITIONS))
            else:
                over = min(1.0, number / EVENTS)
                contact = int(over * (CONTACTS - ACTIVE)) + chance.randrange(ACTIVE)
                row = chance.randrange(len(LISTS)) * CONTACTS + contact
                yield self._changes[2 * row + chance.randrange(2)]


def exists(contact: int) -> bool:
    """Tell whether a contact is in HubSpot."""
    return contact % MISSING != 0


def everyone() -> Iterator[Who]:
    """Yield each contact of each list."""
    return (Who(list_id, contact) for list_id in LISTS for contact in range(1, CONTACTS + 1))


@dataclass
class Truth:
    """What the log says: all changes of each contact, in order, and which messages must be dead letters."""

    changes: dict[Who, list[Said]] = field(default_factory=lambda: defaultdict(list))
    must_be_refused: dict[Place, str] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)

    def add(self, message: Message, place: Place, at: float) -> None:
        """Read one message more."""
        self.events[message.reason or ("change" if message.who else "skipped")] += 1
        if message.who is not None:
            self.changes[message.who].append(Said(place, message.action, at))
        elif message.reason:
            self.must_be_refused[place] = message.reason

    def newest(self, who: Who) -> Said:
        """Give the change that decides whether a contact is on a list."""
        return self.changes[who][-1]

    def members(self, list_id: int) -> set[int]:
        """Give who should be on a list."""
        return {
            who.contact
            for who, changes in self.changes.items()
            if who.list_id == list_id and exists(who.contact) and changes[-1].action == ADD
        }


def truth(messages: Iterable[tuple[Message, Place, float]]) -> Truth:
    """Read a log from its beginning; of each partition in its order."""
    found = Truth()
    for message, place, at in messages:
        found.add(message, place, at)
    return found
