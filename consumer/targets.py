"""What a replay of dead letters has to send: contacts of connectors, each from an offset of its partition on. Pure.

- A dead letter of a contact makes it a *target*, from the newest of its dead letters on: what the log holds from there
  decides. Where retention took that place already, the dead letter itself says what was to be done.
- A dead letter of an event that could not be read, or bore no record id, makes the event one to *read anew*; where it
  then concerns a contact, that is a target from there on.
- A target is *superseded* when a result says that a change at its offset or after it was applied, and no result of an
  older change may have come about later than that one.

Records are mappings with the fields of `membership_result.avsc` and `dead_letter.avsc`; their times are milliseconds.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from consumer.changes import Action, TopicPartition
from consumer.hubspot.answers import record_number
from consumer.router import ACTIONS, Delivered, Event, Invalid, Router

UNDECODABLE = "UNDECODABLE"
INVALID_RECORD_ID = "INVALID_RECORD_ID"

NO_CONNECTOR = "its connector is not in the configuration, is not enabled, or keeps another list by now"
NO_TOPIC = "its topic is not under topics.changes"
NO_EVENT = "no event asked for it: `rebuild --exact` finds out anew who is to be taken off"
NOT_THERE = "its topic ends before it: was it made anew?"
TAKEN = "retention has taken it from the changes topic, and its dead letter does not hold it"
UNSURE = "retention has taken it from the changes topic, and from the results what may have come after it"
NO_LONGER = "the log does not tell it to its connector: retention has taken it just now, or source or slot changed"
UNREADABLE = "its dead letter cannot be read"

Record = Mapping[str, Any]

Whom = tuple[str, int]
"""A contact of a connector."""


class Key(NamedTuple):
    """A contact of a connector, as one partition tells of it."""

    connector: str
    contact: int
    topic: str
    partition: int

    @property
    def whom(self) -> Whom:
        """The contact of the connector, whatever partition tells of it."""
        return self.connector, self.contact

    @property
    def place(self) -> TopicPartition:
        """The partition."""
        return TopicPartition(self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class Target:
    """What the newest dead letter of a contact says: the change at `offset` was not applied. Times in milliseconds."""

    offset: int
    action: Action
    occurred_at: int
    recorded_at: int


class Place(NamedTuple):
    """Where an event lies that is to be read anew, and for which connector; None: for whomever it concerns."""

    topic: str
    partition: int
    offset: int
    connector: str | None


@dataclass(frozen=True, slots=True)
class Anew:
    """An event to be read anew: its dead letter was recorded then, and holds its value unless that was cut."""

    recorded_at: int
    value: bytes | None = None


class Span(NamedTuple):
    """Which offsets of a partition there are: from `begin` until before `end`."""

    begin: int
    end: int


class ReadEvent(Event, Protocol):
    """What is looked at of an event that was read anew: see `MembershipEvent`."""

    @property
    def transition(self) -> str:
        """ENTER or EXIT."""

    @property
    def occurred_at(self) -> int:
        """Milliseconds since 1970."""


@dataclass(slots=True)
class Word:
    """What the results say of a contact: the newest change that was applied, and whether it had the last word."""

    offset: int = -1
    sent_at: int = 0
    answered_at: int = 0
    older_until: int = 0  # when the last request with an older change was answered

    def heard(self, offset: int, sent_at: int, answered_at: int) -> None:
        """Take one result."""
        if offset > self.offset:
            self.older_until = max(self.older_until, self.answered_at)
            self.offset, self.sent_at, self.answered_at = offset, sent_at, answered_at
        elif offset == self.offset:
            self.sent_at, self.answered_at = max(self.sent_at, sent_at), max(self.answered_at, answered_at)
        else:
            self.older_until = max(self.older_until, answered_at)

    def supersedes(self, offset: int) -> bool:
        """Tell whether a change at this offset needs no replay."""
        return self.offset >= offset and self.older_until <= self.sent_at


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay looks after, and from where it reads. `recalled`: those that retention has taken from the log."""

    targets: Mapping[Key, Target]
    recalled: Mapping[Key, Target]
    starts: Mapping[TopicPartition, int]

    def takes(self, key: Key, offset: int) -> bool:
        """Tell whether a change is one of a target, and not older than its dead letter."""
        target = self.targets.get(key)
        return target is not None and offset >= target.offset


