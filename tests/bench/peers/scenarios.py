"""What the contenders are put through: a log to catch up with, and a storm of 429s while events come."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from confluent_kafka import KafkaException

from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.bench.events import FIRST_CONTACT, FIRST_LIST, PARTITIONS, Event, Topic, Writer, fill
from tests.bench.measure import Parts, Values
from tests.bench.peers.contenders import Start
from tests.bench.service import UNLIMITED, Bench, bench
from tests.bench.simulator import Simulated, statuses
from tests.bench.throughput import changing
from tests.bench.usage import Usage
from tests.real.processes import Process, until

TOO_MANY_REQUESTS = 429
_TICK = 0.1  # seconds between two writes to the log
_LOOK_EVERY = 0.25  # seconds
_STILL = 12.0  # seconds for which lists must stay right: who is answered 429 waits ten

Lists = Mapping[int, frozenset[int]]
"""The record ids on each list, by its number."""


@dataclass(slots=True)
class Plain:
    """A new group finds `events` written, of contacts in one list each; HubSpot takes all that comes."""

    lists: int
    contacts: int
    events: int
    within: float  # seconds
    _topics: dict[Parts, Topic] = field(default_factory=dict)

    def run(self, start: Start, parts: Parts) -> Values:
        """Let one contender catch up."""
        topic = self._topic(parts)
        with bench(parts, Simulated(self.lists, self.contacts), topic.name) as made:
            process = start(made, self.lists, UNLIMITED)
            _until_assigned(made, process)
            before, requests = Usage.of(process.pid), made.hubspot.requests
            figures = {"finished": float(_finished(made, process, self.events, self.within))}
            if figures["finished"]:
                after = Usage.of(process.pid)
                figures["events per second"] = self.events / (after.at - before.at)
                figures["CPU per event"] = (after.cpu - before.cpu) / self.events * 1e6
                figures["requests"] = made.hubspot.requests - requests
            figures["lists right"] = right(made, topic.members)
            return figures

    def _topic(self, parts: Parts) -> Topic:
        if parts not in self._topics:
            events = changing(self.events, self.contacts, self.lists)
            self._topics[parts] = fill(parts, f"peers-{uuid.uuid4().hex[:8]}", events, range(self.lists))
        return self._topics[parts]


@dataclass(frozen=True, slots=True)
class Storm:
    """Events come, and after `before` seconds HubSpot answers a `share` of what it would take with 429.

    It does so for `seconds`, then events end as well; its quota it enforces all the time. One more list is deleted when
    the storm begins. `within` so many seconds after it all lists must be right, and stay so.
    """

    lists: int
    contacts: int
    events: int
    quota: int
    before: float
    seconds: float
    share: float
    within: float

    def run(self, start: Start, parts: Parts) -> Values:
        """Let one contender go through it."""
        events = list(changing(self.events, self.contacts, self.lists + 1))
        first = round(len(events) * self.before / (self.before + self.seconds))
        topic = f"peers-{uuid.uuid4().hex[:8]}"
        writer = Writer(parts, topic)
        with bench(parts, Simulated(self.lists + 1, self.contacts, quota=self.quota), topic) as made:
            process = start(made, self.lists + 1, self.quota)
            _until_assigned(made, process)
            _write(writer, events[:first], self.before, process)
            before = made.hubspot.call(statuses)
            until_then = monotonic() + self.seconds
            storm = Fault("rate_limited", method="PUT", share=self.share, until=until_then)
            made.hubspot.call(partial(_begin, FIRST_LIST + self.lists, storm))
            _write(writer, events[first:], self.seconds, process)
            wanted = folded(events, self.lists)
            since = _right_since(made, wanted, process, monotonic() + self.within)
            after = made.hubspot.call(statuses)
            figures = {"lists right": right(made, wanted), "finished": float(since is not None)}
            if since is not None:
                figures["seconds after the storm"] = max(0.0, since - until_then)
            figures["requests"] = sum(after.values()) - sum(before.values())
            figures["answered 429"] = after.get(TOO_MANY_REQUESTS, 0) - before.get(TOO_MANY_REQUESTS, 0)
            return figures


def folded(events: Sequence[Event], lists: int) -> Lists:
    """Give the record ids that must be on each of the first lists at the end, by its number."""
    members: dict[int, set[int]] = {number: set() for number in range(lists)}
    for source, contact, leaves in events:
        if source in members:
            (members[source].discard if leaves else members[source].add)(FIRST_CONTACT + contact)
    return {number: frozenset(each) for number, each in members.items()}


def right(made: Bench, wanted: Lists) -> float:
    """Give the share of lists that have the members that they must have."""
    found = made.hubspot.call(_lists)
    return sum(found[FIRST_LIST + number] == members for number, members in wanted.items()) / len(wanted)


def _right_since(made: Bench, wanted: Lists, process: Process, deadline: float) -> float | None:
    """Wait until all lists are right, and have stayed so; give since when, None if they are not by the deadline.

    What is read again walks lists through their past, so once is not enough.
    """
    since: float | None = None
    while process.ended is None and (since is not None or monotonic() < deadline):
        if right(made, wanted) < 1:
            since = None
        elif since is None:
            since = monotonic()
        elif monotonic() > since + _STILL:
            return since
        process.wait(_LOOK_EVERY)
    return None


def _write(writer: Writer, events: Sequence[Event], seconds: float, process: Process) -> None:
    """Write events evenly over so many seconds."""
    ticks = round(seconds / _TICK)
    began = monotonic()
    for tick in range(ticks):
        writer.write(events[len(events) * tick // ticks : len(events) * (tick + 1) // ticks])
        process.wait(max(0.0, began + (tick + 1) * _TICK - monotonic()))
    writer.flush()


def _until_assigned(made: Bench, process: Process) -> None:
    def assigned() -> bool:
        try:
            members = made.world.kafka.members(made.world.group)
        except KafkaException:  # there is no such group yet
            return False
        return {number for its in members.values() for number in its} == set(range(PARTITIONS))

    until(assigned, process)


def _finished(made: Bench, process: Process, events: int, within: float) -> bool:
    """Wait until all is committed, or the contender has ended, or it is too late."""
    deadline = monotonic() + within
    until(
        lambda: made.committed() >= events or process.ended is not None or monotonic() > deadline,
        made.hubspot.process,
        within=2 * within,
    )
    return made.committed() >= events


def _begin(deleted: int, storm: Fault, portal: Portal) -> None:
    portal.accounts["acme"].lists[deleted].deleted_at = monotonic()
    portal.inject(storm)


def _lists(portal: Portal) -> dict[int, frozenset[int]]:
    return {list_id: each.members for list_id, each in portal.accounts["acme"].lists.items()}
