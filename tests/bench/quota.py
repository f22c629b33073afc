"""The quota used to the full: by one process, and by two that know nothing of each other."""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count, islice, pairwise
from statistics import mean
from threading import Event as Ended
from time import monotonic
from typing import NamedTuple

from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.bench.events import FIRST_LIST, Event, Writer
from tests.bench.measure import Contender, Goal, Measure, Parts, Round, Values
from tests.bench.service import Bench, bench
from tests.bench.simulator import Simulated
from tests.real.processes import until
from tests.real.service import Service

LISTS = 500
CONTACTS = 200  # of each list: they enter one after the other, then leave, and so on
QUOTA = 110  # requests in ten seconds
PER_SECOND = LISTS  # events: one for each list
SPAN = 95.0  # seconds: two turns of every list, at 11 requests a second
WARM = 300.0  # seconds in which every list must have had its first turn
ANSWERS = (0.05, 0.075, 0.1, 0.125, 0.15)  # seconds, each as often

USED = "used"
REFUSED = "answered 429"
LONGEST = "longest wait to mean wait"


class Answered(NamedTuple):
    """A request that HubSpot saw: when, by the monotonic clock, its status, and which list it changed, if any."""

    at: float
    status: int | None
    changed: int | None


def answer_slowly(portal: Portal) -> None:
    """Let answers of lists take their time."""
    for place, seconds in enumerate(ANSWERS):
        portal.inject(Fault("slow", seconds=seconds, share=1 / (len(ANSWERS) - place)))


def answered(portal: Portal) -> list[Answered]:
    """Give all requests so far."""
    return [Answered(each.at, each.status, None if each.applied_at is None else each.list_id) for each in portal.log]


def had_a_turn(portal: Portal) -> int:
    """Count the lists that have anybody on them."""
    return sum(bool(each.joined) for each in portal.accounts["acme"].lists.values())


def share(processes: int, parts: Parts) -> Values:
    """Let processes be busy for a while, each with its part of the lists, and all of the quota as it thinks."""
    writer = Writer(parts, f"quota-{uuid.uuid4().hex[:8]}")
    simulated = Simulated(LISTS, CONTACTS, quota=QUOTA, keep_log=True)
    with bench(parts, simulated, writer.topic) as made, _busy(writer):
        made.hubspot.call(answer_slowly)
        services = [_start(made, number, processes) for number in range(processes)]
        running = [made.hubspot.process, *(each.process for each in services)]
        until(lambda: made.hubspot.call(had_a_turn) == LISTS, *running, within=WARM)
        began = monotonic()
        until(lambda: monotonic() >= began + SPAN, *running, within=SPAN + 1)
        seen = [each for each in made.hubspot.call(answered) if began <= each.at < began + SPAN]
        assert not sum(each.total("dead_letters_total") for each in services)
    refused = sum(each.status == 429 for each in seen)
    waits, longest = _waits(seen, began, began + SPAN)
    return {
        USED: 100 * (len(seen) - refused) / (QUOTA / 10 * SPAN),
        REFUSED: 100 * refused / len(seen),
        LONGEST: longest / mean(waits),
        "mean wait": mean(waits),
        "longest wait": longest,
    }


def _start(made: Bench, number: int, processes: int) -> Service:
    """Start one of the processes, a deployment of its own: every so manyth list, and a group of its own."""
    settings = made.settings(LISTS, window={"max_age": "1s"})
    settings["kafka"]["group.id"] += f"-{number}"
    settings["accounts"]["acme"]["requests_per_10s"] = QUOTA
    settings["connectors"] = dict(islice(settings["connectors"].items(), number, None, processes))
    return made.start(settings)


@contextmanager
def _busy(writer: Writer) -> Iterator[None]:
    """Let every list have something waiting, always: events come until the context ends."""
    ended = Ended()

    def write() -> None:
        began = monotonic()
        for turn in count():
            leaves = turn // CONTACTS % 2 == 1
            writer.write(Event(source, turn % CONTACTS, leaves) for source in range(LISTS))
            if ended.wait(max(0.0, began + (turn + 1) * LISTS / PER_SECOND - monotonic())):
                break
        writer.flush()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            yield
        finally:
            ended.set()
        writing.result()


def _waits(seen: Sequence[Answered], began: float, ended: float) -> tuple[list[float], float]:
    """Give the seconds from each change of a list to its next; and the longest time that a list was not changed.

    The latter includes what lies before a list's first change in the span and after its last.
    """
    times: dict[int, list[float]] = {FIRST_LIST + number: [] for number in range(LISTS)}
    for each in seen:
        if each.changed is not None:
            times[each.changed].append(each.at)
    waits = [later - earlier for its in times.values() for earlier, later in pairwise(its)]
    longest = max(later - earlier for its in times.values() for earlier, later in pairwise((began, *its, ended)))
    return waits, longest


def _seen(contender: str, name: str, of: Round) -> float:
    return of[contender][name]


_ONE, _TWO = "one process", "two processes"

MEASURES = (
    Measure(
        "quota-full",
        "The quota used to the full",
        f"{LISTS} lists of one account always have changes waiting, and HubSpot allows {QUOTA} requests in any ten "
        f"seconds, answered in {1000 * min(ANSWERS):.0f} to {1000 * max(ANSWERS):.0f} ms. One process has all of the "
        f"lists; or two deployments, which know nothing of each other, have half of them each and {QUOTA} requests in "
        "ten seconds configured, both of them. Counted at HubSpot (simulated, in a process of its own), for "
        f"{SPAN:.0f} s from where every list has had its first turn: requests that were let through, of "
        f"{QUOTA / 10:.0f} for each second; and those answered 429, of all. A wait is the time from one change of a "
        "list to its next; the longest is that of any list, the beginning and the end of the span included.",
        (Contender(_ONE, partial(share, 1)), Contender(_TWO, partial(share, 2))),
        {USED: "%", REFUSED: "%", LONGEST: "", "mean wait": "s", "longest wait": "s"},
        (
            Goal("one process: used, in %", partial(_seen, _ONE, USED), at_least=97.0),
            Goal("one process: answered 429, in %", partial(_seen, _ONE, REFUSED), at_most=0.5),
            Goal("one process: longest wait of a list to the mean", partial(_seen, _ONE, LONGEST), at_most=2.0),
            Goal("two processes: used, in %", partial(_seen, _TWO, USED), at_least=90.0),
            Goal("two processes: answered 429, in %", partial(_seen, _TWO, REFUSED), at_most=5.0),
        ),
        rounds=2,
    ),
)
