"""What more lists cost: of an event, and of an event on each list that takes it."""

import uuid
from collections.abc import Iterator
from functools import cache, partial
from threading import Event as Pause
from time import monotonic

from tests.bench.events import FIRST_CONTACT, Event, Topic, Writer, fill
from tests.bench.measure import Contender, Goal, Measure, Parts, Round, Values
from tests.bench.service import EVENT, bench, catch_up
from tests.bench.simulator import Simulated

SIZES = (10, 1_000, 10_000)  # lists
EACH = 200  # contacts in a request
PER_SECOND = 10_000  # events
VISITS = 1_000  # of lists, one after the other
SPREAD = 1.2  # of the dearest size to the cheapest

CONNECTORS = (1, 10, 100)
CONTACTS = 5_000
CHANGES = 40  # of each contact

EVENT_AND_LIST = "CPU per event and list"


def steady(lists: int, parts: Parts) -> Values:
    """Visit list after list at a steady rate: each time so many new contacts enter it that its window is full."""
    writer = Writer(parts, f"growth-{lists}-{uuid.uuid4().hex[:8]}")
    writer.write(Event(each, each) for each in range(lists))
    writer.flush()
    with bench(parts, Simulated(lists, lists + VISITS * EACH), writer.topic) as made:
        service = made.start(made.settings(lists, window={"max_age": "2s", "max_contacts": EACH}))
        made.until_committed(writer.written, service)
        with made.taking(service) as taking:
            _visit(writer, lists)
            made.until_committed(writer.written, service)
        visited = frozenset(
            FIRST_CONTACT + each for number in range(0, VISITS, lists) for each in _visitors(number, lists)
        )
        assert made.members(0) == visited | {FIRST_CONTACT}
    events = VISITS * EACH
    took = taking.took.figures(events)
    return {EVENT: took[EVENT], "requests": took["requests"], "contacts per request": events / took["requests"]}


def _visit(writer: Writer, lists: int) -> None:
    began, pause = monotonic(), Pause()
    for number in range(VISITS):
        writer.write(Event(number % lists, each) for each in _visitors(number, lists))
        pause.wait(max(0.0, began + (number + 1) * EACH / PER_SECOND - monotonic()))
    writer.flush()


def _visitors(number: int, lists: int) -> range:
    """Give the contacts of a visit: those before them entered at the start, one in each list."""
    return range(lists + number * EACH, lists + (number + 1) * EACH)


@cache
def _one_source(parts: Parts) -> Topic:
    return fill(parts, f"growth-connectors-{uuid.uuid4().hex[:8]}", _changes(), {0})


def _changes() -> Iterator[Event]:
    """Give changes of all contacts, who enter and leave in turn and are in at the end."""
    for change in range(CHANGES):
        yield from (Event(0, contact, change % 2 == 0) for contact in range(CONTACTS))


def fan_out(connectors: int, parts: Parts) -> Values:
    """Let so many connectors catch up with one source."""
    topic = _one_source(parts)
    took = catch_up(parts, topic, Simulated(connectors, CONTACTS), source=0).figures(topic.events)
    return {EVENT_AND_LIST: took[EVENT] / connectors, EVENT: took[EVENT], "requests": took["requests"]}


def _spread(of: Round) -> float:
    seen = [values[EVENT] for values in of.values()]
    return max(seen) / min(seen)


def _ratio(of: Round) -> float:
    least, *_, most = of.values()
    return most[EVENT_AND_LIST] / least[EVENT_AND_LIST]


MEASURES = (
    Measure(
        "growth-lists",
        "Cost growth: more lists",
        f"After each list was looked at and got its first contact, events come at {PER_SECOND:,} a second: {EACH} "
        f"contacts enter one list, which fills its window, then {EACH} others the next list, and so on, {VISITS:,} "
        "times. So events, requests, contacts in a request and the time it all takes are the same for each number of "
        "lists, but for some more requests of ten lists where the machine was held up. CPU is that of the service's "
        "process from the first of these events until all are committed, turns of the loop without an event included. "
        "What a list costs once, at the start, is not counted: a look, and its first request.",
        tuple(Contender(f"{each:,} lists", partial(steady, each)) for each in SIZES),
        {EVENT: "µs", "requests": "", "contacts per request": ""},
        (Goal("CPU per event, the dearest to the cheapest", _spread, at_most=SPREAD),),
        rounds=3,
    ),
    Measure(
        "growth-connectors",
        "Cost growth: more connectors on one source",
        f"{CONTACTS:,} contacts enter and leave one audience, {CONTACTS * CHANGES:,} events in all, and each event "
        "goes to 1, 10 or 100 lists. A new group finds them all written. CPU is that of the service's process from "
        "where it has started until everything is committed, by event, and by the lists that each of them went to.",
        tuple(Contender(f"{each} connector{'s'[: each > 1]}", partial(fan_out, each)) for each in CONNECTORS),
        {EVENT_AND_LIST: "µs", EVENT: "µs", "requests": ""},
        (Goal("CPU per event and list, 100 connectors to 1", _ratio, at_most=1.0),),
        rounds=3,
    ),
)
