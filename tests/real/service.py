"""The service in a process of its own, as operators run it, and the world around it."""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from consumer.metrics import PREFIX
from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.faults import Fault
from consumer.simulator.messages import Handled
from consumer.simulator.portal import Portal
from consumer.simulator.server import SimulatorServer
from tests.real.kafka import Event, Kafka
from tests.real.kafka_broker import Broker
from tests.real.processes import PATIENCE, Process, run, running, until
from tests.real.registry_server import RegistryServer

VIP = 4711  # the list of audience:vip
CHURN = 4712  # the list of audience:churn
CLIENT_SECRET = "acme-client-secret"
REFRESH_TOKEN = "acme-refresh-token"

Result = TypeVar("Result")


class HubSpot(Protocol):
    """A simulated HubSpot, in this process or in one of its own."""

    @property
    def url(self) -> str:
        """Its base URL."""

    @property
    def port(self) -> int:
        """Its port, on 127.0.0.1."""

    def call(self, function: Callable[[Portal], Result]) -> Result:
        """Run `function(portal)` between two requests; both function and result may have to be pickled."""


class Service:
    """One running service, its log and its admin server."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def said(self, event: str) -> list[dict[str, Any]]:
        """Give the log's records of one event."""
        lines = self.process.log_file.read_text().splitlines()
        return [each for line in lines if line.startswith("{") and (each := json.loads(line))["event"] == event]

    def until_said(self, event: str) -> dict[str, Any]:
        """Wait for a record of an event in the log; give the first."""
        until(lambda: self.said(event), self.process)
        return self.said(event)[0]

    def get(self, path: str) -> httpx.Response:
        """Ask the admin server."""
        return httpx.get(self.until_said("started")["admin"] + path, trust_env=False, timeout=PATIENCE)

    def scrape(self) -> "Scrape":
        """Ask for the metrics."""
        return Scrape(self.get("/metrics").text)

    def total(self, name: str, **labels: str) -> float:
        """Add up samples of the present metrics; see `Scrape.total`."""
        return self.scrape().total(name, **labels)


class Scrape:
    """What the service tells Prometheus at one time."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {each.name: each for each in text_string_to_metric_families(text)}

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of a metric that have these labels; `name` without the prefix, with `_total`."""
        return sum(
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        )


