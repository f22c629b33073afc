"""What work costs, in counts that must not grow: calls and requests, which are the same on every machine."""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from prometheus_client import CollectorRegistry

from consumer.app import assemble
from consumer.delivery import MOST_PUBLISHED
from consumer.loop import Loop
from consumer.metrics import Metrics
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.ports import Outside
from tests.fakes.kafka import MemorySource
from tests.fakes.service import World, world
from tests.load.parts import BLANK, FIRST_ID, HubSpot, Sink, template

EVENTS = 10_000
CONTACTS = 2_000
LISTS = 50
CALLS = 12.5  # of Python functions for an event on its whole way, HTTP and Kafka apart; 11.7 were seen
IDLE_CALLS = 100  # in a turn without anything to do; 94 were seen


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Count the calls of Python functions, by name."""
    calls: Counter[str] = Counter()

    def note(frame: object, event: str, _argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1  # type: ignore[attr-defined]  # frames have it

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def _service(w: World) -> tuple[Loop, MemorySource, HubSpot]:
    """Give a loop that has all partitions, and the HubSpot that it talks to."""
    hubspot, ids = HubSpot(w.clock, CONTACTS), count(1)
    metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS)
    chance = random.Random(1).random  # noqa: S311 - jitter that repeats itself, not a secret
    loop = assemble(w.settings, Outside(hubspot, Sink(), w.clock, metrics, chance, lambda: str(next(ids))), w.registry)
    source = MemorySource(w.broker, w.clock, loop)
    source.slack = 0.5
    source.assign(*range(w.broker.partitions))
    return loop, source, hubspot


def test_events_cost_few_calls_and_requests() -> None:
    """Each event is decoded once, by its schema's own decoder; a list needs one look and one request for a backlog."""
    chance = random.Random(2)  # noqa: S311 - the same events in every run
    with world(LISTS) as w:
        for _ in range(EVENTS):
            contact = chance.randrange(CONTACTS)
            key = str(FIRST_ID + contact)
            value = template(contact % LISTS, chance.randrange(2)).replace(BLANK, key.encode())
            w.tell_raw(value, contact % w.broker.partitions, key)
        loop, source, hubspot = _service(w)
        with _counted() as calls:
            while not w.all_committed():
                loop.turn(source)
    assert hubspot.asked == 2 * LISTS
    assert calls["decoder"] == EVENTS
    assert calls["decode_record"] == 0
    assert calls.total() / EVENTS <= CALLS


def _idle_calls(lists: int) -> int:
    """Count the calls of ten turns in which nothing happens."""
    with world(lists, accounts={"acme": {"requests_per_10s": 100_000}}) as w:
        loop, source, hubspot = _service(w)
        while hubspot.asked < lists:
            loop.turn(source)
        for _ in range(100):
            loop.turn(source)
        with _counted() as calls:
            for _ in range(10):
                loop.turn(source)
    return calls.total()


def test_what_is_due_is_chosen_without_a_look_at_all_lists() -> None:
    """A turn without anything to do costs the same with ten lists as with a thousand."""
    few, many = _idle_calls(10), _idle_calls(1_000)
    assert many == few
    assert few / 10 <= IDLE_CALLS


def test_every_list_is_told_of_however_many_change() -> None:
    """People see a thousand lists brought up to date in a second, and the others in the next."""
    lists = MOST_PUBLISHED + 500
    with world(lists, accounts={"acme": {"requests_per_10s": 100_000}}) as w:
        loop, source, hubspot = _service(w)
        while hubspot.asked < lists:
            loop.turn(source)
        for _ in range(100):
            loop.turn(source)
        source.most_messages = lists
        for number in range(lists):
            w.tell_raw(template(number, 0).replace(BLANK, str(FIRST_ID).encode()), 0, str(FIRST_ID))
        waiting: set[int] = set()
        while loop._delivery.pending < lists or not waiting:
            loop.turn(source)
            waiting.add(sum(each.waiting for each in loop.status().lists))
        for _ in range(4):  # turns of half a second each
            loop.turn(source)
            waiting.add(sum(each.waiting for each in loop.status().lists))
    assert {MOST_PUBLISHED, lists} <= waiting
