"""What recent events show: the sources they are of, and the request that a source's last ones would make. Pure.

Who reads events notes each of them, those of a partition in the order of its log. However many are noted, of however
many sources, no more is held than is said beforehand.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, NamedTuple, Protocol, TypeVar

from consumer import router
from consumer.changes import Assignment, Change, TopicPartition
from consumer.hubspot.answers import record_number
from consumer.offsets import Offsets
from consumer.router import ACTIONS, Invalid, Route, Skipped
from consumer.window import Window

MOST_SOURCES = 1_000  # held at once
MOST_SLOTS = 100  # of one source
MOST_EVENTS = 10_000  # of the source whose last events are asked for

SOURCE_TYPES = frozenset({"AUDIENCE", "JOURNEY"})
"""What a connector can take."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Event(router.Event, Protocol):
    """What is looked at of an event, besides what a router looks at."""

    @property
    def transition(self) -> str:
        """Whether the profile entered or left: ENTER, EXIT."""

    @property
    def occurred_at(self) -> int:
        """When it happened, in ms since 1970."""

    @property
    def identifiers(self) -> Mapping[str, str]:
        """Identifier by PartnerType slot."""


@dataclass(frozen=True, slots=True)
class SeenSource:
    """An audience or journey, and how many `events` of it were looked at.

    `newest`: when Kafka got the last of them, in seconds since 1970; 0 where it does not say. `slots`: the share (above
    0, up to 1) of them that carry each slot, the most frequent first. `usable`: the share whose identifier in the slot
    is a HubSpot record id; never more than the share that carries it.
    """

    source_type: str
    source_id: str
    events: int
    newest: float
    slots: Mapping[str, float]
    usable: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SeenSources:
    """The sources of all `events` that were looked at, the busiest first.

    `others` of the events are of sources that are not told: of an unknown type, without an id, or too many to hold.
    `oldest`: when Kafka got the first of all events, in seconds since 1970; None if it says so of none.
    """

    sources: tuple[SeenSource, ...]
    events: int
    others: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class LastRequest:
    """The contacts that a source's last `events` would add and remove, in one request, in its order.

    Of the events `without` have no identifier in the slot, and `invalid` one that is no HubSpot record id.
    """

    adds: tuple[int, ...]
    removes: tuple[int, ...]
    events: int
    without: int
    invalid: int


