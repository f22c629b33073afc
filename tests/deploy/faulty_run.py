"""A run of two replicas in which a good deal goes wrong, with a Prometheus that looks on."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Pause
from typing import Any

from consumer.simulator.accounts import ContactList
from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.deploy.prometheus import Prometheus
from tests.real.kafka import Event, record
from tests.real.processes import PATIENCE, free_port, until
from tests.real.service import CHURN, VIP, Service, World

EVERYBODY = 4713  # an active list, which HubSpot fills by itself: it needs attention from the start
REPLICAS = 2
PARTITIONS = 4

_ABSENT = 2_000_000  # no contact of the account
_TICK = 0.1  # seconds between two writes
_EVENTS = 20  # in each
_SLOW = Fault("slow", 0.15, method="PUT")
_CONNECTORS = {
    "vip": {"account": "acme", "list_id": VIP, "source": "audience:vip"},
    "churn": {"account": "acme", "list_id": CHURN, "source": "audience:churn"},
    "everybody": {"account": "acme", "list_id": EVERYBODY, "source": "audience:everybody"},
}


@dataclass(frozen=True)
class Seen:
    """What Prometheus has seen from `start` to `end` (Unix seconds)."""

    prometheus: Prometheus
    start: float
    end: float

    @property
    def variables(self) -> dict[str, str]:
        """What Grafana puts in place of the dashboard's variables, with all lists chosen."""
        span = f"{round(self.end - self.start)}s"
        return {"job": ".*", "connector": ".*", "list": ".*", "__rate_interval": "10s", "__range": span}


@contextmanager
def seen(here: World, seconds: float, folder: Path) -> Iterator[Seen]:
    """Play it in a world without topics, for about so many seconds."""
    run = _Run(here, seconds)
    with Prometheus(folder, [f"127.0.0.1:{port}" for port in run.ports]) as prometheus:
        start = time.time()
        run.play()
        end = time.time()
        until(lambda: _scraped(prometheus) > end, prometheus.process)
        yield Seen(prometheus, start, time.time())


def _scraped(prometheus: Prometheus) -> float:
    """Give when the replica was scraped that was not for longest; 0 if one was not at all."""
    found = prometheus.ask("query", query="sort(timestamp(hubspot_list_sync_build_info))")["result"]
    return float(found[0]["value"][1]) if len(found) == REPLICAS else 0.0


class _Run:
    """Two replicas, each with a port of its own to the end, and what befalls them."""

    def __init__(self, here: World, seconds: float) -> None:
        self.ports = [free_port() for _ in range(REPLICAS)]
        self._here = here
        self._seconds = seconds
        self._chance = random.Random(8)  # noqa: S311 - no secret is made of it
        self._services: list[Service] = []
        here.hubspot.call(_add_active_list)
        here.create_topics(PARTITIONS)
        self._plan: list[tuple[float, Callable[[], Any]]] = [
            (0.15, lambda: self._suffer(Fault("unavailable", list_id=VIP, method="PUT", times=3))),
            (0.25, lambda: self._suffer(Fault("bad_request", list_id=CHURN, method="PUT", times=1))),
            (0.30, lambda: self._suffer(Fault("rate_limited", method="PUT", times=4))),
            (0.40, lambda: self._services[1].process.signal(signal.SIGTERM)),
            (0.50, lambda: self._again(1)),
            (0.60, lambda: self._services[0].process.signal(signal.SIGKILL)),
            (0.65, lambda: self._again(0)),
        ]

    def play(self) -> None:
        """Do it all."""
        here, pause = self._here, Pause()
        here.inject(_SLOW)
        self._services = [self._start(port) for port in self.ports]
        for each in self._services:
            each.until_said("partitions assigned")
        began, plan = time.monotonic(), [*self._plan]
        while (passed := time.monotonic() - began) < self._seconds:
            while plan and plan[0][0] * self._seconds <= passed:
                plan.pop(0)[1]()
            self._write()
            pause.wait(_TICK)
        here.kafka.flush()

    def _start(self, port: int) -> Service:
        return self._here.start(
            connectors=_CONNECTORS,
            admin={"address": f"127.0.0.1:{port}"},
            window={"max_age": "1s", "max_contacts": 500},
            audit={"every": "1h"},
            shutdown={"timeout": "3s"},
        )

    def _suffer(self, fault: Fault) -> None:
        """Let something go wrong, beside that answers take a while: what was injected first comes first."""
        self._here.heal()
        self._here.inject(fault)
        self._here.inject(_SLOW)

    def _again(self, number: int) -> None:
        """Start a replica again where it was, when it has ended."""
        assert self._services[number].process.wait(PATIENCE) is not None
        self._services[number] = self._start(self.ports[number])

    def _write(self) -> None:
        """Append some events: most are usable, some are not."""
        here = self._here
        for _ in range(_EVENTS):
            contact = self._chance.randrange(1, 5000)
            [source] = self._chance.choices(["vip", "churn", "everybody", "unknown"], [60, 30, 5, 5])
            [transition] = self._chance.choices(["ENTER", "EXIT"], [3, 2])
            event = Event(contact, transition, source)
            value = record(event)
            match self._chance.randrange(200):
                case 0:
                    value["identifiers"] = {}
                case 1:
                    value["identifiers"] = {"2006": "nobody"}
                case 2 | 3:
                    value["identifiers"] = {"2006": str(_ABSENT + contact)}
            here.kafka.send(here.changes, here.kafka.encode(here.changes, value), str(contact), contact % PARTITIONS)
        here.kafka.flush()


def _add_active_list(portal: Portal) -> None:
    portal.accounts["acme"].add_list(ContactList(EVERYBODY, "Everybody", processing_type="DYNAMIC"))
