"""One member of a simulation: the real loop on fakes that report all that passes them to the simulation."""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from confluent_kafka import Message

from consumer.changes import Action, TopicPartition
from consumer.lending import Lending
from consumer.outcomes import Answer, DeadLetter, Request, Result
from consumer.permit import Permit
from consumer.ports import Listener
from consumer.simulator.messages import Handled
from tests.fakes.clock import ScriptedClock
from tests.fakes.hubspot import ScriptedWorkers
from tests.fakes.kafka import MemorySink, MemorySource
from tests.fakes.registry import MemoryRegistry
from tests.fakes.service import Member
from tests.simulation.guarded import GuardLaw
from tests.simulation.plan import Seam
from tests.simulation.truth import Broken

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

PERIOD = 10.0
ROUNDING = 1e-6
SUMS = (
    "contacts_added",
    "contacts_removed",
    "contacts_unchanged",
    "contacts_not_found",
    "contacts_merged",
    "contacts_failed",
    "requests",
    "events_consumed",
    "dead_letters",
)
"""Counters that are held against what went through the seams."""


class Crashed(BaseException):
    """A member ended without a word. No error: the process is gone, and nobody in it may catch that."""


class Standing(ScriptedClock):
    """The clock as polls see it: they take no time, for the simulation lets it pass."""

    def advance(self, seconds: float) -> None:
        """Do nothing."""


class Actor(Member):
    """A member, and what the simulation knows of it."""

    def __init__(self, simulation: "Simulation", number: int) -> None:
        self.simulation = simulation
        self.number = number
        self.lending = Lending()
        self.busy = 0  # counts what it did
        self.doom: tuple[Seam, int] | None = None
        self.crashed = False
        self.written = False  # when it crashes: whether Kafka has what it had not acknowledged
        self.frozen_at = self.awake_at = float("-inf")
        self.cast_out = False
        self.notice = 0.0
        self.assigned_at: dict[TopicPartition, int] = {}  # the tick of each partition's latest assignment
        self.handled: dict[str, list[Handled]] = {}  # what HubSpot saw of each request, by its id
        self.polled = 0
        self.outcomes: Counter[str] = Counter()
        self.refused = 0
        self.acknowledged_letters = 0
        self.statuses: Counter[str] = Counter()
        registry = MemoryRegistry()
        registry.schemas = simulation.world.registry.schemas
        self.registry = registry
        self.watched = WatchedWorkers(self)
        super().__init__(
            simulation.world,
            workers=self.watched,
            sink=WatchedSink(self),
            registry=registry,
            source=lambda listener: WatchedSource(self, listener),
            seed=number + 1,
            lending=self.lending,
        )
        self.guard_law = GuardLaw(self)

    def __str__(self) -> str:
        return f"member {self.number}"

    def passes(self, seam: Seam) -> None:
        """Go past a seam, or crash there."""
        if self.doom is None or self.doom[0] != seam:
            return
        self.doom = (seam, self.doom[1] - 1)
        if self.doom[1] <= 0:
            self.crashed = True
            raise Crashed

    def owns_since(self, key: TopicPartition) -> int:
        """Give the tick since which a partition is this member's; Broken if it is not."""
        if key not in self.source.owned:
            raise Broken("no request after the revoke", f"{self} has given {key.partition} up")
        if self.world.broker.owners.get(key) is not self.source:
            raise Broken("no request after the session", f"{self} was thrown out of {key.partition}")
        return self.assigned_at[key]

    def owns(self, key: TopicPartition) -> bool:
        """Tell whether a partition is this member's, for itself and for the group."""
        return key in self.source.owned and self.world.broker.owners.get(key) is self.source

    def has_read(self, key: TopicPartition) -> int:
        """Give the offset below which the member has understood all of a partition."""
        partition = self.loop._partitions.get(key)
        held = partition.held[0].offset() if partition is not None and partition.held else None
        return self.source.position(key) if held is None else held

    def release(self, connector: str) -> None:
        """Let go what the guard holds of a connector, as a person does."""

        def told(contacts: int | None) -> None:
            if contacts is not None:
                self.busy += 1
                self.guard_law.released(connector)

        self.loop.release(connector, told)

    def check_sums(self) -> None:
        """Hold the metrics against what went through the seams."""
        registry = self.metrics.registry.restricted_registry([f"hubspot_list_sync_{name}_total" for name in SUMS])
        found: Counter[str] = Counter()
        for family in registry.collect():
            for sample in family.samples:
                name = sample.name.removeprefix("hubspot_list_sync_")
                found[name] += int(sample.value)
                if name == "requests_total":
                    found[f"status {sample.labels['status']}"] += int(sample.value)
        wanted = Counter({f"contacts_{outcome.lower()}_total": number for outcome, number in self.outcomes.items()})
        wanted += Counter({f"status {status}": number for status, number in self.statuses.items()})
        wanted["requests_total"] = self.statuses.total()
        wanted["contacts_failed_total"] = self.refused
        wanted["events_consumed_total"] = self.polled
        wanted["dead_letters_total"] = self.acknowledged_letters
        if +found != +wanted:
            raise Broken("sums agree", f"{self}: metrics {dict(+found)}, seen {dict(+wanted)}")


