"""An hour of steady traffic: the real loop and client on a scripted clock, and what memory they have at each minute.

`python -m tests.bench.hour` prints what was seen, as one JSON object. It is meant for a process of its own, whose
memory is then that of the service and of the simulated HubSpot, which has it as flat: its lists are full after the
first minutes, and it keeps no log. Every contact that exists is on one list, and changes again and again; some do not
exist; HubSpot answers some requests with 429, 503 or not at all; every five minutes a partition is taken away and
given back.
"""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from consumer import log
from consumer.secret import Redactor
from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.bench.usage import resident
from tests.fakes.clock import ScriptedClock
from tests.fakes.hubspot import ScriptedWorkers
from tests.fakes.service import World, make_settings
from tests.load.parts import FIRST_ID, Made, Watched, put, template

MINUTE = 60.0  # seconds
PARTITIONS = 8
PER_SECOND = 1_000  # events
LISTS = 50
CONTACTS = 200_000
UNKNOWN = 199  # of so many contacts one does not exist
FAULTS = (
    Fault("rate_limited", 1.0, share=0.02),
    Fault("unavailable", share=0.02),
    Fault("cut_after", share=0.005),
    Fault("slow", 0.3, method="PUT"),
)
TAKEN_EVERY = 5  # minutes


class Seen(NamedTuple):
    """What a run saw at the end of each minute: MB resident, and Python's allocated blocks; and what was done."""

    resident: list[float]
    blocks: list[int]
    events: int
    answers: dict[str, int]


class Log(Made):
    """Contacts of a partition enter and leave, in an order that looks like chance."""

    def __init__(self, clock: ScriptedClock, partition: int, until: float) -> None:
        super().__init__(clock, partition)
        self._start = clock.monotonic()
        self._until = until
        self._templates = [[template(number, leaves) for leaves in (0, 1)] for number in range(LISTS)]

    def __len__(self) -> int:
        seconds = int(min(self._clock.monotonic(), self._until) - self._start)
        return seconds * PER_SECOND // PARTITIONS

    def event(self, offset: int) -> tuple[int, bytes]:
        """Give the contact, counted from 0, and the event's template."""
        contact, leaves = self.change(offset)
        return contact, self._templates[contact % LISTS][leaves]

    def change(self, offset: int) -> tuple[int, int]:
        """Give the contact, counted from 0, and 1 if it leaves, or else 0."""
        chance = hash((offset, self._partition))  # of numbers it is the same in every process
        return chance % (CONTACTS // PARTITIONS) * PARTITIONS + self._partition, chance >> 40 & 1

    def members(self) -> Iterator[int]:
        """Give who is on a list in the end: its record id."""
        last = dict(map(self.change, range(len(self))))
        return (FIRST_ID + contact for contact, leaves in last.items() if not leaves and exists(FIRST_ID + contact))


def exists(contact: int) -> bool:
    """Tell whether HubSpot has a contact."""
    return (contact - FIRST_ID) % UNKNOWN > 0


def run(minutes: int) -> Seen:
    """Let the traffic go on for so many minutes; AssertionError if a list is not right in the end."""
    w = World(make_settings(LISTS), portal=partial(Portal, keep_log=False))
    w.account.contacts = exists
    for fault in FAULTS:
        w.portal.inject(fault)
    logs = [Log(w.clock, partition, w.clock.monotonic() + minutes * MINUTE) for partition in range(PARTITIONS)]
    put(w, logs)
    workers = ScriptedWorkers(w.settings, w.portal, w.clock)
    service = Watched(w, workers)
    service.source.most_messages = 1000
    memory: list[float] = []
    blocks: list[int] = []
    for minute in range(1, minutes + 1):
        service.turn_for(MINUTE)
        workers.submitted.clear()  # the fake's own notes
        memory.append(resident(os.getpid()))
        blocks.append(sys.getallocatedblocks())
        if minute % TAKEN_EVERY == 0:
            partition = minute // TAKEN_EVERY % PARTITIONS
            service.source.revoke(partition)
            service.loop.turn(service.source)
            service.source.assign(partition)
    service.turn_until(lambda: w.all_committed() and not service.pending)
    members = set(chain.from_iterable(each.members() for each in logs))
    for number in range(LISTS):
        assert w.members(number) == {each for each in members if (each - FIRST_ID) % LISTS == number}
    w.portal.assert_clean()
    statuses = {str(status): number for status, number in w.portal.statuses.items()}
    return Seen(memory, blocks, sum(map(len, logs)), statuses)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    given = parser.parse_args()
    with Path(os.devnull).open("w") as nowhere:
        log.configure(nowhere, json=True, level="info", redactor=Redactor())
        sys.stdout.write(json.dumps(run(given.minutes)._asdict()) + "\n")
