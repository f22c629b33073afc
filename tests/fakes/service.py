"""The real loop on fakes: one object that a story turns by hand."""

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client import CollectorRegistry

from consumer import avro
from consumer.app import assemble
from consumer.changes import TopicPartition
from consumer.metrics import PREFIX, Metrics
from consumer.outcomes import DEAD_LETTER_REASONS, DeadLetter, Outcome
from consumer.ports import Outside
from consumer.secret import Secret
from consumer.settings import Settings
from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.messages import Handled
from consumer.simulator.portal import Portal
from tests.fakes.clock import ScriptedClock
from tests.fakes.hubspot import ScriptedWorkers
from tests.fakes.kafka import TOPIC, MemoryBroker, MemorySink, MemorySource
from tests.fakes.registry import MemoryRegistry

SCHEMA_ID = 7
LONG = 60.0  # seconds
LONG_SLACK = 1.0
SLACK = 0.2


class Member:
    """One process of the service, and the world that it shares with others."""

    def __init__(self, world: "World", settings: Settings) -> None:
        self.world = world
        self.sink = world.sink
        self.workers = ScriptedWorkers(settings, world.portal, world.clock)
        self.metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS)
        ids = (str(uuid.UUID(int=number)) for number in count(1))
        chance = random.Random(1).random  # noqa: S311 - jitter that repeats itself, not a secret
        outside = Outside(self.workers, self.sink, world.clock, self.metrics, chance, lambda: next(ids))
        self.loop = assemble(settings, outside, world.registry)
        self.source = MemorySource(world.broker, world.clock, self.loop)

    def turn(self, times: int = 1) -> None:
        """Turn the loop."""
        for _ in range(times):
            self.loop.turn(self.source)

    def run_for(self, seconds: float) -> None:
        """Turn the loop until so much time has passed; where that is long, with fewer turns, as on a busy machine."""
        until = self.world.clock.monotonic() + seconds
        self.source.slack = LONG_SLACK if seconds >= LONG else 0.0
        while self.world.clock.monotonic() < until:
            self.loop.turn(self.source)
        self.source.slack = 0.0

    def run_until(self, done: Callable[[], bool], within: float = 600.0) -> None:
        """Turn the loop until something is so, with fewer turns; AssertionError when it is not in time."""
        until = self.world.clock.monotonic() + within
        self.source.slack = SLACK
        while not done():
            assert self.world.clock.monotonic() < until, "it did not come to be in time"
            self.loop.turn(self.source)
        self.source.slack = 0.0

    def metric(self, name: str, **labels: object) -> float:
        """Add up a metric's series with these labels."""
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == PREFIX + name
            and {key: str(value) for key, value in labels.items()}.items() <= sample.labels.items()
        )


class World:
    """A portal, a broker, a registry and a clock."""

    def __init__(self, folder: Path, lists: int, **sections: Any) -> None:  # noqa: ANN401 - sections as in the file
        self.clock = ScriptedClock()
        self.broker = MemoryBroker()
        self.registry = MemoryRegistry()
        self.registry.schemas[SCHEMA_ID] = avro.CHANGE_SCHEMA.text
        self.sink = MemorySink()
        self.account = Account(
            name="acme", client_id="client", client_secret="the-client-secret", refresh_token="the-refresh-token"
        )
        for number in range(lists):
            self.account.add_list(ContactList(100 + number, f"List {number}"))
        self.portal = Portal([self.account])
        self.settings = Settings.model_validate(_configuration(folder, lists, sections))

    def member(self, *partitions: int) -> Member:
        """Start a process; without numbers it gets every partition."""
        member = Member(self, self.settings)
        member.source.assign(*(partitions or range(self.broker.partitions)))
        return member

    def tell(self, transition: str, contact: int | str | None, *, source: str = "audience:0", **event: Any) -> int:  # noqa: ANN401 - fields of the event
        """Write an event and give its offset. `contact` None leaves the identifier out."""
        kind, _, source_id = source.partition(":")
        profile = str(event.pop("profile_id", contact))
        partition = event.pop("partition", sum(profile.encode()) % self.broker.partitions)
        record = {
            "event_id": str(uuid.UUID(int=1)),
            "source_type": kind.upper(),
            "source_id": source_id,
            "profile_id": profile,
            "transition": transition,
            "occurred_at": round(self.clock.time() * 1000),
            "identifiers": {} if contact is None else {"2006": str(contact)},
            **event,
        }
        value = avro.frame(SCHEMA_ID, avro.encode(avro.CHANGE_SCHEMA, record))
        return self.tell_raw(value, partition, profile)

    def tell_raw(self, value: bytes | None, partition: int = 0, key: str = "somebody") -> int:
        """Write any bytes and give the offset."""
        return self.broker.append(key, value, partition, self.clock.time()).offset() or 0

    def members(self, number: int = 0) -> frozenset[int]:
        """Give who is on a list by now."""
        self.portal.advance(self.clock.monotonic())
        return self.account.lists[100 + number].members

    def changes(self, number: int | None = None) -> list[Handled]:
        """Give the membership requests that reached HubSpot, of one list or all."""
        return [
            each
            for each in self.portal.log
            if each.method == "PUT" and (number is None or each.list_id == 100 + number)
        ]

    def committed(self, partition: int = 0) -> int | None:
        """Give the group's committed offset."""
        return self.broker.committed.get(TopicPartition(TOPIC, partition))

    def all_committed(self) -> bool:
        """Tell whether the group has no lag."""
        return all(
            self.broker.committed.get(key, 0) == self.broker.end(key) for key in self.broker.log if self.broker.log[key]
        )

    def outcomes(self, contact: int) -> list[Outcome]:
        """Give what the results topic says of a contact, oldest first."""
        return [each.outcome for result in self.sink.results for each in result.contacts if each.contact == contact]

    def dead_letter(self, reason: str) -> DeadLetter:
        """Give the only dead letter of a reason."""
        (found,) = [each for each in self.sink.dead_letters if each.reason == reason]
        return found


@contextmanager
def world(lists: int = 1, **sections: Any) -> Iterator[World]:  # noqa: ANN401 - sections as in the file
    """Make a world with so many lists, each fed by the audience of its number. `sections` overlay the file's."""
    with TemporaryDirectory() as folder:
        made = World(Path(folder), lists, **sections)
        yield made
        made.portal.assert_clean()


def _configuration(folder: Path, lists: int, sections: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as the file is
    secrets = {}
    for name in ("client_secret", "refresh_token"):
        file = folder / name
        file.write_text(f"the-{name.replace('_', '-')}")
        secrets[name] = Secret.from_file(file)
    configuration = {
        "kafka": {"bootstrap.servers": "nowhere:9092", "group.id": "test"},
        "schema_registry": {"url": "mock://test"},
        "window": {"max_age": "30s", "max_contacts": 1000},
        "hubspot": {"base_url": "http://localhost"},
        "accounts": {"acme": {"client_id": "client", "requests_per_10s": 100, **secrets}},
        "connectors": {
            f"c{number}": {"account": "acme", "list_id": 100 + number, "source": f"audience:{number}"}
            for number in range(lists)
        },
    }
    return _merged(configuration, sections)


def _merged(below: Any, above: Any) -> Any:  # noqa: ANN401 - parts of a configuration file
    if not (isinstance(below, dict) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
