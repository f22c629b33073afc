"""What memory the service takes: for each contact that waits, with five million of them, and in an hour of traffic."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.measure import Contender, Goal, Measure, Parts, Round, Values
from tests.bench.plot import Axis, line
from tests.real.processes import run

CONTACTS = 5_000_000
PLOT = Path(__file__).with_name("memory.svg")
WARM, SPAN = 10, 10  # minutes
MB = 1e6  # bytes
MILLION = 1e6

Run = Callable[[Parts], Values]


def pending(lists: int) -> Run:
    """Give the run with so many lists."""

    def once(_parts: Parts) -> Values:
        seen = _alone("pending", "--contacts", str(CONTACTS), "--lists", str(lists))
        return {
            "per contact": seen["per_contact"],
            "peak": seen["peak"] / MB,
            "longest turn": seen["longest_turn"],
        }

    return once


def hour(_parts: Parts) -> Values:
    """Run the hour, and draw it."""
    seen = _alone("hour")
    resident, blocks = ([value / MB for value in seen[name]] for name in ("resident", "blocks"))
    axes = Axis("minutes of simulated traffic", len(resident), 10), Axis.for_values("MB resident", resident)
    title = f"Memory in an hour of {seen['events'] / MILLION:.1f} million events, 50 lists, 200,000 contacts"
    PLOT.write_text(line(title, *axes, [*enumerate(resident, 1)]))
    return {
        "resident, 10th to 20th minute": early(resident),
        "resident, last 10 minutes": late(resident),
        "blocks, 10th to 20th minute": early(blocks),
        "blocks, last 10 minutes": late(blocks),
        "peak": max(resident),
        **{f"answers {status}": float(seen["answers"].get(status, 0)) for status in ("429", "503")},
    }


def early(samples: list[float]) -> float:
    """Give the median right after the first minutes, in which everything is new."""
    return median(samples[WARM : WARM + SPAN])


def late(samples: list[float]) -> float:
    """Give the median of the last minutes."""
    return median(samples[-SPAN:])


def growth(what: str) -> Callable[[Round], float]:
    """Give the goal's value: the last ten minutes to the 10th to 20th."""

    def value(seen: Round) -> float:
        figures = seen["service"]
        return figures[f"{what}, last 10 minutes"] / figures[f"{what}, 10th to 20th minute"]

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
        name="hour",
        title="Memory in an hour of traffic",
        about=(
            "1,000 events a second for 50 lists and 200,000 contacts that enter and leave; some contacts do not "
            "exist; requests are answered 429, 503 or not at all; every five minutes a partition is taken away and "
            "given back. The real loop and client on a scripted clock; the simulated HubSpot is in the same process "
            "and counts, too. Resident memory hides what grows into room that was freed before, so the allocated "
            "blocks of Python (sys.getallocatedblocks) are looked at as well."
        ),
        contenders=(Contender("service", hour),),
        units={
            "resident, 10th to 20th minute": "MB",
            "resident, last 10 minutes": "MB",
            "blocks, 10th to 20th minute": "million",
            "blocks, last 10 minutes": "million",
            "peak": "MB",
            "answers 429": "requests",
            "answers 503": "requests",
        },
        goals=(
            Goal("resident memory: last ten minutes to 10th to 20th", growth("resident"), at_most=1.05),
            Goal("allocated blocks: last ten minutes to 10th to 20th", growth("blocks"), at_most=1.05),
        ),
        rounds=2,
    ),
)
