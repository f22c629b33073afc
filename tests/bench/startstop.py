"""How long a start takes until the first change is applied, and a stop with a million contacts waiting."""

import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from resource import RUSAGE_CHILDREN, getrusage
from signal import SIGTERM
from typing import Any

from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.bench.events import Event, Topic, Writer, fill
from tests.bench.measure import Contender, Goal, Measure, Parts, Round, Values
from tests.bench.service import Bench, bench
from tests.bench.simulator import Simulated
from tests.bench.usage import Usage, peak
from tests.real.processes import run, until
from tests.real.service import Service

LISTS = 10
WAITING = 1_000_000  # contacts
READ_WITHIN = 300.0  # seconds until all of them wait
GIVEN_UP_AFTER = 120.0  # seconds of a stop
SHUTDOWN = 25.0  # seconds: the default of `shutdown.timeout`
GRACE = 30.0  # seconds: Kubernetes' default
WINDOW = "100ms"
SETTLE = "5s"  # who takes over commits nothing before that, and is waited for here


def start(parts: Parts, *, known: bool) -> Values:
    """Start the service with one event waiting, in a group that is `known` or new; give what `_start_once` does."""
    writer = Writer(parts, _name("start"))
    with bench(parts, Simulated(1, 1, keep_log=True), writer.topic) as made:
        seen = _start_once(made, writer)
        return _start_once(made, writer) if known else seen


def _start_once(made: Bench, writer: Writer) -> Values:
    """Write one event, start, and stop when it is committed; seconds are from right before the process is made."""
    writer.write([Event(0, 0, leaves=writer.written % 2 > 0)])
    writer.flush()
    settings = made.settings(1, window={"max_age": WINDOW}, hubspot={"settle": "1s"})
    began = time.time()
    service = made.world.start_exactly(settings)
    until(lambda: len(made.hubspot.call(_applied)) == writer.written, service.process, made.hubspot.process)
    cpu = Usage.of(service.process.pid).cpu
    applied_at = made.hubspot.call(_applied)[-1] + time.time() - time.monotonic()
    made.until_committed(writer.written, service)
    service.process.stop(GRACE)
    return {
        "started": _told_at(service, "started") - began,
        "partitions assigned": _told_at(service, "partitions assigned") - began,
        "first change applied": applied_at - began,
        "CPU": cpu,
    }


def imports(_parts: Parts) -> Values:
    """Import what the service is made of, and nothing else."""
    began, before = time.monotonic(), getrusage(RUSAGE_CHILDREN)
    run([sys.executable, "-c", "import consumer.app"])
    took, after = time.monotonic() - began, getrusage(RUSAGE_CHILDREN)
    return {"started": took, "CPU": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def stop(fault: Fault, parts: Parts) -> Values:
    """Stop a service for which a million contacts wait; AssertionError if the next one does not find all of them."""
    topic = _million(parts)
    with bench(parts, Simulated(LISTS, WAITING), topic.name) as made:
        sections: dict[str, dict[str, Any]] = {
            "window": {"max_age": "1s", "max_contacts": 10_000},
            "limits": {"max_pending_contacts": 2 * WAITING},
            "hubspot": {"settle": SETTLE},
            "shutdown": {"timeout": f"{SHUTDOWN:.0f}s"},
        }
        settings = made.settings(LISTS, **sections)
        made.world.inject(fault)
        service = made.start(settings)
        until(lambda: service.total("pending_contacts") >= WAITING, service.process, within=READ_WITHIN)
        most = peak(service.process.pid)
        began = time.monotonic()
        service.process.signal(SIGTERM)
        code = service.process.wait(GIVEN_UP_AFTER)
        took = time.monotonic() - began
        assert code == 0, service.process.tail()
        made.world.heal()
        began = time.monotonic()
        made.until_committed(topic.events, made.start(settings))
        for number, members in topic.members.items():
            assert made.members(number) == members, f"list {number} is not right"
        return {"stopped": took, "all applied by the next": time.monotonic() - began, "peak memory": most}


def _applied(portal: Portal) -> list[float]:
    """Give when each change was applied, on the monotonic clock."""
    return [each.applied_at for each in portal.log if each.method == "PUT" and each.applied_at is not None]


def _told_at(service: Service, event: str) -> float:
    """Give when a record was written into the service's log, in seconds since 1970."""
    return datetime.fromisoformat(service.until_said(event)["timestamp"]).timestamp()


@cache
def _million(parts: Parts) -> Topic:
    events = (Event(number % LISTS, number) for number in range(WAITING))
    return fill(parts, _name("stop"), events, range(LISTS))


def _name(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex[:8]}"


def _longest(seconds: float) -> Callable[[Round], float]:
    return lambda seen: max(each["stopped"] for each in seen.values()) / seconds


MEASURES = (
    Measure(
        name="start",
        title="Cold start",
        about=(
            "One event waits; the window is 100 ms. Seconds are from right before the process is made: until it says "
            "that it has started, which are its imports, until the group has given it its partitions, and until "
            "HubSpot has applied the change. A new group takes longer: librdkafka first finds that nothing is "
            "committed. The broker lets the group begin at once (`group.initial.rebalance.delay.ms` is 0; by default "
            "a group without members waits for 3 s). Beside it, Python with the same imports alone."
        ),
        contenders=(
            Contender("group that has committed", partial(start, known=True)),
            Contender("new group", partial(start, known=False)),
            Contender("import consumer.app", imports),
        ),
        units={"started": "s", "partitions assigned": "s", "first change applied": "s", "CPU": "s"},
    ),
    Measure(
        name="stop",
        title="Stop with a million contacts waiting",
        about=(
            "A million contacts for ten lists wait (`max_contacts: 10000`) when SIGTERM comes: because HubSpot answers "
            "503, or because it answers after 20 s. `shutdown.timeout` has its default of 25 s, and Kubernetes kills "
            "after 30 s. Seconds are until the process has ended with 0. Then HubSpot is well again, and a new process "
            "of the same group must bring all lists right; it waits for `hubspot.settle` (5 s here) before it commits."
        ),
        contenders=(
            Contender("HubSpot answers 503", partial(stop, Fault("unavailable", method="PUT"))),
            Contender("HubSpot answers after 20 s", partial(stop, Fault("slow", 20.0, method="PUT"))),
        ),
        units={"stopped": "s", "all applied by the next": "s", "peak memory": "MB"},
        goals=(
            Goal("seconds to the end", _longest(1.0), at_most=GRACE),
            Goal("seconds to the end over shutdown.timeout", _longest(SHUTDOWN), at_most=1.2),
        ),
        rounds=2,
    ),
)
