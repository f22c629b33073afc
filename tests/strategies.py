"""Changes, and a HubSpot list with its offsets, as the tests of the pure core need them."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from consumer.changes import Action, Assignment, Change
from consumer.list_sync import Flush, ListSync, Rules, Settled
from consumer.offsets import Offsets
from consumer.outcomes import Applied, Details, Recoverable, Request, Verdict
from consumer.packed import packed

ADD, REMOVE = Action.ADD, Action.REMOVE
ACTIONS = st.sampled_from((ADD, REMOVE))
OK = Applied(Details(status=200))
RULES = Rules(max_age=30.0, max_contacts=4, settle=120.0, give_up_after=86_400.0)
TIMEOUT = Recoverable(Details(message="no answer in time"), "timeout", late=True, halve=True)


def change(assignment: Assignment, number: int, action: Action = ADD, offset: int | None = None) -> Change:
    """Make a change whose offset is its number, unless said otherwise."""
    return Change(number, action, assignment, number if offset is None else offset, occurred_at=0, timestamp=0)


def fold(
    into: ListSync, offsets: Offsets, contact: int, read: Change, now: float, inherited_since: float | None = None
) -> bool:
    """Fold a change into a list, as the intake does."""
    return into.fold([(contact, packed(read, offsets))], read.assignment, now, inherited_since) > 0


@dataclass
class Bench:
    """One list fed from one partition: numbers and offsets count up from 0, records are acknowledged when told."""

    rules: Rules = RULES
    offsets: Offsets = field(default_factory=Offsets)
    assignment: Assignment = field(default_factory=lambda: Assignment("changes", 0, 1))
    next_offset: int = 0
    sent: list[Request] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the partition, and look at the list, which is fine."""
        self.offsets.assign(self.assignment)
        self.list = ListSync("vip", "acme", 4711, self.rules, self.offsets)
        self.list.next_request(0.0, "look")
        self.answer(OK, 0.0)

    def read(
        self, contact: int, action: Action = ADD, now: float = 0.0, inherited_since: float | None = None
    ) -> Change:
        """Read the partition's next change."""
        read = change(self.assignment, self.next_offset, action)
        self.next_offset += 1
        fold(self.list, self.offsets, contact, read, now, inherited_since)
        self.offsets.processed(read.assignment, read.offset)
        return read

    def flush(self, now: float) -> Flush:
        """Make all that waits due, and send the next request."""
        self.list.hasten(now)
        self.list.settle_doubts(now)
        flush = self.list.next_request(now, f"request-{len(self.sent)}")
        self.sent.append(flush.request)
        return flush

    def answer(self, verdict: Verdict, now: float, *, chance: float = 0.0, spend: bool = False) -> list[Settled]:
        """Bring in an answer; its records wait to be acknowledged."""
        settled = self.list.answered(self.list.weigh(verdict), now, chance, spend=spend)
        self.settled += settled
        return settled

    def try_with(self, verdict: Verdict, now: float) -> list[Settled]:
        """Flush, and answer at once."""
        self.flush(now)
        return self.answer(verdict, now)

    def acknowledge(self) -> None:
        """Let Kafka have all records."""
        while self.settled:
            self.settled.pop(0).batch.close_part()

    def drain(self, now: float) -> None:
        """Send all that is ready now, successfully, and let Kafka have the records."""
        while (ready := self.list.ready_at()) is not None and ready <= now:
            self.try_with(OK, now)
        self.acknowledge()

    @property
    def committable(self) -> int | None:
        """What may be committed."""
        return self.offsets.committable(self.assignment)
