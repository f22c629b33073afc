"""Freshness: how long an event takes to the list."""

import uuid
from array import array
from statistics import median, quantiles
from threading import Event as Pause
from time import monotonic, time

from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.bench.events import FIRST_CONTACT, Event, Writer
from tests.bench.measure import Contender, Goal, Measure, Parts, Round, Values
from tests.bench.service import bench
from tests.bench.simulator import Simulated

LISTS = 10
PER_SECOND = 1_000  # events
BURST = 10  # events at once
WARM = 20  # seconds
SPAN = 40  # seconds
QUOTA = 110  # requests in ten seconds
WINDOW = 1.0  # seconds
ANSWER = 0.1  # seconds, at HubSpot
MARGIN = 0.1  # seconds

MEDIAN, LATE = "event to list, median", "event to list, p99"
TAKEN = "answer, median"


def answer_slowly(portal: Portal) -> None:
    """Let answers of lists take their time."""
    portal.inject(Fault("slow", seconds=ANSWER))


def fresh(parts: Parts) -> Values:
    """Let events come at a steady rate, and look up in the results when each was answered."""
    events = PER_SECOND * (WARM + SPAN)
    writer = Writer(parts, f"freshness-{uuid.uuid4().hex[:8]}")
    with bench(parts, Simulated(LISTS, events, quota=QUOTA), writer.topic) as made:
        made.hubspot.call(answer_slowly)
        settings = made.settings(LISTS, window={"max_age": f"{WINDOW * 1000:.0f}ms"})
        settings["accounts"]["acme"]["requests_per_10s"] = QUOTA
        service = made.start(settings)
        written_at = _write(writer, events)
        made.until_committed(events, service)
        results = made.world.kafka.read(made.world.results)
    took, answers = [], []
    for each in results:
        answered_at = each["answered_at"].timestamp()
        mine = [int(contact["record_id"]) - FIRST_CONTACT for contact in each["contacts"]]
        took += [answered_at - written_at[number] for number in mine if number >= WARM * PER_SECOND]
        answers.append(answered_at - each["sent_at"].timestamp())
    assert len(took) == SPAN * PER_SECOND
    return {
        MEDIAN: 1000 * median(took),
        LATE: 1000 * quantiles(took, n=100)[98],
        "event to list, longest": 1000 * max(took),
        TAKEN: 1000 * median(answers),
    }


def _write(writer: Writer, events: int) -> "array[float]":
    """Write events of one contact each, and give when each was written (seconds since 1970)."""
    written_at, began, pause = array("d"), monotonic(), Pause()
    for first in range(0, events, BURST):
        pause.wait(max(0.0, began + first / PER_SECOND - monotonic()))
        written_at.extend([time()] * BURST)
        writer.write(Event(number % LISTS, number) for number in range(first, first + BURST))
    writer.flush()
    return written_at


def _over(of: Round) -> float:
    (values,) = of.values()
    return values[LATE] - values[TAKEN] - 1000 * WINDOW


MEASURES = (
    Measure(
        "freshness-steady",
        "Freshness: from the event to the list",
        f"{PER_SECOND:,} events a second for {LISTS} lists, a window of {WINDOW:.0f} s, and a HubSpot (simulated, in a "
        f"process of its own) that answers after {1000 * ANSWER:.0f} ms and allows {QUOTA} requests in ten seconds. "
        "Each event is of another contact, so none is superseded in its window. Event to list is the time from where "
        "an event is handed to the producer to HubSpot's answer to the request that carries its contact, as the "
        f"results topic tells: of all events of {SPAN} s, after {WARM} s of the same. The answer is the time from "
        "sending to HubSpot's answer.",
        (Contender("the service", fresh),),
        {MEDIAN: "ms", LATE: "ms", "event to list, longest": "ms", TAKEN: "ms"},
        (Goal("p99 beyond window and answer, in ms", _over, at_most=1000 * MARGIN),),
        rounds=3,
    ),
)
