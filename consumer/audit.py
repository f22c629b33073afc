"""An audit: lists held against the log, one batch after the other, in steps. It asks HubSpot nothing by itself.

The steps are a generator: it yields what is to be read from HubSpot and receives what came of it, so that a command, a
thread beside the service and a simulation share straight-line code. Who drives it decides when a request may leave;
`Walk` says what to do with an answer. What Kafka holds is read on the spot, through `Log`.

For each batch, in the order that `drift.py` relies on:

1. Ask how far the group has committed.
2. Read the members of one list after the other, until the batch is full, or requests run short.
3. Fold the log, of as many contacts at once as are allowed, and compare; where need be once more for the next range.
4. Where somebody differs whose change has come to its end, ask the topics of results and dead letters why.
5. Ask HubSpot whether some of those who differ were merged, or do not exist.

A list that is not read to its end goes on from there when its turn comes again; only a whole pass is reported.
"""

from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from consumer.changes import TopicPartition
from consumer.drift import Comparison, Findings, Kind, Listed, Report
from consumer.history import Position
from consumer.hubspot.answers import record_number, unusable_list
from consumer.intents import EVERYBODY, Folded, IdRange
from consumer.outcomes import ListFacts, NotSent, Recoverable, Terminal, Verdict
from consumer.reads import (
    MOST_CONTACTS,
    Contacts,
    ContactsRequest,
    ListRequest,
    Page,
    PageRequest,
    ReadAnswer,
    ReadRequest,
)
from consumer.retry import Backoff, Repeats

MOST_LOOKED_UP = 1_000  # contacts of one comparison that HubSpot is asked for
RESERVE = 10  # one request in so many is kept for them
PATIENCE = 900.0  # seconds for which a request that fails for passing reasons is tried again
FIRST = 300.0  # seconds: a service that has just started has other things to do
INVALID_RECORD_ID = "INVALID_RECORD_ID"

Record = Mapping[str, Any]
Steps = Generator[ReadRequest, ReadAnswer, None]
Progress = Callable[[str, int, int | None], None]
"""Is told of which connector how many members have been read, and of how many, where HubSpot says so."""


class Log(Protocol):
    """What Kafka holds. Records are mappings with the fields of `membership_result.avsc` and `dead_letter.avsc`."""

    def committed(self) -> Mapping[TopicPartition, int | None]:
        """Say how far the service's group has committed each partition; None: nowhere yet."""

    def fold(self, wanted: Mapping[str, IdRange], most: int) -> Folded:
        """Fold all that the changes hold now, of at most so many contacts at once."""

    def letters(self) -> Iterable[Record]:
        """Give the dead letters that there are now."""

    def results(self) -> Iterable[Record]:
        """Give the results that there are now."""