@dataclass
class World:
    """A broker with topics of their own, a registry and a HubSpot, and the services that were started between them.

    `module` is what is run as the service.
    """

    broker: Broker
    registry: RegistryServer
    hubspot: HubSpot
    folder: Path
    stack: ExitStack
    environ: dict[str, str] = field(default_factory=dict)
    module: str = "consumer"

    def __post_init__(self) -> None:
        self.group = f"test-{uuid.uuid4().hex[:8]}"
        self.changes = f"{self.group}.changes"
        self.results = f"{self.group}.results"
        self.dead_letters = f"{self.group}.dead-letters"
        self.kafka = Kafka(self.broker.bootstrap, self.registry.client())
        self.stack.callback(self.kafka.close)
        self._services: list[Service] = []
        (self.folder / "client-secret").write_text(CLIENT_SECRET)
        (self.folder / "refresh-token").write_text(REFRESH_TOKEN)

    def create_topics(self, partitions: int = 1) -> None:
        """Make the topics of the service."""
        self.kafka.create(self.changes, partitions)
        self.kafka.create(self.results)
        self.kafka.create(self.dead_letters)

    def settings(self, **sections: dict[str, Any]) -> dict[str, Any]:
        """Give a configuration; a section that is given replaces what it names."""
        usual: dict[str, dict[str, Any]] = {
            "kafka": {
                "bootstrap.servers": self.broker.bootstrap,
                "group.id": self.group,
                "session.timeout.ms": 6000,
                "fetch.wait.max.ms": 100,
            },
            "schema_registry": {"url": self.registry.url, "basic.auth.user.info": {"env": "REGISTRY_USER"}},
            "topics": {"changes": [self.changes], "results": self.results, "dead_letters": self.dead_letters},
            "window": {"max_age": "200ms"},
            "hubspot": {"base_url": self.hubspot.url, "settle": "1s"},
            "accounts": {
                "acme": {
                    "client_id": "acme-app",
                    "client_secret": {"file": "client-secret"},
                    "refresh_token": {"file": "refresh-token"},
                    "requests_per_10s": 100,
                }
            },
            "connectors": {
                "vip": {"account": "acme", "list_id": VIP, "source": "audience:vip"},
                "churn": {"account": "acme", "list_id": CHURN, "source": "audience:churn"},
            },
            "admin": {"address": "127.0.0.1:0"},
        }
        return {name: {**usual.get(name, {}), **sections.get(name, {})} for name in {**usual, **sections}}

    def start(self, **sections: dict[str, Any]) -> Service:
        """Start a service; it is stopped when the world ends."""
        return self.start_exactly(self.settings(**sections))

    def start_exactly(self, settings: dict[str, Any]) -> Service:
        """Start a service with a whole configuration."""
        return self.start_with(json.dumps(settings))

    def start_with(self, configuration: str) -> Service:
        """Start a service with the text of a configuration."""
        file = self.folder / f"service-{len(self._services)}.yaml"
        file.write_text(configuration)
        return self.start_file(file)

    def start_file(self, file: Path) -> Service:
        """Start a service with a configuration file, which others may write."""
        log = self.folder / f"service-{len(self._services)}.log"
        command = self._command(file, "run", "--log-format", "json")
        process = self.stack.enter_context(running(command, log, self.process_environ, grace=0.0))
        self._services.append(Service(process))
        return self._services[-1]

    def run(self, *words: str, code: int = 0, **sections: dict[str, Any]) -> str:
        """Run a command to its end, with the sections of the configuration; give what it prints."""
        file = self.folder / "command.yaml"
        file.write_text(json.dumps(self.settings(**sections)))
        return self.run_file(file, *words, code=code)

    def run_file(self, file: Path, *words: str, code: int = 0) -> str:
        """Run a command to its end with a configuration file, which others may write; give what it prints."""
        command = self._command(file, *words)
        return run(command, environ=self.process_environ, code=code).decode()

    def _command(self, file: Path, *words: str) -> list[str | Path]:
        return [sys.executable, "-m", self.module, *words, "--config", file]

    @property
    def process_environ(self) -> dict[str, str]:
        """What a process is given in its environment."""
        # Tables as wide as they need, whatever the terminal or runner says that the tests are started from.
        wide = {"COLUMNS": "250"}
        return {"REGISTRY_USER": self.registry.properties["basic.auth.user.info"], **wide, **self.environ}

    def tell(self, *events: Event, partition: int = 0) -> None:
        """Append events."""
        self.kafka.tell(self.changes, *events, partition=partition)

    def committed(self, partition: int = 0) -> int:
        """Give how far a partition is committed."""
        return self.kafka.committed(self.group, self.changes, partition)

    def members(self, list_id: int = VIP) -> frozenset[int]:
        """Give who is on a list."""
        return self.hubspot.call(partial(_members, list_id))

    def inject(self, fault: Fault) -> None:
        """Let something go wrong at HubSpot."""
        self.hubspot.call(methodcaller("inject", fault))

    def heal(self) -> None:
        """Let all go well at HubSpot."""
        self.hubspot.call(methodcaller("heal_all"))

    def puts(self, list_id: int = VIP) -> list[Handled]:
        """Give the membership requests that HubSpot got for a list, in order."""
        return self.hubspot.call(partial(_puts, list_id))


def _members(list_id: int, portal: Portal) -> frozenset[int]:
    return portal.accounts["acme"].lists[list_id].members


def _puts(list_id: int, portal: Portal) -> list[Handled]:
    return [each for each in portal.log if each.method == "PUT" and each.list_id == list_id]


@contextmanager
def world(broker: Broker, registry: RegistryServer, folder: Path) -> Iterator[World]:
    """Give a world; all services in it are stopped at the end."""
    assert "HUBSPOT_BASE_URL" not in os.environ, "HUBSPOT_BASE_URL would send the tests' requests there: unset it"
    account = Account(name="acme", client_id="acme-app", client_secret=CLIENT_SECRET, refresh_token=REFRESH_TOKEN)
    for list_id, name in ((VIP, "VIP"), (CHURN, "Churn")):
        account.add_list(ContactList(list_id, name))
    with SimulatorServer(Portal([account])) as hubspot, ExitStack() as stack:
        yield World(broker, registry, hubspot, folder, stack)
