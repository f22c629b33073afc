"""The members of the group, each behind two proxies of its own, and what befalls them."""

import signal
from collections.abc import Callable
from threading import Lock
from typing import Any

from tests.chaos.plan import Step
from tests.real.processes import until
from tests.real.proxy import Proxy
from tests.real.service import Service, World

Pause = Callable[[float], object]
"""Waits for so many seconds."""

_WITHIN = 120.0  # seconds, for a start or a stop
_starting = Lock()  # a world gives each service a name, and keeps it


class Member:
    """One place in the group. Its process is replaced whenever it ends; `pages` are what its processes showed."""

    def __init__(self, world: World, settings: dict[str, Any], to_kafka: Proxy, to_hubspot: Proxy) -> None:
        self._world = world
        self._settings = settings
        self._to_kafka = to_kafka
        self._to_hubspot = to_hubspot
        self._service: Service
        self.services: list[Service] = []
        self.pages: list[str] = []

    def start(self) -> None:
        """Start a process."""
        with _starting:
            self._service = self._world.start_exactly(self._settings)
        self.services.append(self._service)
        until(lambda: self._service.said("started"), self._service.process, within=_WITHIN)

    def stop(self) -> None:
        """Ask the process to end, and see that it ends well."""
        self.look()
        self._service.process.signal(signal.SIGTERM)
        code = self._service.process.wait(_WITHIN)
        assert code == 0, self._service.process.tail()

    def look(self) -> None:
        """Keep what the process shows, which must be running."""
        assert self._service.process.ended is None, self._service.process.tail()
        self.pages.extend(self._service.get(path).text for path in ("/", "/metrics"))

    def revokes_on_the_wire(self) -> int:
        """Count the revokes that began with a request on the wire, of all its processes."""
        said = (record for each in self.services for record in each.said("partitions revoked"))
        return sum(record["were_on_the_wire"] > 0 for record in said)

    def suffer(self, step: Step, go_on: Pause) -> None:
        """Let a fault befall it; `go_on` waits for so many seconds. In the end the member is well again."""
        process = self._service.process
        match step.kind:
            case "killed":
                self.look()
                process.signal(signal.SIGKILL)
                assert process.wait(_WITHIN) == -signal.SIGKILL
                go_on(step.seconds)
                self.start()
            case "stopped":
                self.stop()
                go_on(step.seconds)
                self.start()
            case "frozen":
                process.signal(signal.SIGSTOP)
                go_on(step.seconds)
                process.signal(signal.SIGCONT)
            case "cut from Kafka" | "cut from HubSpot":
                with (self._to_kafka if step.kind.endswith("Kafka") else self._to_hubspot).away():
                    go_on(step.seconds)
            case _:
                with (self._to_kafka if step.kind.endswith("Kafka") else self._to_hubspot).silent():
                    go_on(step.seconds)