class Budget:
    """How many requests an audit may take; None is any number."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.spent = 0

    @property
    def left(self) -> float:
        """How many more it may take."""
        return float("inf") if self._most is None else max(0, self._most - self.spent)

    @property
    def left_for_pages(self) -> float:
        """The same, without what is kept for looking contacts up."""
        return self.left - (0 if self._most is None else self._most // RESERVE)


@dataclass(frozen=True, slots=True)
class Stand:
    """How far the pass over a list is: where its next page begins, and what came of it so far."""

    cursor: str | None = None
    above: int = 0
    findings: Findings = field(default_factory=Findings)
    notes: tuple[str, ...] = ()


class Turns:
    """Lists take turns: which is next in this round, and how far the pass over each is.

    A list whose pass is not over stays first until the round ends; the next round begins with the others.
    """

    def __init__(self, lists: Iterable[Listed]) -> None:
        self._line = deque(lists)
        self._stands: dict[Listed, Stand] = {}
        self._to_go = 0
        self._paused: Listed | None = None  # in this round

    def begin(self) -> None:
        """Begin a round, in which each list has one turn at most."""
        if self._paused is not None and self._line[0] == self._paused:
            self._line.rotate(-1)
        self._paused = None
        self._to_go = len(self._line)

    def next(self) -> Listed | None:
        """Give the list whose turn it is; None when all have had theirs."""
        return self._line[0] if self._to_go else None

    @property
    def first(self) -> Listed | None:
        """The list that is first in line, in this round or the next."""
        return self._line[0] if self._line else None

    def stand(self, listed: Listed) -> Stand:
        """Say how far the pass over a list is."""
        return self._stands.get(listed, Stand())

    def pause(self, listed: Listed, stand: Stand) -> None:
        """Let the pass over the first list go on from here."""
        self._stands[listed] = stand
        self._paused = listed

    def finish(self, listed: Listed) -> None:
        """End the pass over a list, which goes to the end of the line."""
        self._stands.pop(listed, None)
        self._line.remove(listed)
        self._line.append(listed)
        self._to_go -= 1


@dataclass(frozen=True, slots=True)
class _Read:
    """The members of a list within a range, and when the first of them was asked for (seconds since 1970)."""

    listed: Listed
    stand: Stand
    members: "array[int]"
    span: IdRange
    read_at: float
    cursor: str | None  # None: read to the end


class UnknownMembers:
    """Takes the record ids of all members that the log knows nothing of, and that stand for none who was merged.

    `unsure` is why some of them were not looked up: then one may stand in the place of a contact that is to be there.
    """

    def __init__(self) -> None:
        self.contacts = array("q")
        self.unsure = ""


class Audit:
    """A round over all lists whose turn it is. At `most` so many contacts are held at once, on either side.

    With `unknown` all members that are unknown to the log are looked up, and nobody else. The service tries again for
    `tried_for` seconds who was not found.
    """

    def __init__(
        self,
        turns: Turns,
        log: Log,
        budget: Budget,
        most: int,
        told: Callable[[Report], None],
        progress: Progress = lambda _connector, _read, _total: None,
        *,
        unknown: UnknownMembers | None = None,
        tried_for: float = 0.0,
    ) -> None:
        self._tried_for = tried_for
        self._unknown = unknown
        self._turns = turns
        self._log = log
        self._budget = budget
        self._most = most
        self._told = told
        self._progress = progress
        self.under_way: list[Listed] = []  # lists of which something was read, and not judged yet

    def steps(self) -> Steps:
        """Go through it. Raises what `log` raises."""
        self._turns.begin()
        while self._turns.next() is not None and self._budget.left_for_pages > 0:
            committed = self._log.committed()
            reads = yield from self._read_batch()
            yield from self._judge(reads, committed)
            self.under_way.clear()

    def _read_batch(self) -> Generator[ReadRequest, ReadAnswer, list[_Read]]:
        reads: list[_Read] = []
        room = self._most
        while room > 0 and (listed := self._turns.next()) is not None and self._budget.left_for_pages > 0:
            self.under_way.append(listed)
            read = yield from self._read(listed, room)
            if not isinstance(read, _Read):
                self._turns.finish(listed)
                self._told(Report(listed, None, read))
                self.under_way.remove(listed)
                continue
            reads.append(read)
            room -= max(1, len(read.members))
            if read.cursor is not None:
                break
            self._turns.finish(listed)
        return reads

    def _read(self, listed: Listed, room: int) -> Generator[ReadRequest, ReadAnswer, _Read | Verdict]:
        """Read members from where the pass stands."""
        stand = self._turns.stand(listed)
        members = array("q")
        cursor, above, read_at = stand.cursor, stand.above, None
        while read_at is None or (cursor is not None and len(members) < room and self._budget.left_for_pages > 0):
            answer = yield PageRequest(listed.account, listed.list_id, cursor, above)
            page = answer.found
            if not isinstance(page, Page):
                return _failure(page)
            read_at = answer.sent_at if read_at is None else read_at
            members.extend(page.members)
            cursor, above = page.cursor, page.members[-1] if page.members else above
            self._progress(listed.connector, stand.findings.members + len(members), page.total)
        if cursor is None and above == 0:
            answer = yield ListRequest(listed.account, listed.list_id)
            facts = answer.found  # of a list that was deleted nobody knows what its members would look like
            if not isinstance(facts, ListFacts):
                return _failure(facts)
            if facts.unusable is not None:
                return unusable_list(facts)
        up_to = EVERYBODY.up_to if cursor is None else above
        return _Read(listed, stand, members, IdRange(stand.above, up_to), read_at, cursor)

    def _judge(self, reads: list[_Read], committed: Mapping[TopicPartition, int | None]) -> Steps:
        """Hold what was read against the log, and report the passes that this completes."""
        stands = {read.listed.connector: read.stand for read in reads}
        left = {read.listed.connector: read.span for read in reads}
        while left:
            left = yield from self._compare(reads, left, committed, stands)
        for read in reads:
            stand = stands[read.listed.connector]
            if read.cursor is None:
                self._told(Report(read.listed, stand.findings, notes=stand.notes))
            else:
                self._turns.pause(read.listed, stand)

    def _compare(
        self,
        reads: list[_Read],
        left: Mapping[str, IdRange],
        committed: Mapping[TopicPartition, int | None],
        stands: dict[str, Stand],
    ) -> Generator[ReadRequest, ReadAnswer, dict[str, IdRange]]:
        """Hold as much of what is left to compare against the log as fits into memory; give what is left then."""
        folded = self._log.fold(left, self._most)
        comparisons = {
            read.listed.connector: Comparison(
                folded.ranges[read.listed.connector],
                read.members,
                read.span,
                folded.intents[read.listed.connector],
                committed,
                read.read_at,
                complete=folded.complete,
                tried_for=self._tried_for,
            )
            for read in reads
            if read.listed.connector in left
        }
        self._ask_why(reads, comparisons)
        for read in reads:
            comparison = comparisons.get(read.listed.connector)
            if comparison is not None:
                notes = yield from self._look_up(read.listed, comparison)
                if self._unknown is not None:
                    self._unknown.contacts.extend(comparison.contacts(Kind.UNKNOWN))
                    self._unknown.unsure = self._unknown.unsure or "; ".join(notes)
                stand = stands[read.listed.connector]
                notes = tuple(dict.fromkeys((*stand.notes, *_unreadable(folded), *notes)))
                stands[read.listed.connector] = Stand(
                    read.cursor, read.span.up_to, stand.findings + comparison.findings(), notes
                )
        reached = {connector: folded.ranges[connector].up_to for connector in left}
        return {
            connector: IdRange(reached[connector], span.up_to)
            for connector, span in left.items()
            if reached[connector] < span.up_to
        }

    def _ask_why(self, reads: list[_Read], comparisons: Mapping[str, Comparison]) -> None:
        """Let results and dead letters say why contacts differ."""
        asking = {
            read.listed: comparison
            for read in reads
            if (comparison := comparisons.get(read.listed.connector)) is not None and comparison.undecided
        }
        for letter in self._log.letters() if asking else ():
            for listed, comparison in asking.items():
                _take_letter(letter, listed, comparison)
        for result in self._log.results() if asking else ():
            whose = asking.get(Listed(result["connector"], result["account"], result["list_id"]))
            for each in result["contacts"] if whose is not None else ():
                contact = record_number(each["record_id"])
                if whose is not None and contact is not None:
                    whose.outcome(contact, _position(each), each["outcome"], result["answered_at"])

    def _look_up(self, listed: Listed, comparison: Comparison) -> Generator[ReadRequest, ReadAnswer, tuple[str, ...]]:
        """Ask HubSpot for some of those who differ; say what is not known if it does not tell."""
        if self._unknown is not None:
            asked = list(comparison.contacts(Kind.UNKNOWN))
        else:
            asked = comparison.to_look_up(int(min(MOST_LOOKED_UP, self._budget.left * MOST_CONTACTS)))
        for start in range(0, len(asked), MOST_CONTACTS):
            if self._budget.left <= 0:
                return ("not all contacts that differ were looked up: no request was left",)
            some = tuple(asked[start : start + MOST_CONTACTS])
            answer = yield ContactsRequest(listed.account, some)
            if not isinstance(answer.found, Contacts):
                why = _failure(answer.found).details.message
                return (f"contacts that differ were not looked up, and may be merged or not exist: {why}",)
            comparison.looked_up(some, answer.found)
        return ()


class Walk:
    """Goes through an audit's steps: what is to be asked next, and when. `now` is monotonic, in seconds.

    What fails for a passing reason is asked again, for PATIENCE at most; then its failure is the answer.
    """

    def __init__(self, steps: Steps, budget: Budget) -> None:
        self._steps = steps
        self._budget = budget
        self._backoff = Backoff()
        self._repeats = Repeats()
        self._failing_since: float | None = None
        self.not_before = float("-inf")
        self.request = next(steps, None)

    def answered(self, answer: ReadAnswer, now: float, chance: float) -> None:
        """Bring in what came of the request. `chance` in [0, 1) is the jitter. Raises what the steps raise."""
        self._budget.spent += answer.requests
        found = answer.found
        if isinstance(found, NotSent):
            return
        if isinstance(found, Recoverable):
            found = self._repeats.failed(found)
        if isinstance(found, Recoverable) and self._is_patient(found, now):
            self.not_before = self._backoff.failed(now, chance, found.wait)
            return
        self._backoff.succeeded()
        self._repeats.reset()
        self._failing_since = None
        try:
            self.request = self._steps.send(replace(answer, found=found))
        except StopIteration:
            self.request = None

    def close(self) -> None:
        """Go no further."""
        self._steps.close()
        self.request = None

    def _is_patient(self, failure: Recoverable, now: float) -> bool:
        since = self._failing_since = now if self._failing_since is None else self._failing_since
        return now + failure.wait - since < PATIENCE and self._budget.left > 0


class Turn(Enum):
    """What is to be done now by a member that may audit beside the service."""

    NOTHING = "nothing"
    BEGIN = "begin"  # it audits from now on
    ROUND = "round"
    END = "end"  # it audits no more


class Schedule:
    """When a member audits: FIRST seconds after it became the one that does, or `every` if that is less; then `every`.

    `now` is monotonic, in seconds.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._due: float | None = None

    def turn(self, now: float, *, owns: bool) -> Turn:
        """Say what is to be done; `owns` tells whether it is the one that audits."""
        if self._due is None:
            if not owns:
                return Turn.NOTHING
            self._due = now + min(FIRST, self._every)
            return Turn.BEGIN
        if not owns:
            self._due = None
            return Turn.END
        if now < self._due:
            return Turn.NOTHING
        self._due += self._every
        if self._due <= now:  # the round before took long
            self._due = now + self._every
        return Turn.ROUND


def _failure(found: object) -> Recoverable | Terminal:
    """Give what it means that there is no answer of the kind that was asked for."""
    if isinstance(found, Recoverable | Terminal):
        return found
    raise TypeError(f"an answer to another question came: {found!r}")


def _unreadable(folded: Folded) -> tuple[str, ...]:
    if not folded.unreadable:
        return ()
    return (f"{folded.unreadable} events of the log cannot be read: what they ask for is not known",)


def _take_letter(letter: Record, listed: Listed, comparison: Comparison) -> None:
    at, reason = letter["recorded_at"], letter["reason"]
    if letter["event"] is not None:
        comparison.unusable(_position(letter["event"]), at, reason)
    elif (letter["connector"], letter["account"], letter["list_id"]) == listed:
        for each in letter["contacts"]:
            contact = record_number(each["record_id"])
            if reason == INVALID_RECORD_ID:
                comparison.unusable(_position(each), at, reason)
            elif contact is not None:
                comparison.letter(contact, _position(each), at, reason)


def _position(part: Record) -> Position:
    return Position(part["topic"], part["partition"], part["offset"])
