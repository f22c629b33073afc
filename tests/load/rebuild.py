"""A list of millions rebuilt from the log: the real replay, on a scripted clock.

`python -m tests.load.rebuild --contacts 5000000` prints what was seen, as one JSON object. It is meant for a process of
its own, whose memory is then the command's. Every contact enters; every tenth leaves again, at the end of the log.
"""

import json
import random
import sys
import time
from argparse import ArgumentParser
from itertools import count
from typing import NamedTuple, cast

from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from consumer import log
from consumer.app import assemble_rebuild, for_replay
from consumer.changes import TopicPartition
from consumer.loop import State
from consumer.metrics import Metrics
from consumer.outcomes import DEAD_LETTER_REASONS, Outcome
from consumer.ports import Outside
from consumer.secret import Redactor
from tests.fakes.hubspot import ScriptedWorkers
from tests.fakes.kafka import TOPIC, MemoryLog
from tests.fakes.service import FIRST_LIST, World, world
from tests.load.parts import BLANK, FIRST_ID, HubSpot, Sink, peak, template

PARTITIONS = 8
LEAVES = 10  # every such contact


class Seen(NamedTuple):
    """What a run saw; seconds are of CPU."""

    contacts: int
    events: int
    added: int
    removed: int
    unchanged: int
    requests: int
    most_waiting: int  # contacts in the window and on the wire
    seconds: float
    base_mb: float
    peak_mb: float
    equal: bool


class Log:
    """One partition, made as it is read."""

    def __init__(self, partition: int, contacts: int) -> None:
        self._partition = partition
        self._enter = len(range(partition, contacts, PARTITIONS))
        self._leave = len(range(0, self._enter, LEAVES))
        self._templates = [template(0, leaves) for leaves in (0, 1)]

    def __len__(self) -> int:
        return self._enter + self._leave

    def __getitem__(self, part: slice) -> "Part":
        return Part(self, range(*part.indices(len(self))))

    def message(self, offset: int) -> Message:
        """Make an event."""
        leaves = offset >= self._enter
        number = (offset - self._enter) * LEAVES if leaves else offset
        key = b"%d" % (FIRST_ID + number * PARTITIONS + self._partition)
        value = self._templates[leaves].replace(BLANK, key)
        stamp = (1, 1_780_000_000_000)
        return Message(topic=TOPIC, partition=self._partition, offset=offset, key=key, value=value, timestamp=stamp)


class Part:
    """A slice of a partition, of which only what is taken is made."""

    def __init__(self, whole: Log, offsets: range) -> None:
        self._whole = whole
        self._offsets = offsets

    def __getitem__(self, part: slice) -> list[Message]:
        return [self._whole.message(offset) for offset in self._offsets[part]]


class Simulated(ScriptedWorkers):
    """The service's own client on the simulated HubSpot, whose list lacks half of who is in, and holds all who left."""

    def __init__(self, w: World, contacts: int) -> None:
        super().__init__(w.settings, w.portal, w.clock)
        w.portal.keep_log = False
        w.account.contacts = range(FIRST_ID, FIRST_ID + contacts)
        self._list = w.account.lists[FIRST_LIST]
        for number in range(contacts):
            if _leaves(number) or number % 2:
                self._list.join(FIRST_ID + number, 0.0)

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return len(self.submitted)

    def is_member(self, number: int) -> bool:
        """Tell whether a contact is on the list."""
        return FIRST_ID + number in self._list.joined


class Bytes(HubSpot):
    """A list of one byte a contact, which holds all who are to leave, and nobody else."""

    def __init__(self, w: World, contacts: int) -> None:
        super().__init__(w.clock, contacts)
        for number in range(contacts):
            self.members[number] = _leaves(number)

    def is_member(self, number: int) -> bool:
        """Tell whether a contact is on the list."""
        return bool(self.members[number])


def _leaves(number: int) -> bool:
    return number // PARTITIONS % LEAVES == 0


def run(contacts: int, *, simulator: bool) -> Seen:
    """Rebuild a list of which the log tells so many contacts."""
    with world(window={"max_contacts": 1000}) as w:
        w.broker.partitions = PARTITIONS
        for partition in range(PARTITIONS):
            w.broker.log[TopicPartition(TOPIC, partition)] = cast("list[Message]", Log(partition, contacts))
        hubspot = Simulated(w, contacts) if simulator else Bytes(w, contacts)
        ids = (str(number) for number in count(1))
        chance = random.Random(1).random  # noqa: S311 - jitter that repeats itself, not a secret
        metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS)
        outside = Outside(hubspot, Sink(), w.clock, metrics, chance, lambda: next(ids))
        replay = assemble_rebuild(for_replay(w.settings, {"c0"}), outside, w.registry)
        source = MemoryLog(w.broker, w.clock, dict.fromkeys(w.broker.log, 0), replay.loop)
        base = peak()
        began = time.thread_time()
        waiting = 0
        while replay.loop.state is not State.STOPPED:
            replay.turn(source)
            waiting = max(waiting, replay._delivery.pending)
        outcomes = replay.outcomes()
        return Seen(
            contacts=contacts,
            events=sum(map(len, w.broker.log.values())),
            added=outcomes[Outcome.ADDED],
            removed=outcomes[Outcome.REMOVED],
            unchanged=outcomes[Outcome.UNCHANGED],
            requests=hubspot.asked,
            most_waiting=waiting,
            seconds=time.thread_time() - began,
            base_mb=base,
            peak_mb=peak(),
            equal=all(hubspot.is_member(number) != _leaves(number) for number in range(contacts)),
        )


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=5_000_000)
    parser.add_argument("--simulator", action="store_true", help="the simulated HubSpot instead of a byte a contact")
    given = parser.parse_args()
    log.configure(sys.stderr, json=True, level="error", redactor=Redactor())
    sys.stdout.write(json.dumps(run(given.contacts, simulator=given.simulator)._asdict()) + "\n")