@dataclass(slots=True)
class Selection:
    """The dead letters that were chosen, brought to what is to be done about them.

    `lists` are account and list of each connector that may be replayed; `topics` those that the service reads.
    """

    lists: Mapping[str, tuple[str, int]]
    topics: Collection[str]
    targets: dict[Key, Target] = field(default_factory=dict)
    anew: dict[Place, Anew] = field(default_factory=dict)
    superseded: int = 0
    skipped: int = 0  # events that can be read by now, and concern nobody
    failed: Counter[str] = field(default_factory=Counter)  # by reason
    impossible: Counter[str] = field(default_factory=Counter)  # by why

    def take(self, letter: Record) -> None:
        """Take a dead letter."""
        event = letter["event"]
        if event is not None:
            value = None if event["truncated"] else event["value"]
            self._read_anew(event, None, Anew(letter["recorded_at"], value))
            return
        known = self.lists.get(letter["connector"]) == (letter["account"], letter["list_id"])
        for contact in letter["contacts"]:
            number = record_number(contact["record_id"])
            if not known:
                self.impossible[NO_CONNECTOR] += 1
            elif number is None or letter["reason"] == INVALID_RECORD_ID:
                self._read_anew(contact, letter["connector"], Anew(letter["recorded_at"]))
            elif contact["partition"] < 0:
                self.impossible[NO_EVENT] += 1
            elif contact["topic"] not in self.topics:
                self.impossible[NO_TOPIC] += 1
            else:
                key = Key(letter["connector"], number, contact["topic"], contact["partition"])
                action = Action(contact["action"])
                self._aim(key, Target(contact["offset"], action, contact["occurred_at"], letter["recorded_at"]))

    def read(self, place: Place, event: ReadEvent | None, router: Router) -> None:
        """Take an event that was read anew; None: it still cannot be."""
        anew = self.anew.pop(place)
        if event is None:
            self.failed[UNDECODABLE] += 1
            return
        concerns = 0
        for where in router.route(event):
            if isinstance(where, Delivered | Invalid) and place.connector in (None, where.connector):
                concerns += 1
                if isinstance(where, Invalid):
                    self.failed[INVALID_RECORD_ID] += 1
                else:
                    key = Key(where.connector, where.contact, place.topic, place.partition)
                    action = ACTIONS[event.transition]
                    self._aim(key, Target(place.offset, action, event.occurred_at, anew.recorded_at))
        self.skipped += not concerns

    def give_up_reading(self, wanted: Iterable[Place], why: str) -> None:
        """Take note that these events cannot be had any more."""
        for place in list(wanted):
            del self.anew[place]
            self.impossible[why] += 1

    def supersede(self, words: Mapping[Key, Word]) -> None:
        """Leave out the targets for which a newer word was applied."""
        done = [
            key for key, target in self.targets.items() if (word := words.get(key)) and word.supersedes(target.offset)
        ]
        for key in done:
            del self.targets[key]
        self.superseded += len(done)

    def plan(self, spans: Mapping[TopicPartition, Span], complete_from: float) -> Plan:
        """Compare the targets with what the log holds.

        `complete_from` (seconds since 1970): no result that was written since then is missing. What retention took
        from the log is told by its dead letter alone, so nothing that came after it may be missing.
        """
        recalled: dict[Key, Target] = {}
        starts: dict[TopicPartition, int] = {}
        for key, target in list(self.targets.items()):
            span = spans.get(key.place)
            if span is None or target.offset >= span.end:
                self._leave_out(key, NOT_THERE)
                continue
            if target.offset < span.begin:
                if target.recorded_at < complete_from * 1000:
                    self._leave_out(key, UNSURE)
                    continue
                recalled[key] = target
            offset = max(target.offset, span.begin)
            starts[key.place] = min(offset, starts.get(key.place, offset))
        return Plan(self.targets, recalled, starts)

    def _leave_out(self, key: Key, why: str) -> None:
        del self.targets[key]
        self.impossible[why] += 1

    def _read_anew(self, where: Record, connector: str | None, anew: Anew) -> None:
        if where["topic"] not in self.topics:
            self.impossible[NO_TOPIC] += 1
        else:
            self.anew[Place(where["topic"], where["partition"], where["offset"], connector)] = anew

    def _aim(self, key: Key, target: Target) -> None:
        known = self.targets.get(key)
        if known is None or known.offset <= target.offset:
            self.targets[key] = target