def shares(sizes: Sequence[int], most: int) -> list[int]:
    """Say how much to take of each of several, `most` together: alike of all, but for what small ones leave to others.

    With more to take together, none gives less.
    """
    taken = [0] * len(sizes)
    left = max(most, 0)
    for done, place in enumerate(sorted(range(len(sizes)), key=lambda each: sizes[each])):
        # Who comes later is larger: so the last ones get what cannot be divided, whatever that is.
        taken[place] = min(sizes[place], left // (len(sizes) - done))
        left -= taken[place]
    return taken


class Sightings:
    """The sources of events, at most so many, and of each at most so many slots: those that are seen most often."""

    def __init__(self, most_sources: int = MOST_SOURCES, most_slots: int = MOST_SLOTS) -> None:
        self._sources: _Busiest[tuple[str, str], _Source] = _Busiest(most_sources, lambda: _Source(most_slots))
        self._events = 0
        self._oldest: int | None = None

    def note(self, event: Event, timestamp: int) -> None:
        """Take an event in; `timestamp` is Kafka's, in ms since 1970, 0 or less where there is none."""
        self._events += 1
        if timestamp > 0:
            self._oldest = timestamp if self._oldest is None else min(self._oldest, timestamp)
        if event.source_type in SOURCE_TYPES and event.source_id:
            self._sources.tell((event.source_type, event.source_id)).note(event.identifiers, timestamp)

    def seen(self) -> SeenSources:
        """Say what was seen so far."""
        told = [each.told(*source) for source, each in self._sources.kept.items()]
        told.sort(key=lambda each: (-each.events, -each.newest, each.source_type, each.source_id))
        others = self._events - sum(each.events for each in told)
        return SeenSources(tuple(told), self._events, others, None if self._oldest is None else self._oldest / 1000)


class LastEvents:
    """The last events of one source, at most so many, as a connector would take them that reads `slot`.

    Events of several partitions are put in the order in which Kafka got them, as far as their logs allow: one whose
    timestamp is less than that of an event before it in its partition counts as if it had that one's.
    """

    def __init__(self, source_type: str, source_id: str, slot: str, most_events: int = MOST_EVENTS) -> None:
        self._source = (source_type, source_id)
        self._route = Route("", source_type, source_id, slot, enabled=True)
        self._most = most_events
        self._newest: list[_Noted] = []  # a heap, the oldest first
        self._times: defaultdict[TopicPartition, int] = defaultdict(int)

    def __len__(self) -> int:
        return len(self._newest)

    def note(self, event: Event, place: TopicPartition, offset: int, timestamp: int) -> None:
        """Take an event in, if it is of the source; `timestamp` is as for Sightings. Each offset is noted once."""
        if (event.source_type, event.source_id) != self._source:
            return
        time = self._times[place] = max(self._times[place], timestamp)
        contact = self._route.contact(event.identifiers)
        noted = _Noted(time, place, offset, event.transition, event.occurred_at, contact)
        if len(self._newest) < self._most:
            heapq.heappush(self._newest, noted)
        else:
            heapq.heappushpop(self._newest, noted)

    def request(self, max_contacts: int) -> LastRequest:
        """Give the request that the last events make, as many of them as have no more contacts than `max_contacts`.

        They go through a Window, as in the service, so each contact is in it once, by the last of its events.
        """
        last = _with_contacts(sorted(self._newest), max_contacts)
        offsets = Offsets()
        assignments = {place: Assignment(*place, epoch=1) for place in dict.fromkeys(each.place for each in last)}
        for assignment in assignments.values():
            offsets.assign(assignment)
        window = Window(offsets)
        without = invalid = 0
        for number, each in enumerate(last, start=1):
            match each.contact:
                case Skipped():
                    without += 1
                case Invalid():
                    invalid += 1
                case contact:
                    action, assignment = ACTIONS[each.transition], assignments[each.place]
                    change = Change(number, action, assignment, each.offset, each.occurred_at, each.time)
                    window.fold(contact, change, due_at=0.0)
        adds, removes = window.take().rest().by_action()
        return LastRequest(tuple(adds), tuple(removes), len(last), without, invalid)


class _Noted(NamedTuple):
    """An event; compared by when Kafka got it, then by where it lies."""

    time: int
    place: TopicPartition
    offset: int
    transition: str
    occurred_at: int
    contact: int | Skipped | Invalid


def _with_contacts(events: Sequence[_Noted], most: int) -> Sequence[_Noted]:
    """Give the last events, as many as have no more than `most` contacts together."""
    contacts: set[int] = set()
    for number, each in enumerate(reversed(events)):
        if isinstance(each.contact, int):
            if each.contact not in contacts and len(contacts) >= most:
                return events[len(events) - number :]
            contacts.add(each.contact)
    return events


class _Busiest(Generic[K, V]):
    """What is kept of keys, of `most` at once: those that are told most often.

    A new key takes the place, and the count, of the one that was told least often. So whatever makes up more than one
    in `most` of all that is told is there in the end (Space-Saving, by Metwally, Agrawal and El Abbadi, 2005).
    """

    def __init__(self, most: int, new: Callable[[], V]) -> None:
        self.kept: dict[K, V] = {}
        self._most = most
        self._new = new
        self._counts: dict[K, int] = {}
        self._ranks: list[tuple[int, int, K]] = []  # a heap of counts, each as it was when it was last looked at
        self._ties = count()

    def tell(self, key: K) -> V:
        """Count a key, and give what is kept of it."""
        if key not in self.kept:
            self._counts[key] = self._make_room() if len(self.kept) >= self._most else 0
            self.kept[key] = self._new()
            heapq.heappush(self._ranks, (self._counts[key], next(self._ties), key))
        self._counts[key] += 1
        return self.kept[key]

    def _make_room(self) -> int:
        """Forget the key that was told least often; give its count."""
        while (counted := self._counts[self._ranks[0][2]]) > self._ranks[0][0]:
            heapq.heapreplace(self._ranks, (counted, next(self._ties), self._ranks[0][2]))
        _, _, key = heapq.heappop(self._ranks)
        del self.kept[key]
        return self._counts.pop(key)


@dataclass(slots=True)
class _Slot:
    """How many events carry a slot, and how many a record id in it."""

    events: int = 0
    usable: int = 0


@dataclass(slots=True)
class _Source:
    """What is counted of a source."""

    most_slots: int
    events: int = 0
    newest: int = 0
    slots: "_Busiest[str, _Slot]" = field(init=False)

    def __post_init__(self) -> None:
        """Make room for its slots."""
        self.slots = _Busiest(self.most_slots, _Slot)

    def note(self, identifiers: Mapping[str, str], timestamp: int) -> None:
        """Count an event."""
        self.events += 1
        self.newest = max(self.newest, timestamp)
        for slot, identifier in identifiers.items():
            its = self.slots.tell(slot)
            its.events += 1
            its.usable += record_number(identifier) is not None

    def told(self, source_type: str, source_id: str) -> SeenSource:
        """Give the counts as shares."""
        by_frequency = sorted(self.slots.kept.items(), key=lambda each: (-each[1].events, each[0]))
        return SeenSource(
            source_type,
            source_id,
            self.events,
            self.newest / 1000,
            {slot: its.events / self.events for slot, its in by_frequency},
            {slot: its.usable / self.events for slot, its in by_frequency},
        )