class WatchedWorkers(ScriptedWorkers):
    """Holds every request against the laws, when it is submitted and when it leaves."""

    def __init__(self, actor: Actor) -> None:
        world = actor.simulation.world
        super().__init__(world.settings, world.portal, world.clock)
        self._actor = actor
        self._simulation = actor.simulation
        self._submitted: dict[str, tuple[int, float]] = {}  # tick and time of each request
        self._out: dict[int, str] = {}  # the request on the wire of each list
        self._starts: dict[str, list[float]] = {}  # when each HTTP request of an account was allowed to start

    def submit(self, request: Request, permit: Permit) -> None:
        """Take a request."""
        self._actor.passes("submit")
        self._actor.busy += 1
        if request.list_id in self._out:
            raise Broken("one request per list", f"{self._actor}: {request}")
        if set(request.adds) & set(request.removes):
            raise Broken("no contact in both sets", f"{self._actor}: {request}")
        for contact in request.again:
            position = self._actor.has_read(self._simulation.where(contact))
            self._simulation.truth.check_try((request.list_id, contact), position)
        self._actor.guard_law.submitted(request)
        self._out[request.list_id] = request.request_id
        self._submitted[request.request_id] = (self._simulation.tick(), self._clock.monotonic())
        super().submit(request, permit)

    def take(self, wait: float = 0.0) -> list[Answer]:
        """Give answers; the simulation goes on while somebody waits for them."""
        if wait > 0 and self.next_due > self._clock.monotonic():
            self._simulation.wait(self._actor, wait)
        self._actor.passes("take")
        answers = super().take()
        for answer in answers:
            self._actor.busy += 1
            del self._out[answer.request.list_id]
            self._actor.guard_law.answered(answer)
            self._actor.statuses.update(answer.statuses)
            seen = [
                str(each.status) for each in self._actor.handled[answer.request.request_id] if each.list_id is not None
            ]
            if len(seen) != len(answer.statuses):
                raise Broken("sums agree", f"{self._actor}: HubSpot saw {seen}, {answer.statuses} was told")
        return answers

    def _perform(self, request: Request, permit: Permit) -> None:
        log = self._simulation.world.portal.log
        before = len(log)
        super()._perform(request, permit)
        seen = log[before:]
        self._actor.handled[request.request_id] = seen
        tick, at = self._submitted[request.request_id]
        for each in seen:
            self.note_start(request.account, at)
            if each.method == "PUT":
                self._check(request, each, tick)
                if request.again:
                    self._simulation.note_tries(self._actor, request, each)

    def _check(self, request: Request, seen: Handled, tick: int) -> None:
        asked = ((Action.ADD, request.adds, seen.adds), (Action.REMOVE, request.removes, seen.removes))
        for action, wanted, sent in asked:
            if wanted != sent:
                raise Broken("what is sent is what was asked", f"{self._actor}: {request}, {seen}")
            for contact in sent:
                where = self._simulation.where(contact)
                if self._actor.owns_since(where) > tick:
                    raise Broken("no request after the revoke", f"{self._actor}: {request} is of an earlier assignment")
                position = self._actor.source.position(where)
                self._simulation.truth.check_intent((request.list_id, contact), action, position)

    def note_start(self, account: str, at: float) -> None:
        """Hold a request that starts against the rate of its account."""
        starts = self._starts.setdefault(account, [])
        insort(starts, at)
        limit = self._simulation.world.settings.accounts[account].requests_per_10s
        index = starts.index(at)
        for first in range(max(0, index - limit), min(index + 1, len(starts) - limit)):
            if starts[first + limit] - starts[first] < PERIOD - ROUNDING:
                raise Broken("the rate is kept", f"{self._actor}: {starts[first : first + limit + 1]}, limit {limit}")


class WatchedSink(MemorySink):
    """Holds every record against the truth, when it is sent and when Kafka has it."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._actor = actor

    def send(self, record: Result | DeadLetter, done: Callable[[], None]) -> None:
        """Take a record."""
        actor = self._actor
        actor.passes("send")
        actor.busy += 1
        if isinstance(record, Result):
            self._check(record)
            actor.simulation.truth.answered(record)
            actor.outcomes.update(each.outcome.value for each in record.contacts)
            super().send(record, done)
            return
        actor.refused += len(record.contacts)

        def acknowledged() -> None:
            actor.acknowledged_letters += 1
            done()

        super().send(record, acknowledged)

    def serve(self) -> None:
        """Acknowledge."""
        super().serve()
        self._actor.passes("serve")

    def keep(self, record: Result | DeadLetter) -> None:
        """Put a record into its topic."""
        self._actor.simulation.truth.record(record)
        self._actor.simulation.keep(record)

    def _check(self, result: Result) -> None:
        seen = self._actor.handled[result.request_id]
        applied = [each for each in seen if each.method == "PUT" and each.status == 200]
        asked = {Action.ADD: applied[-1].adds, Action.REMOVE: applied[-1].removes} if applied else {}
        for each in result.contacts:
            if each.contact not in asked.get(each.change.action, ()):
                raise Broken("records tell the truth", f"{self._actor}: {each} was not applied by {applied}")


class WatchedSource(MemorySource):
    """Knows since when each partition is the member's, and may crash around a commit."""

    def __init__(self, actor: Actor, listener: Listener) -> None:
        super().__init__(actor.simulation.world.broker, Standing(), listener)
        self._actor = actor

    def poll(self, timeout: float) -> Sequence[Message]:
        """Hear the news, then read."""
        self._actor.busy += self.rebalancing
        messages = super().poll(timeout)
        self._actor.polled += len(messages)
        self._actor.busy += len(messages)
        return messages

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit."""
        self._actor.passes("commit")
        self._actor.busy += 1
        super().commit(offsets)
        self._actor.passes("committed")

    def _assigned(self, keys: list[TopicPartition]) -> None:
        tick = self._actor.simulation.tick()
        self._actor.assigned_at.update(dict.fromkeys(keys, tick))
        super()._assigned(keys)
