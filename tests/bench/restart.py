"""A rolling restart of three members under load: how long any partition stands still."""

import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from operator import lt
from signal import SIGTERM
from threading import Event as Flag
from time import monotonic, time

from consumer.simulator.faults import Fault
from tests.bench.events import FIRST_CONTACT, Event, Writer
from tests.bench.measure import Contender, Goal, Measure, Parts, Values
from tests.bench.service import Bench, bench
from tests.bench.simulator import Simulated
from tests.chaos.lag import Lag, Sample
from tests.real.processes import until
from tests.real.service import Service

PARTITIONS = 12
MEMBERS = 3
LISTS = 12
CONTACTS = 20_000
PER_SECOND = 1_000  # events
TICK = 0.02  # seconds between two writes
LATENCY = Fault("slow", 0.1, method="PUT")
SESSION = 45.0  # seconds: the default of `session.timeout.ms`, which nobody is to wait for who has left the group
STEADY = 60.0  # seconds of load that nothing disturbs
BETWEEN = 10.0  # seconds from when a member is ready until the next one is stopped
ENDS_WITHIN = 40.0  # seconds of a stop
WARM_WITHIN = 60.0
QUIET_WITHIN = 400.0  # seconds until all is committed; `hubspot.settle`, 120 s by default, is part of them


class Load:
    """Writes events at a steady rate until it is stopped, and knows who is in each source in the end."""

    def __init__(self, writer: Writer) -> None:
        self.members: defaultdict[int, set[int]] = defaultdict(set)
        self._writer = writer
        self._chance = random.Random(1)  # noqa: S311 - the same events in each run

    def write(self, over: Flag) -> None:
        """Write until it is over."""
        began = monotonic()
        while not over.wait(TICK):
            due = int((monotonic() - began) * PER_SECOND) - self._writer.written
            self._writer.write(self._events(due))
        self._writer.flush()

    def _events(self, number: int) -> Iterator[Event]:
        for _ in range(number):
            contact, leaves = self._chance.randrange(CONTACTS), self._chance.random() < 1 / 2
            source = contact % LISTS
            (self.members[source].discard if leaves else self.members[source].add)(FIRST_CONTACT + contact)
            yield Event(source, contact, leaves)


class Members:
    """The members of the group, each of which is replaced when it was stopped."""

    def __init__(self, made: Bench) -> None:
        self._made = made
        self._settings = made.settings(LISTS)
        self.services = [self.started() for _ in range(MEMBERS)]

    def started(self) -> Service:
        """Start one, and wait until it is ready."""
        service = self._made.start(self._settings)
        until(lambda: service.get("/readyz").is_success, service.process)
        return service

    def restart(self, number: int) -> tuple[float, float]:
        """Stop one and start it again; give the seconds of both."""
        process, began = self.services[number].process, monotonic()
        process.signal(SIGTERM)
        assert process.wait(ENDS_WITHIN) == 0, process.tail()
        stopped = monotonic()
        self.services[number] = self.started()
        return stopped - began, monotonic() - stopped

    def until(self, condition: Callable[[], object], within: float) -> None:
        """Wait until it is so; AssertionError if a member ends."""
        until(condition, *(each.process for each in self.services), within=within)

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        end = monotonic() + seconds
        self.until(lambda: monotonic() >= end, 2 * seconds)


def undisturbed(members: Members, _lag: Lag) -> Values:
    """Let them run."""
    members.go_on(STEADY)
    return {}


def rolling(members: Members, lag: Lag) -> Values:
    """Restart one after the other, and wait until each partition is committed again; give the slowest of each."""
    stops, starts = [], []
    for number in range(MEMBERS):
        stopped, started = members.restart(number)
        stops.append(stopped)
        starts.append(started)
        members.go_on(BETWEEN)
    before = lag.newest.committed
    members.until(lambda: all(map(lt, before, lag.newest.committed)), QUIET_WITHIN)
    return {"stop": max(stops), "start": max(starts)}


