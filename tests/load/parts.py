"""What load tests stand on: events made as they are read, a HubSpot of one byte a contact, a process's memory."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, MutableSequence, Sequence
from itertools import count
from pathlib import Path
from typing import cast

from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from consumer import avro
from consumer.app import assemble
from consumer.changes import TopicPartition
from consumer.hubspot import answers
from consumer.metrics import Metrics
from consumer.outcomes import DEAD_LETTER_REASONS, Answer, Applied, Details, ListFacts, Request, Verdict
from consumer.permit import Permit
from consumer.ports import Outside, Workers
from tests.fakes.clock import ScriptedClock
from tests.fakes.kafka import TOPIC, MemorySink, MemorySource
from tests.fakes.service import SCHEMA_ID, World

FIRST_ID = 50_000_000_000  # record ids have eleven digits by now
BLANK = b"@" * len(str(FIRST_ID))
MB = 1024.0  # kB


def template(source: int, leaves: int) -> bytes:
    """Give the value of an event, with BLANK in the place of its record id: the contact leaves, or else it enters."""
    event = {
        "event_id": "00000000-0000-0000-0000-000000000001",
        "source_type": "AUDIENCE",
        "source_id": str(source),
        "profile_id": BLANK.decode(),
        "transition": ("ENTER", "EXIT")[leaves],
        "occurred_at": 1_780_000_000_000,
        "identifiers": {"2006": BLANK.decode()},
    }
    return avro.frame(SCHEMA_ID, avro.encode(avro.CHANGE_SCHEMA, event))


class Made(ABC):
    """One partition, whose events are made as they are read: at an offset there is always the same one."""

    def __init__(self, clock: ScriptedClock, partition: int) -> None:
        self._clock = clock
        self._partition = partition

    @abstractmethod
    def __len__(self) -> int:
        """Give how many events there are by now."""

    @abstractmethod
    def event(self, offset: int) -> tuple[int, bytes]:
        """Give the contact, counted from 0, and the event's template."""

    def __getitem__(self, part: slice) -> list[Message]:
        return [self._message(offset) for offset in range(*part.indices(len(self)))]

    def _message(self, offset: int) -> Message:
        contact, value = self.event(offset)
        key = b"%d" % (FIRST_ID + contact)
        return Message(
            topic=TOPIC,
            partition=self._partition,
            offset=offset,
            key=key,
            value=value.replace(BLANK, key),
            headers=[],
            timestamp=(1, round(self._clock.time() * 1000)),
        )


def put(w: World, logs: Sequence[Made]) -> None:
    """Let the topic have these partitions."""
    w.broker.partitions = len(logs)
    for partition, each in enumerate(logs):
        w.broker.log[TopicPartition(TOPIC, partition)] = cast("MutableSequence[Message]", each)  # nobody writes to it


class Watched:
    """The service, turned by hand and looked at after each turn. It has all partitions."""

    def __init__(self, w: World, workers: Workers) -> None:
        self.clock = w.clock
        self.metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS)
        ids = (str(number) for number in count(1))
        chance = random.Random(1).random  # noqa: S311 - jitter that repeats itself, not a secret
        outside = Outside(workers, Sink(), w.clock, self.metrics, chance, lambda: next(ids))
        self.loop = assemble(w.settings, outside, w.registry)
        self.source = MemorySource(w.broker, w.clock, self.loop)
        self.source.slack = 0.5
        self.source.assign(*range(w.broker.partitions))
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
        return self.source.paused == self.source.owned and self.pending > 0

    def turn_until(self, done: Callable[[], bool]) -> None:
        """Turn the loop, each time with a poll, until something is so."""
        while not done():
            began, cpu = self.clock.monotonic(), time.thread_time()
            self.loop.turn(self.source)
            self.longest_turn = max(self.longest_turn, time.thread_time() - cpu)
            self.longest_between_polls = max(self.longest_between_polls, self.clock.monotonic() - began)
            self.most_pending = max(self.most_pending, self.pending)

    def turn_for(self, seconds: float) -> None:
        """Turn the loop until so much time has passed."""
        end = self.clock.monotonic() + seconds
        self.turn_until(lambda: self.clock.monotonic() >= end)


class HubSpot:
    """Workers that talk to nobody: while `down`, two of three requests are answered 503 and the third is not."""

    def __init__(self, clock: ScriptedClock, contacts: int, *, down: bool = False) -> None:
        self._clock = clock
        self._answers: list[tuple[float, Answer]] = []
        self.asked = 0
        self.members = bytearray(contacts)
        self.down = down

    def submit(self, request: Request, permit: Permit) -> None:
        """Decide on a request at once; its answer comes when its time has passed."""
        assert permit.start(), "a request was sent that must not leave"
        self.asked += 1
        verdict: Verdict
        if not self.down:
            seconds, verdict = 0.5, self._apply(request)
        elif self.asked % 3:
            seconds, verdict = 0.2, answers.refusal(503, {}, b"")
        else:
            seconds, verdict = 30.0, answers.no_answer("timeout", sent=True, message="no answer in time")
        facts = ListFacts(request.connector) if request.look and not self.down else None
        sent_at = self._clock.time()
        status = "timeout" if verdict.details.status is None else str(verdict.details.status)
        answer = Answer(request, verdict, sent_at, sent_at + seconds, facts, (status,))
        self._answers.append((self._clock.monotonic() + seconds, answer))

    def take(self, wait: float = 0.0) -> list[Answer]:
        """Give the answers whose time has come."""
        now = self._clock.monotonic() + wait
        ready = [answer for at, answer in self._answers if at <= now]
        self._answers = [each for each in self._answers if each[0] > now]
        return ready

    def refresh_due(self, account: str) -> bool:
        """Tokens live for ever."""
        del account
        return False

    def hub_id(self, account: str) -> int | None:
        """Tell nothing of the portal."""
        del account
        return None

    def _apply(self, request: Request) -> Applied:
        for contact in request.adds:
            self.members[contact - FIRST_ID] = 1
        for contact in request.removes:
            self.members[contact - FIRST_ID] = 0
        return Applied(Details(status=200), frozenset(request.adds), frozenset(request.removes))


class Sink(MemorySink):
    """Keeps no record that is acknowledged."""

    def serve(self) -> None:
        """Acknowledge, and forget."""
        super().serve()
        self.results.clear()
        self.dead_letters.clear()


def cpu(work: Callable[[], object]) -> float:
    """Give the seconds of CPU that this thread took."""
    before = time.thread_time()
    work()
    return time.thread_time() - before


def peak() -> float:
    """Give the most memory that this process ever had resident, in MB; getrusage would count the parent's as well."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / MB
