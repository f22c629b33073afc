"""The service as a process between real parts, and what it took: from where it is up to where all is committed."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.bench.events import FIRST_LIST, PARTITIONS, Topic, source_id
from tests.bench.measure import Parts
from tests.bench.simulator import Simulated, Simulator, simulator
from tests.bench.usage import Usage, peak
from tests.real.processes import until
from tests.real.service import Service, World

WITHIN = 900.0  # seconds until a run is given up
EVENT = "CPU per event"  # the figure, in µs
UNLIMITED = 1_000_000_000  # requests in ten seconds

Around = Callable[[int], AbstractContextManager[object]]
AROUND: ContextVar[Around] = ContextVar("AROUND", default=nullcontext)
"""What looks at the service's process, by its id, while it is counted what that takes."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a process took: seconds of CPU and of wall time, MB of memory at the peak, and requests at HubSpot."""

    cpu: float
    wall: float
    peak: float
    requests: int | None = None

    def figures(self, events: int) -> dict[str, float]:
        """Give the figures that most measures show."""
        return {
            "events per CPU second": events / self.cpu,
            EVENT: self.cpu / events * 1e6,
            "events per second": events / self.wall,
            "peak memory": self.peak,
            **({} if self.requests is None else {"requests": self.requests}),
        }


FIGURES = {
    "events per CPU second": "1/s",
    EVENT: "µs",
    "events per second": "1/s",
    "peak memory": "MB",
    "requests": "",
}
"""Units of these figures."""


class Bench:
    """A world with a HubSpot in a process of its own, a group of its own, and a topic of changes that is there."""

    def __init__(self, world: World, hubspot: Simulator, topic: str, partitions: int) -> None:
        self.world = world
        self.hubspot = hubspot
        world.changes = topic
        world.kafka.create(world.results)
        world.kafka.create(world.dead_letters)
        self._offsets = Consumer({"bootstrap.servers": world.broker.bootstrap, "group.id": world.group, "log_level": 2})
        world.stack.callback(self._offsets.close)
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]

    def settings(self, lists: int, **sections: dict[str, Any]) -> dict[str, Any]:
        """Give a configuration with nothing but the defaults, one list for each source, and no limit of the rate.

        What a section names is replaced.
        """
        usual = self.world.settings()
        its: dict[str, dict[str, Any]] = {
            **{name: usual[name] for name in ("schema_registry", "topics", "admin")},
            "kafka": {"bootstrap.servers": self.world.broker.bootstrap, "group.id": self.world.group},
            "window": {"max_age": "1s"},
            "hubspot": {"base_url": self.hubspot.url},
            "accounts": {"acme": {**usual["accounts"]["acme"], "requests_per_10s": UNLIMITED}},
            "connectors": connected(lists),
        }
        return {name: {**its.get(name, {}), **sections.get(name, {})} for name in {**its, **sections}}

    def start(self, settings: dict[str, Any]) -> Service:
        """Start a service and wait until it says so; it is stopped when the bench ends."""
        service = self.world.start_exactly(settings)
        until(lambda: service.said("started"), service.process, within=WITHIN)  # 10,000 lists take their time
        return service

    def committed(self) -> int:
        """Give how many events are committed, of all partitions."""
        found = self._offsets.committed(self._partitions, timeout=20.0)
        return sum(max(0, each.offset) for each in found)

    def until_committed(self, events: int, service: Service, within: float = WITHIN) -> None:
        """Wait until so many events are committed."""
        until(lambda: self.committed() >= events, service.process, self.hubspot.process, within=within)
        assert self.committed() == events

    def members(self, source: int) -> frozenset[int]:
        """Give the record ids on the list of a source."""
        return self.world.members(FIRST_LIST + source)

    @contextmanager
    def taking(self, service: Service) -> Iterator["Taking"]:
        """Count what the service takes between here and the end of the context; there must be no dead letter then."""
        taking, pid = Taking(), service.process.pid
        with AROUND.get()(pid):
            requests, before = self.hubspot.requests, Usage.of(pid)
            yield taking
            after = Usage.of(pid)
        taking.took = Took(after.cpu - before.cpu, after.at - before.at, peak(pid), self.hubspot.requests - requests)
        assert not service.total("dead_letters_total")


class Taking:
    """Has `took` when its context has ended."""

    took: Took


def connected(lists: int, source: int | None = None) -> dict[str, dict[str, Any]]:
    """Give a connector for each list: to the source of its number, or else all to one source."""
    return {
        f"list-{number}": {
            "account": "acme",
            "list_id": FIRST_LIST + number,
            "source": f"audience:{source_id(number if source is None else source)}",
        }
        for number in range(lists)
    }


@contextmanager
def bench(parts: Parts, simulated: Simulated, topic: str, partitions: int = PARTITIONS) -> Iterator[Bench]:
    """Give a bench; all processes of it are stopped at the end."""
    folder = Path(tempfile.mkdtemp(dir=parts.folder))
    with simulator(simulated, folder) as hubspot, ExitStack() as stack:
        world = World(parts.broker, parts.registry, hubspot, folder, stack)
        yield Bench(world, hubspot, topic, partitions)


def catch_up(
    parts: Parts,
    topic: Topic,
    simulated: Simulated,
    source: int | None = None,
    module: str = "consumer",
    **sections: dict[str, Any],
) -> Took:
    """Let a new service read a whole topic, and apply it: each list from its own source, or else all from `source`.

    AssertionError if a list of the topic's sample, or any list of `source`, is not right then.
    """
    with bench(parts, simulated, topic.name) as made:
        made.world.module = module
        if source is not None:
            sections = {"connectors": connected(simulated.lists, source), **sections}
        service = made.start(made.settings(simulated.lists, **sections))
        with made.taking(service) as taking:
            made.until_committed(topic.events, service)
        sample = topic.members
        if source is not None:
            sample = dict.fromkeys(range(simulated.lists), topic.members[source])
        for number, members in sample.items():
            assert made.members(number) == members, f"list {number} is not right"
        return taking.took
