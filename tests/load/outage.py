"""HubSpot is down for an hour while events keep coming: the real loop, on a scripted clock.

`python -m tests.load.outage --lists 200` prints what was seen, as one JSON object. The first list has half of the
contacts. It is meant for a process of its own, whose memory is then the service's: events are made as they are read, a
list at HubSpot is one byte for each contact, and no record is kept.
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import generate_latest

from consumer import log
from consumer.changes import TopicPartition
from consumer.secret import Redactor
from consumer.status import page
from tests.fakes.clock import ScriptedClock
from tests.fakes.kafka import TOPIC
from tests.fakes.service import world
from tests.load.parts import HubSpot, Made, Watched, cpu, peak, put, template

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


class Log(Made):
    """All contacts of a partition enter, one after the other; then they leave, and so on."""

    def __init__(self, clock: ScriptedClock, partition: int, lists: int, backlog: int) -> None:
        super().__init__(clock, partition)
        self._lists = lists
        self._backlog = backlog // PARTITIONS
        self._start = clock.monotonic()
        self._templates = {(number, leaves): template(number, leaves) for number in range(lists) for leaves in (0, 1)}

    def __len__(self) -> int:
        seconds = int(min(self._clock.monotonic() - self._start, OUTAGE))
        return self._backlog + seconds * PER_SECOND // PARTITIONS

    def event(self, offset: int) -> tuple[int, bytes]:
        """Give the contact, counted from 0, and the event's template."""
        leaves, number = divmod(offset, SHARE)
        contact = number * PARTITIONS + self._partition
        return contact, self._templates[self._list(contact), leaves % 2]

    def members(self) -> Iterator[tuple[int, int]]:
        """Give each contact, counted from 0, and 1 if the last of its changes made it a member, else 0."""
        rounds, rest = divmod(len(self), SHARE)
        for number in range(SHARE):
            yield number * PARTITIONS + self._partition, (rounds + (number < rest)) % 2

    def _list(self, contact: int) -> int:
        half, odd = divmod(contact // PARTITIONS, 2)
        return 1 + half % (self._lists - 1) if odd and self._lists > 1 else 0


def run(lists: int, backlog: int) -> Seen:
    """Let HubSpot be down for an hour; `backlog` events are there before, and not one of them is committed."""
    with world(lists, limits={"max_pending_contacts": BOUND}) as w:
        logs = [Log(w.clock, partition, lists, backlog) for partition in range(PARTITIONS)]
        put(w, logs)
        for partition in range(PARTITIONS if backlog else 0):
            w.broker.committed[TopicPartition(TOPIC, partition)] = 0  # so that another member may have sent all of it
        hubspot = HubSpot(w.clock, CONTACTS, down=True)
        service = Watched(w, hubspot)
        start = w.clock.monotonic()
        service.turn_until(lambda: service.paused or w.clock.monotonic() >= start + OUTAGE)
        paused_after = w.clock.monotonic() - start if service.paused else None
        service.turn_until(lambda: w.clock.monotonic() >= start + OUTAGE)
        scrape = cpu(lambda: generate_latest(service.metrics.registry))
        status_page = cpu(lambda: page(service.loop.status(), w.clock.time(), None))
        hubspot.down = False
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
            equal=all(hubspot.members[contact] == member for each in logs for contact, member in each.members()),
        )


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--lists", type=int, default=1)
    parser.add_argument("--backlog", type=int, default=0)
    given = parser.parse_args()
    log.configure(sys.stderr, json=True, level="error", redactor=Redactor())
    sys.stdout.write(json.dumps(run(given.lists, given.backlog)._asdict()) + "\n")
