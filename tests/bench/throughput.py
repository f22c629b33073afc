"""How much of a processor an event takes on its whole way, beside two loops that only read."""

import json
import random
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.bench.events import Event, Topic, fill
from tests.bench.measure import Contender, Goal, Measure, Parts, Round, Values
from tests.bench.service import FIGURES, Took, catch_up
from tests.bench.simulator import Simulated
from tests.real.processes import run

OURS = "hubspot-list-sync"
BARE = "consume(), value()"
USUAL = "poll(), AvroDeserializer"
GENERAL = "hubspot-list-sync, general decoder"
WORTH = 1.5  # times the CPU that the general decoder costs the whole path, or a decoder of its own is not worth having
TIMES = 4.0  # as many events per second of CPU as the usual loop
SAMPLE = 20  # lists whose members are looked at

ABOUT = (
    "A new group finds the whole topic written, in four partitions: the service fetches, decodes, collapses, sends, "
    "writes the results and commits, and then lists are held to the log; one loop does nothing but fetch; the other is "
    "what people write, and keeps each contact's newest transition in a dict. Events have 90 bytes. CPU is that of the "
    "process alone, all its threads: of the service from where it has started until everything is committed, of a loop "
    "from its assignment to the last event. Wall time of the service is mostly the simulated HubSpot's, which has to "
    "share two cores with it and Kafka. "
)


@dataclass(slots=True)
class Scenario:
    """Lists, and the events for them; the topic is filled once. The loops read `read` of them, None: all.

    With `general` the service runs once more, without any schema's own decoder.
    """

    name: str
    title: str
    about: str
    simulated: Simulated
    events: Callable[[], Iterator[Event]]
    sections: dict[str, Any] = field(default_factory=dict)
    read: int | None = None
    rounds: int = 5
    general: bool = False
    _topics: dict[Parts, Topic] = field(default_factory=dict)

    def topic(self, parts: Parts) -> Topic:
        """Give the topic."""
        if parts not in self._topics:
            lists = self.simulated.lists
            sample = range(0, lists, max(1, lists // SAMPLE))
            self._topics[parts] = fill(parts, f"{self.name}-{uuid.uuid4().hex[:8]}", self.events(), sample)
        return self._topics[parts]

    def ours(self, parts: Parts, module: str = "consumer") -> Values:
        """Run the service, or a module that does as it does."""
        topic = self.topic(parts)
        return catch_up(parts, topic, self.simulated, module=module, **self.sections).figures(topic.events)

    def loop(self, name: str, parts: Parts) -> Values:
        """Run a loop."""
        topic = self.topic(parts)
        events = self.read or topic.events
        registry = json.dumps(parts.registry.properties)
        command = [sys.executable, "-m", "tests.bench.loops", name, parts.broker.bootstrap, registry, topic.name]
        return Took(**json.loads(run([*command, str(events)]))).figures(events)

    def measure(self) -> Measure:
        """Give the measure of it."""
        return Measure(
            self.name,
            self.title,
            self.about,
            (
                Contender(OURS, self.ours),
                Contender(BARE, partial(self.loop, "bare")),
                Contender(USUAL, partial(self.loop, "usual")),
                *([Contender(GENERAL, partial(self.ours, module="tests.bench.general"))] if self.general else ()),
            ),
            FIGURES,
            (
                Goal(f"events per CPU second, times those of {USUAL}", partial(_times, USUAL), at_least=TIMES),
                *(
                    [Goal("… times those with the general decoder", partial(_times, GENERAL), at_least=WORTH)]
                    * self.general
                ),
            ),
            self.rounds,
        )


def changing(number: int, contacts: int, lists: int, each: int = 1) -> Iterator[Event]:
    """Give events of random contacts, each of which has `each` lists of its own, that enter and leave at random."""
    chance = random.Random(1)  # noqa: S311 - the same events in every run, not a secret
    for _ in range(number):
        contact = chance.randrange(contacts)
        which = contact * each + (chance.randrange(each) if each > 1 else 0)
        yield Event(which % lists, contact, chance.random() < 0.5)


def entering(number: int) -> Iterator[Event]:
    """Give events of contacts that enter one list, each of them once."""
    return (Event(0, contact) for contact in range(number))


def _times(other: str, of: Round) -> float:
    name = "events per CPU second"
    return of[OURS][name] / of[other][name]


MILLION = 1_000_000
CONTACTS = 100_000

SCENARIOS = (
    Scenario(
        "throughput-changing",
        "Throughput: 50 lists, contacts that change often",
        ABOUT + "1,000,000 events of 100,000 contacts, each of which is in one of 50 lists and changes ten times. The "
        "general decoder is what the service takes without any schema's own.",
        Simulated(50, CONTACTS),
        partial(changing, MILLION, CONTACTS, 50),
        general=True,
    ),
    Scenario(
        "throughput-new",
        "Throughput: one list, every contact new",
        "As above, but 1,000,000 contacts enter one list, each of them once; `max_contacts: 10000`.",
        Simulated(1, MILLION),
        partial(entering, MILLION),
        {"window": {"max_age": "1s", "max_contacts": 10_000}},
    ),
    Scenario(
        "throughput-lists",
        "Throughput: 10,000 lists",
        "As above, but 4,000,000 events of 100,000 contacts, each of which is in four of 10,000 lists, and changes ten "
        "times in each. So a list has 40 contacts; each list is looked at once before its one request, as at every "
        "start, and that is counted as well. The loops read the first 1,000,000 events: what one takes does not depend "
        "on how many follow.",
        Simulated(10_000, CONTACTS),
        partial(changing, 4 * MILLION, CONTACTS, 10_000, 4),
        read=MILLION,
        rounds=3,
    ),
)

MEASURES = tuple(each.measure() for each in SCENARIOS)
