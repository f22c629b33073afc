"""Where a list, as it is in HubSpot, differs from what the log says. Pure.

Members and log are held against each other within a range of record ids. A range by itself is judged rightly, so a
large list may be judged piece by piece, and the pieces add up to the whole. Only whom another piece may explain, for
HubSpot has merged contacts, is given the benefit of the doubt. What makes it right is the order:

1. Where the group has committed, by partition, is asked first.
2. Then the members are read, then the log from its beginning to its end.
3. Results and dead letters come last, and concern only the contacts that differ.

A change below the committed offset came to its end before the members were read: applied, or given up. So who differs
has drifted, unless HubSpot took the change so shortly before that a read may not show it yet. Whose newest change lies
at the committed offset or above is on the way. That may be said of some who have drifted; the next audit tells.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice, zip_longest
from typing import NamedTuple

from consumer.changes import Action, TopicPartition
from consumer.history import Position
from consumer.intents import IdRange, Intent, Intents
from consumer.outcomes import DEAD_LETTER_REASONS, Outcome, Verdict
from consumer.reads import Contacts

LAG = 300.0  # seconds by which what HubSpot reads may lag behind what it has written
EXAMPLES = 5  # contacts of a kind that are shown


class Kind(StrEnum):
    """How a contact differs.

    MISSING: the log says in, HubSpot has it not on the list. LEFT: the log says out, it is still on the list. UNKNOWN:
    on the list, but the log knows nothing of it. GIVEN_UP: its newest change is a dead letter. NOT_FOUND: the log says
    in, but there is no such contact in HubSpot. ON_THEIR_WAY: its newest change need not have taken effect yet.
    MERGED: HubSpot has merged it into another contact, or another into it, and that is why.
    """

    MISSING = "missing"
    LEFT = "left"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"
    NOT_FOUND = "not_found"
    ON_THEIR_WAY = "on_their_way"
    MERGED = "merged"


DRIFT = frozenset({Kind.MISSING, Kind.LEFT, Kind.UNKNOWN, Kind.GIVEN_UP})
"""What somebody should mend; the other kinds mend themselves, or nobody can."""


class Example(NamedTuple):
    """One contact that differs: the change that decided it, if the log knows one, and what else there is to say."""

    contact: int
    intent: Intent | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of comparing a range: members, contacts that the log says are in, and how many differ in which way.

    Without a `complete` log, of which retention has taken nothing, nobody can say that a member is UNKNOWN: then those
    are told, but are no drift.
    """

    members: int = 0
    in_log: int = 0
    counts: Mapping[Kind, int] = field(default_factory=dict)
    examples: Mapping[Kind, tuple[Example, ...]] = field(default_factory=dict)
    complete: bool = True

    @property
    def drift(self) -> int:
        """How many contacts have drifted."""
        judged = DRIFT if self.complete else DRIFT - {Kind.UNKNOWN}
        return sum(self.counts.get(kind, 0) for kind in judged)

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            self.members + other.members,
            self.in_log + other.in_log,
            {kind: self.counts.get(kind, 0) + other.counts.get(kind, 0) for kind in Kind},
            {kind: (self.examples.get(kind, ()) + other.examples.get(kind, ()))[:EXAMPLES] for kind in Kind},
            self.complete and other.complete,
        )


