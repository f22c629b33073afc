"""A world's dead letters replayed, or a list of it rebuilt, in the same scripted time as the members beside it."""

import random
import uuid
from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import count

from prometheus_client import CollectorRegistry

from consumer.app import assemble_rebuild, assemble_replay, for_replay
from consumer.changes import TopicPartition
from consumer.kafka import sink
from consumer.loop import State
from consumer.metrics import Metrics
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.ports import Outside
from consumer.replay import Replay
from consumer.settings import Settings
from consumer.targets import Key, Plan, Selection, Span, Word
from tests.fakes.clock import ScriptedClock
from tests.fakes.hubspot import ScriptedWorkers
from tests.fakes.kafka import TOPIC, MemoryLog
from tests.fakes.registry import MemoryRegistry
from tests.fakes.service import World
from tests.fakes.topics import result_record


def choose(world: World, *, everything: bool = False, complete_from: float = 0.0) -> tuple[Selection, Plan]:
    """Choose from what the world's topics hold now, as the command does."""
    lists = {name: (each.account, each.list_id) for name, each in world.settings.connectors.items()}
    selection = Selection(lists, [TOPIC])
    for letter in world.sink.dead_letters:
        selection.take(sink._dead_letter(letter, None))
    words: dict[Key, Word] = {}
    for result in world.sink.results:
        record = result_record(result)
        for each in record["contacts"]:
            key = Key(record["connector"], each["record_id"], each["topic"], each["partition"])
            words.setdefault(key, Word()).heard(each["offset"], record["sent_at"], record["answered_at"])
    if not everything:
        selection.supersede(words)
    begins = world.broker.begin
    spans = {TopicPartition(*key): Span(begins.get(key, 0), world.broker.end(key)) for key in world.broker.log}
    return selection, selection.plan(spans, complete_from)


class Sending:
    """The process of a command that sends anew: assembled on a world, and turned by hand.

    `clock` is the one that its polls take their time from, the world's unless it is given.
    """

    def __init__(
        self,
        world: World,
        connectors: Collection[str],
        assembled: Callable[[Settings, Outside, MemoryRegistry], Replay],
        starts: Mapping[TopicPartition, int],
        max_contacts: int | None = None,
        clock: ScriptedClock | None = None,
    ) -> None:
        self.world = world
        settings = for_replay(world.settings, connectors, max_contacts)
        self.workers = ScriptedWorkers(settings, world.portal, world.clock)
        metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS)
        ids = (str(uuid.UUID(int=number)) for number in count(10**6))
        chance = random.Random(2).random  # noqa: S311 - jitter that repeats itself, not a secret
        outside = Outside(self.workers, world.sink, world.clock, metrics, chance, lambda: next(ids))
        registry = MemoryRegistry()  # of its own, for each process gets the answers to its questions
        registry.schemas = world.registry.schemas
        self.replay = assembled(settings, outside, registry)
        self.log = MemoryLog(world.broker, clock or world.clock, starts, self.replay.loop)

    @property
    def ended(self) -> bool:
        """True once it has stopped."""
        return self.replay.loop.state is State.STOPPED

    def turn(self, times: int = 1) -> None:
        """Turn, unless it has ended."""
        for _ in range(times):
            if not self.ended:
                self.replay.turn(self.log)

    def run(self, within: float = 7_200.0) -> None:
        """Turn until it ends; AssertionError when it does not in time."""
        until = self.world.clock.monotonic() + within
        while not self.ended:
            assert self.world.clock.monotonic() < until, "it did not end in time"
            self.turn()


class Replaying(Sending):
    """`dead-letters replay`: of all that the world's topics hold when it begins."""

    def __init__(self, world: World, *, everything: bool = False, max_contacts: int | None = None) -> None:
        self.selection, self.plan = choose(world, everything=everything)
        connectors = {key.connector for key in self.plan.targets}
        assembled = partial(assemble_replay, plan=self.plan)
        super().__init__(world, connectors, assembled, self.plan.starts, max_contacts)


class Rebuilding(Sending):
    """`rebuild`: of one connector, from the beginning of the log on."""

    def __init__(
        self,
        world: World,
        connector: str = "c0",
        unknown: Collection[int] = (),
        clock: ScriptedClock | None = None,
    ) -> None:
        starts = {key: world.broker.begin.get(key, 0) for key in world.broker.log}
        super().__init__(world, {connector}, partial(assemble_rebuild, unknown=unknown), starts, clock=clock)
