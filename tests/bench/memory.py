"""What memory the service takes: for each contact that waits, with five million of them, and in an hour of traffic."""

import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from consumer.simulator.faults import Fault
from tests.bench.events import Event, fill
from tests.bench.measure import Contender, Goal, Measure, Parts, Round, Values
from tests.bench.plot import Axis, line
from tests.bench.service import bench
from tests.bench.simulator import Simulated
from tests.bench.usage import peak, resident
from tests.real.processes import run, until

CONTACTS = 5_000_000
PLOT = Path(__file__).with_name("memory.svg")
WARM, SPAN = 10, 10  # minutes
MILLION = 1e6
LISTS = 10  # of the process
MORE = 1.1  # as many contacts as may wait: reading pauses, and goes on later
READ_WITHIN = 600.0  # seconds

Run = Callable[[Parts], Values]


def pending(lists: int) -> Run:
    """Give the run with so many lists."""

    def once(_parts: Parts) -> Values:
        seen = _alone("pending", "--contacts", str(CONTACTS), "--lists", str(lists))
        return {
            "per contact": seen["per_contact"],
            "peak": seen["peak"],
            "longest turn": seen["longest_turn"],
        }

    return once


def process(parts: Parts) -> Values:
    """Let as many wait for a real process; AssertionError if anything is lost in the end."""
    events = (Event(number % LISTS, number) for number in range(round(CONTACTS * MORE)))
    topic = fill(parts, f"pending-{uuid.uuid4().hex[:8]}", events, sample=(0,))
    with bench(parts, Simulated(LISTS, topic.events), topic.name) as made:
        limits, window = {"max_pending_contacts": CONTACTS}, {"max_age": "1s", "max_contacts": 10_000}
        made.world.inject(Fault("unavailable", method="PUT"))
        service = made.start(made.settings(LISTS, limits=limits, window=window))

        def waiting(contacts: int) -> tuple[float, float]:
            until(lambda: service.total("pending_contacts") >= contacts, service.process, within=READ_WITHIN)
            return service.total("pending_contacts"), resident(service.process.pid)

        few, of_few = waiting(CONTACTS // 5)
        many, of_many = waiting(CONTACTS)
        made.world.heal()
        made.until_committed(topic.events, service)
        assert made.members(0) == topic.members[0]
        return {"per contact": (of_many - of_few) / (many - few) * MILLION, "peak": peak(service.process.pid)}


def hour(_parts: Parts) -> Values:
    """Run the hour, and draw it."""
    seen = _alone("hour")
    memory, blocks = seen["resident"], [value / MILLION for value in seen["blocks"]]
    axes = Axis("minutes of simulated traffic", len(memory), 10), Axis.for_values("MB resident", memory)
    title = f"Memory in an hour of {seen['events'] / MILLION:.1f} million events, 50 lists, 200,000 contacts"
    PLOT.write_text(line(title, *axes, [*enumerate(memory, 1)]))
    return {
        "resident, early": early(memory),
        "resident, late": late(memory),
        "blocks, early": early(blocks),
        "blocks, late": late(blocks),
        "peak": max(memory),
        **{f"answers {status}": float(seen["answers"].get(status, 0)) for status in ("429", "503")},
    }


def early(samples: list[float]) -> float:
    """Give the median right after the first minutes, in which everything is new."""
    return median(samples[WARM : WARM + SPAN])


def late(samples: list[float]) -> float:
    """Give the median of the last minutes."""
    return median(samples[-SPAN:])


def growth(what: str) -> Callable[[Round], float]:
    """Give the goal's value: how much more there is late than early."""

    def value(seen: Round) -> float:
        figures = seen["service"]
        return figures[f"{what}, late"] / figures[f"{what}, early"]

    return value


def _alone(module: str, *words: str) -> dict[str, Any]:
    """Run a module in a process of its own; give what it prints."""
    seen: dict[str, Any] = json.loads(run([sys.executable, "-m", f"tests.bench.{module}", *words]))
    return seen


MEASURES = (
    Measure(
        name="pending",
        title="Memory with 5 million contacts waiting",
        about=(
            "HubSpot is down while 5.5 million contacts enter; reading pauses at `max_pending_contacts: 5000000`, the "
            "outage goes on for ten minutes, then all is sent and committed. The real loop on a scripted clock, with "
            "events made as they are read: the process's resident memory is the loop's, without the buffers of "
            "librdkafka and of HTTP. A contact's bytes are the growth from 1 to 5 million, all in one process. A "
            "turn is of the loop, in CPU seconds."
        ),
        contenders=tuple(Contender(name, pending(lists)) for name, lists in (("one list", 1), ("200 lists", 200))),
        units={"per contact": "bytes", "peak": "MB", "longest turn": "s"},
        goals=(
            Goal(
                "bytes per contact that waits for one list", lambda seen: seen["one list"]["per contact"], at_most=150
            ),
            Goal("MB at the peak", lambda seen: max(each["peak"] for each in seen.values()), at_most=1000),
        ),
        rounds=2,
    ),
    Measure(
        name="pending-process",
        title="Memory of a process with 5 million contacts waiting",
        about=(
            "The same with a real process, broker and registry: ten lists, `max_contacts: 10000`. The buffers of "
            "librdkafka and of HTTP, and the results that are written, are in this."
        ),
        contenders=(Contender("service", process),),
        units={"per contact": "bytes", "peak": "MB"},
        goals=(Goal("MB at the peak", lambda seen: seen["service"]["peak"], at_most=1000),),
        rounds=1,
    ),
    Measure(
        name="hour",
        title="Memory in an hour of traffic",
        about=(
            "1,000 events a second for 50 lists and 200,000 contacts that enter and leave; some contacts do not "
            "exist; requests are answered 429, 503 or not at all; every five minutes a partition is taken away and "
            "given back. The real loop and client on a scripted clock; the simulated HubSpot is in the same process "
            "and counts, too. Resident memory hides what grows into room that was freed before, so the allocated "
            "blocks of Python (sys.getallocatedblocks) are looked at as well. Early is the median of the 10th to 20th "
            "minute, late that of the last ten."
        ),
        contenders=(Contender("service", hour),),
        units={
            "resident, early": "MB",
            "resident, late": "MB",
            "blocks, early": "million",
            "blocks, late": "million",
            "peak": "MB",
            "answers 429": "requests",
            "answers 503": "requests",
        },
        goals=(
            Goal("resident memory, late over early", growth("resident"), at_most=1.05),
            Goal("allocated blocks, late over early", growth("blocks"), at_most=1.05),
        ),
        rounds=2,
    ),
)
