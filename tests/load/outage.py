"""HubSpot is down for an hour while events keep coming: the real loop, on a scripted clock.

`python -m tests.load.outage --lists 200` prints what was seen, as one JSON object. The first list has half of the
contacts. It is meant for a process of its own, whose memory is then the service's: events are made as they are read, a
list at HubSpot is one byte for each contact, and no record is kept.
"""

import json
import random
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, MutableSequence
from itertools import count
from typing import NamedTuple, cast

from confluent_kafka import Message
from prometheus_client import CollectorRegistry, generate_latest

from consumer import log
from consumer.app import assemble
from consumer.changes import TopicPartition
from consumer.metrics import Metrics
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.ports import Outside
from consumer.secret import Redactor
from consumer.status import page
from tests.fakes.clock import ScriptedClock
from tests.fakes.kafka import TOPIC, MemorySource
from tests.fakes.service import World, world
from tests.load.parts import BLANK, FIRST_ID, HubSpot, Sink, cpu, peak, template

BOUND = 1_000_000  # contacts
OUTAGE = 3600.0  # seconds
PARTITIONS = 8
PER_SECOND = 300  # events
CONTACTS = 1_060_000
SHARE = CONTACTS // PARTITIONS


class Seen(NamedTuple):
    """What a run saw. Seconds are scripted, but for those of `longest_turn`, `scrape` and `status_page`: of CPU."""

    lists: int
    events: int
    outage: float
    most_pending: int
    paused_after: float | None
    pending_when_resumed: int | None
    longest_between_polls: float
    session_timeout: float
    longest_turn: float
    scrape: float
    status_page: float
    peak_mb: float
    caught_up_after: float
    committed: bool
    equal: bool


class Log:
    """One partition, made as it is read. All its contacts enter, one after the other; then they leave, and so on."""

    def __init__(self, clock: ScriptedClock, partition: int, lists: int, backlog: int) -> None:
        self._clock = clock
        self._partition = partition
        self._lists = lists
        self._backlog = backlog // PARTITIONS
        self._start = clock.monotonic()
        self._templates = {(number, leaves): template(number, leaves) for number in range(lists) for leaves in (0, 1)}

    def __len__(self) -> int:
        seconds = int(min(self._clock.monotonic() - self._start, OUTAGE))
        return self._backlog + seconds * PER_SECOND // PARTITIONS

    def __getitem__(self, part: slice) -> list[Message]:
        return [self._message(offset) for offset in range(*part.indices(len(self)))]

    def members(self) -> Iterator[tuple[int, int]]:
        """Give each contact, counted from 0, and 1 if the last of its changes made it a member, else 0."""
        rounds, rest = divmod(len(self), SHARE)
        for number in range(SHARE):
            yield number * PARTITIONS + self._partition, (rounds + (number < rest)) % 2

    def _list(self, contact: int) -> int:
        half, odd = divmod(contact // PARTITIONS, 2)
        return 1 + half % (self._lists - 1) if odd and self._lists > 1 else 0

    def _message(self, offset: int) -> Message:
        leaves, number = divmod(offset, SHARE)
        contact = number * PARTITIONS + self._partition
        key = b"%d" % (FIRST_ID + contact)
        return Message(
            topic=TOPIC,
            partition=self._partition,
            offset=offset,
            key=key,
            value=self._templates[self._list(contact), leaves % 2].replace(BLANK, key),
            headers=[],
            timestamp=(1, round(self._clock.time() * 1000)),
        )


class Watched:
    """The service, turned by hand and looked at after each turn."""

    def __init__(self, w: World) -> None:
        self.clock = w.clock
        self.hubspot = HubSpot(w.clock, CONTACTS, down=True)
        self.metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS)
        ids = (str(number) for number in count(1))
        chance = random.Random(1).random  # noqa: S311 - jitter that repeats itself, not a secret
        outside = Outside(self.hubspot, Sink(), w.clock, self.metrics, chance, lambda: next(ids))
        self.loop = assemble(w.settings, outside, w.registry)
        self.source = MemorySource(w.broker, w.clock, self.loop)
        self.source.slack = 0.5
        self.source.assign(*range(PARTITIONS))
        self.most_pending = 0
        self.longest_turn = 0.0
        self.longest_between_polls = 0.0

    @property
    def pending(self) -> int:
        """Contacts that wait or are on the wire."""
        return self.loop._delivery.pending

    @property
    def paused(self) -> bool:
        """True while nothing at all is read."""
        return len(self.source.paused) == PARTITIONS and self.pending > 0

    def turn_until(self, done: Callable[[], bool]) -> None:
        """Turn the loop, each time with a poll, until something is so."""
        while not done():
            began, cpu = self.clock.monotonic(), time.thread_time()
            self.loop.turn(self.source)
            self.longest_turn = max(self.longest_turn, time.thread_time() - cpu)
            self.longest_between_polls = max(self.longest_between_polls, self.clock.monotonic() - began)
            self.most_pending = max(self.most_pending, self.pending)


def run(lists: int, backlog: int) -> Seen:
    """Let HubSpot be down for an hour; `backlog` events are there before, and not one of them is committed."""
    with world(lists, limits={"max_pending_contacts": BOUND}) as w:
        logs = [Log(w.clock, partition, lists, backlog) for partition in range(PARTITIONS)]
        w.broker.partitions = PARTITIONS
        for partition, each in enumerate(logs):
            key = TopicPartition(TOPIC, partition)
            w.broker.log[key] = cast("MutableSequence[Message]", each)  # nobody writes to it
            if backlog:
                w.broker.committed[key] = 0  # so that all of it may have been sent by another member
        service = Watched(w)
        start = w.clock.monotonic()
        service.turn_until(lambda: service.paused or w.clock.monotonic() >= start + OUTAGE)
        paused_after = w.clock.monotonic() - start if service.paused else None
        service.turn_until(lambda: w.clock.monotonic() >= start + OUTAGE)
        scrape = cpu(lambda: generate_latest(service.metrics.registry))
        status_page = cpu(lambda: page(service.loop.status(), w.clock.time(), None))
        service.hubspot.down = False
        service.turn_until(lambda: not service.paused)
        resumed = service.pending
        service.source.slack = 0.05
        service.turn_until(lambda: w.all_committed() and not service.pending)
        return Seen(
            lists=lists,
            events=sum(map(len, logs)),
            outage=OUTAGE,
            most_pending=service.most_pending,
            paused_after=paused_after,
            pending_when_resumed=None if paused_after is None else resumed,
            longest_between_polls=service.longest_between_polls,
            session_timeout=service.loop._fence.session_timeout,
            longest_turn=service.longest_turn,
            scrape=scrape,
            status_page=status_page,
            peak_mb=peak(),
            caught_up_after=w.clock.monotonic() - start - OUTAGE,
            committed=w.all_committed(),
            equal=all(
                service.hubspot.members[contact] == member for each in logs for contact, member in each.members()
            ),
        )


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--lists", type=int, default=1)
    parser.add_argument("--backlog", type=int, default=0)
    given = parser.parse_args()
    log.configure(sys.stderr, json=True, level="error", redactor=Redactor())
    sys.stdout.write(json.dumps(run(given.lists, given.backlog)._asdict()) + "\n")
