"""Millions of contacts wait while HubSpot is down, then all is caught up: the real loop, on a scripted clock.

`python -m tests.bench.pending --contacts 5000000` prints what was seen, as one JSON object. It is meant for a process
of its own, whose memory is then the service's: events are made as they are read, HubSpot is one byte a contact.
"""

import json
import os
import sys
from argparse import ArgumentParser
from typing import NamedTuple

from consumer import log
from consumer.secret import Redactor
from tests.bench.usage import peak, resident
from tests.fakes.clock import ScriptedClock
from tests.fakes.service import world
from tests.load.parts import HubSpot, Made, Watched, put, template

PARTITIONS = 8
PER_SECOND = 20_000  # events
MORE = 1.1  # as many contacts as may wait: reading pauses, and goes on later
DOWN_FOR = 600.0  # seconds that the outage goes on after reading has paused


class Seen(NamedTuple):
    """What a run saw: bytes for each contact more that waits, MB at the peak, and the CPU seconds of a turn."""

    per_contact: float
    peak: float
    longest_turn: float


class Log(Made):
    """The contacts of a partition enter, one after the other."""

    def __init__(self, clock: ScriptedClock, partition: int, contacts: int, lists: int) -> None:
        super().__init__(clock, partition)
        self._most = contacts // PARTITIONS
        self._start = clock.monotonic()
        self._templates = [template(number, 0) for number in range(lists)]

    def __len__(self) -> int:
        return min(self._most, int(self._clock.monotonic() - self._start) * PER_SECOND // PARTITIONS)

    def event(self, offset: int) -> tuple[int, bytes]:
        """Give the contact, counted from 0, and the event's template."""
        contact = offset * PARTITIONS + self._partition
        return contact, self._templates[offset % len(self._templates)]


def run(contacts: int, lists: int) -> Seen:
    """Let so many contacts wait; AssertionError if anything is lost in the end."""
    with world(lists, limits={"max_pending_contacts": contacts}) as w:
        logs = [Log(w.clock, partition, round(contacts * MORE), lists) for partition in range(PARTITIONS)]
        put(w, logs)
        hubspot = HubSpot(w.clock, round(contacts * MORE), down=True)
        service = Watched(w, hubspot)
        service.source.most_messages = 1000
        service.turn_until(lambda: service.pending >= contacts // 5)
        few, of_few = service.pending, resident(os.getpid())
        service.turn_until(lambda: service.paused)
        many, of_many = service.pending, resident(os.getpid())
        service.turn_for(DOWN_FOR)
        hubspot.down = False
        service.turn_until(lambda: w.all_committed() and not service.pending)
        assert hubspot.members.count(1) == sum(map(len, logs)) == round(contacts * MORE)
        return Seen((of_many - of_few) / (many - few) * 1e6, peak(os.getpid()), service.longest_turn)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=5_000_000)
    parser.add_argument("--lists", type=int, default=1)
    given = parser.parse_args()
    log.configure(sys.stderr, json=True, level="error", redactor=Redactor())
    sys.stdout.write(json.dumps(run(given.contacts, given.lists)._asdict()) + "\n")