def under_load(disturb: Callable[[Members, Lag], Values], parts: Parts) -> Values:
    """Let three members run, disturb them, and hold every list to the log in the end."""
    writer = Writer(parts, f"restart-{uuid.uuid4().hex[:8]}", PARTITIONS)
    load = Load(writer)
    with bench(parts, Simulated(LISTS, CONTACTS), writer.topic, PARTITIONS) as made, ThreadPoolExecutor(2) as threads:
        world = made.world
        world.inject(LATENCY)
        members = Members(made)
        lag = Lag(world.broker.bootstrap, world.group, world.changes, world.folder / "diary", PARTITIONS)
        over, quiet = Flag(), Flag()
        writing, watching = threads.submit(load.write, over), threads.submit(lag.watch, quiet)
        try:
            members.until(lambda: all(lag.newest.committed), WARM_WITHIN)
            began, begins = monotonic(), time()
            seen = disturb(members, lag)
            ended, ends = monotonic(), time()
            over.set()
            writing.result()
            members.until(lambda: sum(lag.newest.committed) == writer.written, QUIET_WITHIN)
        finally:
            over.set()
            quiet.set()
        watching.result()
        for source, contacts in load.members.items():
            assert made.members(source) == contacts, f"list {source} is not right"
        assert not world.kafka.read(world.dead_letters)
        applied = [
            (contact["partition"], result["answered_at"].timestamp())
            for result in world.kafka.read(world.results)
            for contact in result["contacts"]
        ]
        return {
            "nothing applied": longest_pause(applied, begins, ends),
            "nothing committed": longest_standstill([each for each in lag.samples if began <= each.at <= ended]),
            "sent per event": len(applied) / writer.written,
            **seen,
        }


def longest_standstill(samples: Sequence[Sample]) -> float:
    """Give the longest time in which a partition's committed offset did not move although it had events."""
    longest = 0.0
    since = [samples[0].at] * len(samples[0].committed)
    for before, after in pairwise(samples):
        for number, committed in enumerate(after.committed):
            if committed > before.committed[number] or committed >= after.ends[number]:
                since[number] = after.at
            longest = max(longest, after.at - since[number])
    return longest


def longest_pause(applied: Iterable[tuple[int, float]], begin: float, end: float) -> float:
    """Give the longest time in which no change of a partition was applied; `applied` are partitions and times."""
    times: dict[int, set[float]] = {number: {begin, end} for number in range(PARTITIONS)}
    for partition, at in applied:
        if begin <= at <= end:
            times[partition].add(at)
    return max(after - before for its in times.values() for before, after in pairwise(sorted(its)))


MEASURES = (
    Measure(
        name="restart",
        title="Rolling restart under load",
        about=(
            "Three members, 12 partitions, 12 lists, 1,000 events a second of 20,000 contacts that enter and leave; a "
            "window of 1 s, HubSpot answers after 0.1 s, all else has its default (`session.timeout.ms`: 45 s, "
            "`hubspot.settle`: 120 s). One member after the other gets SIGTERM, is started again, and is ready for "
            "10 s before the next. Shown is the longest time, of all partitions, in which no change of one was "
            "applied, and in which its committed offset stood still: that is longer, because who takes over holds "
            "what the one before may have had on the wire for `hubspot.settle`. Beside it, a minute without restarts. "
            "In the end every list must be what the log says."
        ),
        contenders=(
            Contender("rolling restart", partial(under_load, rolling)),
            Contender("no restart", partial(under_load, undisturbed)),
        ),
        units={
            "nothing applied": "s",
            "nothing committed": "s",
            "sent per event": "contacts",
            "stop": "s",
            "start": "s",
        },
        goals=(
            Goal(
                "longest time without an applied change, over session.timeout.ms",
                lambda seen: seen["rolling restart"]["nothing applied"] / SESSION,
                at_most=0.5,
            ),
        ),
        rounds=2,
    ),
)
