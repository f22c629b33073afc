"""What the commands ask, all of it on loopback: a simulated HubSpot, an embedded Kafka, a registry; and the file."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from confluent_kafka import Consumer, Producer, TopicPartition

from consumer import avro
from consumer.cli import main
from consumer.kafka.embedded import EmbeddedKafka
from consumer.simulator import Account, ContactList, Portal
from consumer.simulator.server import SimulatorServer
from tests.commands.registry import StubRegistry, served

CHANGES = "journey.membership"
RESULTS = "hubspot.membership.results"
DEAD_LETTERS = "hubspot.membership.dead-letters"
SCHEMAS = {CHANGES: avro.CHANGE_SCHEMA, RESULTS: avro.RESULT_SCHEMA, DEAD_LETTERS: avro.DEAD_LETTER_SCHEMA}
SECRETS = {"client_secret": "the-client-secret", "refresh_token": "the-refresh-token"}


def account(name: str = "acme", *lists: ContactList, **more: Any) -> Account:  # noqa: ANN401 - parts of a configuration
    """Give an account at HubSpot; each has an app of its own."""
    secrets: dict[str, Any] = {key: f"{value}-{name}" for key, value in SECRETS.items()}
    made = Account(name=name, client_id=f"app-{name}", **secrets, **more)
    for each in lists or (ContactList(10, "VIP", members=[1, 2, 3]),):
        made.add_list(each)
    return made


class World:
    """All of it. `tree` is the configuration: what a test changes in it, the next command reads."""

    def __init__(self, folder: Path, server: SimulatorServer, kafka: EmbeddedKafka, registry: StubRegistry) -> None:
        self.server = server
        self.registry = registry
        self.typed = ""  # what somebody types when the next command asks
        self._file = folder / "config.yaml"
        self._bootstrap = kafka.bootstrap
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0, "log_level": 2})
        accounts: Mapping[str, Account] = server.portal.accounts
        for key, value in SECRETS.items():
            for name in accounts:
                (folder / f"{name}-{key}").write_text(f"{value}-{name}")
        self.tree: dict[str, Any] = {
            "kafka": {"bootstrap.servers": kafka.bootstrap, "group.id": "service", "fetch.wait.max.ms": 20},
            "schema_registry": {"url": registry.url},
            "hubspot": {"base_url": server.url},
            "accounts": {
                name: {
                    "client_id": f"app-{name}",
                    "requests_per_10s": 100,
                    **{key: {"file": f"{name}-{key}"} for key in SECRETS},
                }
                for name in accounts
            },
            "connectors": {"vip": {"account": "acme", "list_id": 10, "source": "audience:vip"}},
        }

    def call(self, *arguments: str, **environ: str) -> Result:
        """Type a command; its --config is added."""
        self._file.write_text(json.dumps(self.tree))
        return CliRunner().invoke(
            main, [*arguments, "--config", str(self._file)], input=self.typed, env={"COLUMNS": "250", **environ}
        )

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Type a command that prints JSON lines and succeeds; give them."""
        result = self.call(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def create_topics(self, *topics: str) -> None:
        """Let topics come into being, each with 4 partitions."""
        for topic in topics:
            self._producer.list_topics(topic, timeout=20)

    def write(self, topic: str, record: Mapping[str, Any], partition: int = 0) -> None:
        """Append a change, a result or a dead letter."""
        schema = SCHEMAS[topic]
        known = [each for each, text in self.registry.schemas.items() if text == schema.text]
        schema_id = known[0] if known else self.registry.add(f"{topic}-value", schema.text)
        self.write_raw(topic, avro.frame(schema_id, avro.encode(schema, record)), partition)

    def write_raw(self, topic: str, value: bytes, partition: int = 0) -> None:
        """Append any bytes."""
        self._producer.produce(topic, value, partition=partition)
        assert self._producer.flush(20) == 0

    def commit(self, topic: str, *offsets: int) -> None:
        """Let the service's group have committed so far, from partition 0 on."""
        properties = {"bootstrap.servers": self._bootstrap, "group.id": "service", "log_level": 2}
        with closing(Consumer(properties)) as consumer:
            places = [TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)]
            consumer.commit(offsets=places, asynchronous=False)

    @staticmethod
    def now_ms() -> int:
        """Give the time as records have it."""
        return round(time.time() * 1000)

    def at_hubspot(self, look: Callable[[Portal], Any]) -> Any:  # noqa: ANN401 - whatever it gives
        """Look at HubSpot, or change it, between two requests."""
        return self.server.call(look)


@contextmanager
def world(folder: Path, *accounts: Account) -> Iterator[World]:
    """Yield a world; without accounts it has `acme`, whose list 10 is VIP."""
    with ExitStack() as stack:
        server = stack.enter_context(SimulatorServer(Portal(accounts or [account()])))
        kafka = stack.enter_context(EmbeddedKafka())
        yield World(folder, server, kafka, stack.enter_context(served()))


def cells(output: str) -> list[list[str]]:
    """Give the rows of a table that was printed, without its headings; a cell's lines are rows of their own."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]