class Listed(NamedTuple):
    """A list, and the connector that keeps it."""

    connector: str
    account: str
    list_id: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a whole pass over a list: findings, or the failure that ended it; and what else is to be said."""

    listed: Listed
    findings: Findings | None
    failure: Verdict | None = None
    notes: tuple[str, ...] = ()


class Comparison:
    """One list within a range of record ids.

    `members` are ascending and may lie beyond the range: what was read of the list, within `known`. `intents` are of
    the range and are used up. `committed` is where the group stood before the members were read, which began at
    `read_at` (seconds since 1970). The service tries again for `tried_for` seconds who was not found.
    """

    def __init__(
        self,
        span: IdRange,
        members: Sequence[int],
        known: IdRange,
        intents: Intents,
        committed: Mapping[TopicPartition, int | None],
        read_at: float,
        *,
        complete: bool = True,
        tried_for: float = 0.0,
    ) -> None:
        self._span = span
        self._members = members
        self._known = known
        self._intents = intents  # from now on of those that differ
        self._committed = committed
        self._applied_before = round((read_at - LAG) * 1000)
        self._tried_before = round((read_at - tried_for) * 1000)
        self._complete = complete
        self._number = 0
        self._in_log = 0
        self._still_there: set[int] = set()
        self._leaving: set[int] = set()  # who is not on the list, and whose removal is on its way all the same
        self._unknown = array("q")
        self._recent: set[int] = set()
        self._not_found: dict[int, int] = {}  # when HubSpot said so
        self._letters: dict[int, int] = {}  # when it was given up and why, in one number
        self._events: dict[Position, int] = {}  # of events that nobody could use: as above
        self._gone: set[int] = set()
        self._merged: set[int] = set()
        self._match()

    @property
    def undecided(self) -> bool:
        """True where results and dead letters have to say why somebody differs."""
        return not all(map(self._waits, self._intents))

    def letter(self, contact: int, change: Position, recorded_at: int, reason: str) -> None:
        """Take in that a change of a contact was given up (ms since 1970). All letters come before all outcomes."""
        if self._is_newest(contact, change):
            self._letters[contact] = max(self._letters.get(contact, 0), _packed(recorded_at, reason))

    def unusable(self, event: Position, recorded_at: int, reason: str) -> None:
        """Take in that an event could not be used (ms since 1970); by now it may tell of a contact."""
        self._events[event] = max(self._events.get(event, 0), _packed(recorded_at, reason))

    def outcome(self, contact: int, change: Position, outcome: str, answered_at: int) -> None:
        """Take in what became of a change of a contact (ms since 1970)."""
        if not self._is_newest(contact, change):
            return
        if answered_at >= self._applied_before:
            self._recent.add(contact)
        if _when(self._letters.get(contact, 0)) <= answered_at:
            self._letters.pop(contact, None)
        if _when(self._events.get(change, 0)) <= answered_at:
            self._events.pop(change, None)
        if outcome == Outcome.NOT_FOUND:
            self._not_found[contact] = max(self._not_found.get(contact, 0), answered_at)
        elif self._not_found.get(contact, answered_at + 1) <= answered_at:
            del self._not_found[contact]

    def to_look_up(self, most: int) -> list[int]:
        """Give contacts that merging, or their absence, may explain, or that may exist by now: so many at most."""
        rows = zip_longest(*map(self.contacts, (Kind.MISSING, Kind.UNKNOWN, Kind.NOT_FOUND)))
        found = (each for row in rows for each in row if each is not None)
        chosen = list(islice(found, most))
        return chosen + list(islice(self.contacts(Kind.LEFT), most - len(chosen)))

    def looked_up(self, asked: Collection[int], contacts: Contacts) -> None:
        """Take in what HubSpot says of contacts: who exists, and who was merged into whom."""
        survivors = {old: survivor for survivor, merged in contacts.merged.items() for old in merged}
        for contact in asked:
            if self._intents.action(contact) is Action.ADD:
                if contact in contacts.merged:
                    if self._not_found.get(contact, self._tried_before) < self._tried_before:
                        del self._not_found[contact]  # it exists by now, and nobody tries it any more
                    continue
                if contact not in survivors:
                    self._gone.add(contact)
                elif self._may_be_member(survivors[contact]):
                    self._merged.add(contact)
            elif any(self._explains(each) for each in contacts.merged.get(contact, ())):
                self._merged.add(contact)
                self._merged.update(
                    each for each in contacts.merged[contact] if self._intents.action(each) is Action.ADD
                )

    def kind(self, contact: int) -> Kind | None:
        """Say how a contact of the log differs; None if it does not, or is not in the log."""
        intent = self._intents.get(contact)
        if intent is None:
            return None
        if self._waits(contact) or contact in self._recent:
            return Kind.ON_THEIR_WAY
        if contact in self._letters or intent.position in self._events:
            return Kind.GIVEN_UP
        if contact in self._merged:
            return Kind.MERGED
        if intent.action is Action.REMOVE:
            return Kind.LEFT
        return Kind.NOT_FOUND if contact in self._not_found or contact in self._gone else Kind.MISSING

    def contacts(self, kind: Kind) -> Iterator[int]:
        """Yield all that differ in one way."""
        if kind is not Kind.UNKNOWN:
            yield from (contact for contact in self._intents if self.kind(contact) is kind)
        if kind in (Kind.UNKNOWN, Kind.MERGED):
            yield from (contact for contact in self._unknown if (contact in self._merged) is (kind is Kind.MERGED))

    def findings(self) -> Findings:
        """Give what came of it."""
        counts: Counter[Kind] = Counter()
        examples: dict[Kind, list[Example]] = {kind: [] for kind in Kind}
        for contact in self._intents:
            kind = self.kind(contact) or Kind.MISSING
            counts[kind] += 1
            if len(examples[kind]) < EXAMPLES:
                examples[kind].append(Example(contact, self._intents.get(contact), self._note(contact, kind)))
        for contact in self._unknown:
            kind = Kind.MERGED if contact in self._merged else Kind.UNKNOWN
            counts[kind] += 1
            if len(examples[kind]) < EXAMPLES:
                examples[kind].append(Example(contact))
        return Findings(
            self._number,
            self._in_log,
            {kind: counts[kind] for kind in Kind},
            {kind: tuple(examples[kind]) for kind in Kind},
            self._complete,
        )

    def _match(self) -> None:
        """Let go of all that are as the log says."""
        intents = self._intents
        self._in_log = sum(intents.action(contact) is Action.ADD for contact in intents)
        begin, end = (bisect_right(self._members, each) for each in (self._span.above, self._span.up_to))
        self._number = end - begin
        for place in range(begin, end):
            contact = self._members[place]
            match intents.action(contact):
                case None:
                    self._unknown.append(contact)
                case Action.ADD:
                    intents.discard(contact)
                case Action.REMOVE:
                    self._still_there.add(contact)
        for contact in list(intents):
            if intents.action(contact) is Action.REMOVE and contact not in self._still_there:
                if self._waits(contact):
                    self._leaving.add(contact)
                intents.discard(contact)

    def _waits(self, contact: int) -> bool | None:
        """Tell whether the newest change of one that differs lies where nothing need have come to its end yet."""
        intent = self._intents.get(contact)
        if intent is None:
            return None
        topic, partition, offset = intent.position
        committed = self._committed.get(TopicPartition(topic, partition))
        return committed is None or offset >= committed

    def _is_newest(self, contact: int, change: Position) -> bool:
        intent = self._intents.get(contact)
        return intent is not None and intent.position == change

    def _may_be_member(self, contact: int) -> bool:
        """Tell whether a contact is on the list, or lies where the list was not read."""
        if contact not in self._known:
            return True
        place = bisect_left(self._members, contact)
        return place < len(self._members) and self._members[place] == contact

    def _explains(self, old: int) -> bool:
        """Tell whether one that was merged away is to be on the list, or may be: its survivor stands in its place."""
        if old not in self._span or old in self._leaving:
            return True
        return self._intents.action(old) is Action.ADD

    def _note(self, contact: int, kind: Kind) -> str | None:
        intent = self._intents.get(contact)
        if kind is not Kind.GIVEN_UP or intent is None:
            return None
        return _why(self._letters.get(contact) or self._events[intent.position])


_REASONS = tuple(DEAD_LETTER_REASONS)
_OTHER = len(_REASONS)


def _packed(at: int, reason: str) -> int:
    """Put a time and a reason into one number, the newer the greater: there may be a million of them."""
    return at * (_OTHER + 1) + (_REASONS.index(reason) if reason in _REASONS else _OTHER)


def _when(packed: int) -> int:
    return packed // (_OTHER + 1)


def _why(packed: int) -> str | None:
    number = packed % (_OTHER + 1)
    return None if number == _OTHER else _REASONS[number]
