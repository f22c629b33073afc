"""The real loop on fakes: one object that a story turns by hand."""

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from prometheus_client import CollectorRegistry

from consumer import avro
from consumer.app import assemble
from consumer.changes import TopicPartition
from consumer.lending import Lending
from consumer.metrics import PREFIX, Metrics
from consumer.outcomes import DEAD_LETTER_REASONS, DeadLetter, Outcome
from consumer.ports import Listener, Outside
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
FIRST_LIST = 100  # id of list 0
LONG = 60.0  # seconds
LONG_SLACK = 1.0
SLACK = 0.2


class Member:
    """One process of the service, and the world that it shares with others. Its outside may be given, or is made."""

    def __init__(
        self,
        world: "World",
        *,
        workers: ScriptedWorkers | None = None,
        sink: MemorySink | None = None,
        registry: MemoryRegistry | None = None,
        source: Callable[[Listener], MemorySource] | None = None,
        seed: int = 1,
        lending: Lending | None = None,
    ) -> None:
        self.world = world
        self.sink = sink or world.sink
        self.workers = workers or ScriptedWorkers(world.settings, world.portal, world.clock)
        self.metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS)
        ids = (str(uuid.UUID(int=(seed << 32) + number)) for number in count(1))
        chance = random.Random(seed).random  # noqa: S311 - jitter that repeats itself, not a secret
        outside = Outside(self.workers, self.sink, world.clock, self.metrics, chance, lambda: next(ids), lending)
        self.loop = assemble(world.settings, outside, registry or world.registry)
        make = source or (lambda listener: MemorySource(world.broker, world.clock, listener))
        self.source = make(self.loop)

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

    def __init__(
        self, settings: Settings, broker: MemoryBroker | None = None, portal: Callable[..., Portal] = Portal
    ) -> None:
        self.settings = settings
        self.clock = ScriptedClock()
        self.broker = broker or MemoryBroker()
        self.registry = MemoryRegistry()
        self.registry.schemas[SCHEMA_ID] = avro.CHANGE_SCHEMA.text
        self.sink = MemorySink()
        self.accounts = {
            name: Account(
                name=name,
                client_id=each.client_id,
                client_secret=each.client_secret.reveal(),
                refresh_token=each.refresh_token.reveal(),
            )
            for name, each in settings.accounts.items()
        }
        for connector in settings.connectors.values():
            number = connector.list_id
            self.accounts[connector.account].add_list(ContactList(number, f"List {number - FIRST_LIST}"))
        self.account = next(iter(self.accounts.values()))
        self.portal = portal(self.accounts.values())

    def member(self, *partitions: int, lending: Lending | None = None) -> Member:
        """Start a process; without numbers it gets every partition."""
        member = Member(self, lending=lending)
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
        list_id = FIRST_LIST + number
        return next(each.lists[list_id].members for each in self.accounts.values() if list_id in each.lists)

    def changes(self, number: int | None = None) -> list[Handled]:
        """Give the membership requests that reached HubSpot, of one list or all."""
        return [
            each
            for each in self.portal.log
            if each.method == "PUT" and (number is None or each.list_id == FIRST_LIST + number)
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
    """Make a world with so many lists, each fed by the audience of its number. `sections` overlay the file's.

    The lists belong by turns to the account acme and those that `sections` name besides.
    """
    made = World(make_settings(lists, **sections))
    yield made
    made.portal.assert_clean()


def make_settings(lists: int, **sections: Any) -> Settings:  # noqa: ANN401 - as above
    """Give the settings of such a world."""
    accounts = tuple({"acme": {}, **sections.get("accounts", {})})
    configuration = {
        "kafka": {"bootstrap.servers": "nowhere:9092", "group.id": "test"},
        "schema_registry": {"url": "mock://test"},
        "window": {"max_age": "30s", "max_contacts": 1000},
        "hubspot": {"base_url": "http://localhost"},
        "accounts": {
            name: {
                "client_id": f"client-of-{name}",
                "client_secret": Secret(f"the-client-secret-of-{name}"),
                "refresh_token": Secret(f"the-refresh-token-of-{name}"),
                "requests_per_10s": 100,
            }
            for name in accounts
        },
        "connectors": {
            f"c{number}": {
                "account": accounts[number % len(accounts)],
                "list_id": FIRST_LIST + number,
                "source": f"audience:{number}",
            }
            for number in range(lists)
        },
    }
    return Settings.model_validate(_merged(configuration, sections))


def _merged(below: Any, above: Any) -> Any:  # noqa: ANN401 - parts of a configuration file
    if not (isinstance(below, dict) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
